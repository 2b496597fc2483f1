"""A job with real kernels: whatever an answer does, the notebook comes back with a score for each task and a reason."""

import json
import os
import sys
from contextlib import nullcontext
from unittest.mock import AsyncMock

import nbformat
import pytest
from small_course import RIGHT, STAGE, WRONG, hand_in, hand_in_bytes

from resumen.errors import CourseError
from resumen.instructor import job, sandbox
from resumen.instructor.grade import _job
from resumen.instructor.gradebook import Course
from resumen.instructor.hidden import SingleProcessExecute
from resumen.instructor.job import (
    COLD,
    MODES,
    SANDBOXED,
    STOCK,
    WARM,
    finished,
    kernels,
    read_result,
    run_job,
    write_whole,
)
from resumen.instructor.provisioner import kernelspecs
from resumen.instructor.workers import failure_of

FORGED = "import sys\ndef double(x):\n    sys.displayhook(1000)\n    return 2 * x"
NOISY = "import sys\ndef first(words):\n    return words[0]\nprint('beware', file=sys.stderr)"
ENDS = "import os\nos._exit(3)"

ANSWERS = {
    "right": RIGHT,
    "wrong": WRONG,
    "one": {**RIGHT, "first": WRONG["first"], "written": "Mine."},
    "untouched": {},
    "forged": {**RIGHT, "double": FORGED},
    "noisy": {**RIGHT, "first": NOISY},
    "ends": {**RIGHT, "first": ENDS},
}


@pytest.fixture(scope="module")
def course(shared):
    """A course, and one warm server for the whole file."""
    with kernelspecs() if sys.platform == "linux" else nullcontext():
        yield Course(shared)


@pytest.fixture
def result(course):
    """Return a function: run a submission, and return its result."""

    def run(student, answers=None, data=None, mode=COLD, notebook="lab"):
        if data is None:
            one = hand_in(course.root, student, answers, notebook)
        else:
            one = hand_in_bytes(course.root, student, data, notebook)
        job = _job(course, one, mode)
        run_job(job)
        return read_result(job.path, job.key)

    return run


def points(result):
    return [task.points for task in result.tasks]


@pytest.mark.slow
def test_whatever_an_answer_does(result):
    """In one kernel, where it can do most."""
    assert points(result("right", ANSWERS["right"])) == [4, 6, 0]
    one = result("one", ANSWERS["one"])
    assert points(one) == [4, 0, None]
    assert [task.outcome for task in one.tasks] == ["right", "wrong", "to read"]
    assert one.tasks[1].message == "Task 2 · first: wrong. Got 'b', expected 'a'. Hint: the first word"
    assert (one.reason, one.damage, one.mode) == ("", (), COLD)
    forged = result("forged", ANSWERS["forged"])
    assert points(forged) == [0, 6, 0]
    assert "no number of points" in forged.tasks[0].message
    ended = result("ends", ANSWERS["ends"])
    assert points(ended) == [4, 0, 0]
    assert "died" in ended.reason and ended.tasks[1].outcome == "not run"


def test_a_hidden_test_that_fails(result):
    one = result("memory", {**RIGHT, "double": "def double(x):\n    return 4"})
    assert (one.tasks[0].points, one.tasks[0].message) == (0, "twice 31 is 62")


def test_a_file_that_is_refused(result):
    one = result("pdf", data=b"%PDF-1.7 nothing else")
    assert points(one) == [0, 0, 0]
    assert "PDF" in one.reason
    assert {task.outcome for task in one.tasks[:2]} == {"not run"}
    assert one.tasks[0].message == one.reason


def test_what_was_mended_is_told(result, course):
    released = json.loads(course.released(STAGE, "lab").read_text())
    for cell in released["cells"]:
        cell["source"] = RIGHT.get(cell["id"], cell["source"])
        cell["metadata"] = {}
    one = result("colab", data=json.dumps(released).encode())
    assert points(one) == [4, 6, 0]
    assert one.damage


def test_partial_credit(result):
    one = result("half", {"letters": "letters = 'AB'"}, notebook="quiz")
    assert (points(one), one.tasks[0].outcome, one.tasks[0].name) == ([1.0], "partly", "1 · Which letters?")


@pytest.mark.slow
def test_an_accident_gets_a_second_try(course, monkeypatch, tmp_path):
    """A kernel that is killed from outside, once, costs nothing."""
    mark = tmp_path / "killed"
    once = f"import os, pathlib\nmark = pathlib.Path({str(mark)!r})\nif not mark.exists():\n    mark.touch()\n    os.kill(os.getpid(), 9)"
    job = _job(course, hand_in(course.root, "killed", {**RIGHT, "double": f"{once}\n{RIGHT['double']}"}), COLD)
    run_job(job)
    done = read_result(job.path, job.key)
    assert (points(done), done.reason) == ([4, 6, 0], "")


@pytest.mark.slow
@pytest.mark.skipif(bool(sandbox.available()), reason="no sandbox here")
@pytest.mark.parametrize("mode", SANDBOXED)
@pytest.mark.parametrize(
    ("why", "code", "runs", "reason"),
    [
        ("killed", "import os; os.kill(os.getpid(), 9)", 2, "it was killed"),
        ("crashed", "import ctypes; ctypes.string_at(0)", 1, "it crashed (SIGSEGV)"),
        ("left", "import os; os._exit(3)", 1, "it ended itself, with exit code 3"),
        ("greedy", "kept = bytes(8 << 30); kept = bytes(b'x') * (8 << 30)", 1, ""),
    ],
)
@pytest.mark.parametrize("where", ["in the cell", "in the function"])
def test_only_an_accident_does(course, monkeypatch, mode, why, code, runs, reason, where):
    """A kernel that ends by the student's own doing is not started again."""
    started = []
    monkeypatch.setattr(job, "_preprocessor", lambda *told, real=job._preprocessor: started.append(told) or real(*told))
    double = f"{code}\n{RIGHT['double']}" if where == "in the cell" else f"def double(x):\n    {code}\n    return 2 * x"
    one = _job(course, hand_in(course.root, f"{why}-{where[-4:]}-{mode}", {**RIGHT, "double": double}), mode)
    with kernels(course, mode):
        run_job(one)
    done = read_result(one.path, one.key)
    assert reason in done.reason
    assert done.tasks[0].points == 0
    assert len(started) == runs


def test_no_kernel_is_no_score(course, monkeypatch):
    """Nothing of the student's has run: nobody shall read 0."""
    monkeypatch.setattr(job, "_preprocessor", lambda *_: SingleProcessExecute())
    monkeypatch.setattr(SingleProcessExecute, "_run_cells", AsyncMock(side_effect=CourseError("No kernel started.")))
    one = _job(course, hand_in(course.root, "early", RIGHT), COLD)
    with pytest.raises(CourseError, match="No kernel started"):
        run_job(one)
    assert not one.path.exists()


def test_half_a_character_in_an_output(course):
    job = _job(course, hand_in(course.root, "emoji", RIGHT), COLD)
    notebook = nbformat.read(job.course.submitted(*job.names), as_version=4)
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="half \ud83d")]
    assert "half ?" in json.dumps(finished(job, notebook, "", [], 0.0).executed)


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "result.json"
    write_whole(path, "before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as caught:
        write_whole(path, "after")
    assert failure_of(caught.value).reason == "the disk is full"
    assert [one.name for one in path.parent.iterdir()] == ["result.json"]
    assert path.read_text() == "before"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "k"}', '{"key": "other"}'])
def test_a_result_that_cannot_be_read_is_none(tmp_path, text):
    path = tmp_path / "result.json"
    path.write_text(text)
    assert read_result(path, "k") is None


@pytest.mark.slow
def test_modes_agree(folder):
    """The same scores in every mode, and from nbgrader itself."""
    from nbgrader.apps import NbGraderAPI

    course = Course(folder)
    names = ["right", "one", "untouched", "noisy"]
    found = [hand_in(course.root, name, ANSWERS[name]) for name in names]
    jobs = [_job(course, one, STOCK) for one in found]
    api = NbGraderAPI(config=course.config)
    assert api.autograde(STAGE, "*")["success"]
    expected = {}
    with course.gradebook() as book:
        for name in names:
            graded = book.find_submission_notebook("lab", STAGE, name).grades
            expected[name] = {grade.name: grade.auto_score for grade in graded}
    modes = [mode for mode in MODES if mode in (STOCK, COLD) or os.uname().sysname == "Linux"]
    if missing := sandbox.available():
        print(missing)
        modes = [mode for mode in modes if mode in (STOCK, COLD, WARM)]
    for mode in modes:
        with kernels(course, mode):
            # A cold kernel takes seconds to start.
            for job, one in list(zip(jobs, found, strict=True))[: 2 if mode in (STOCK, COLD) else None]:
                run_job(_job(course, one, mode))
                done = read_result(job.path, job.key)
                assert (mode, {task.id: task.points for task in done.tasks}) == (mode, expected[job.student])
