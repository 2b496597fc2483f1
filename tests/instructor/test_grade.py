"""`resumen grade`: each submission gets one score, whatever is stopped, killed, full or locked, and nothing is done twice."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import nbformat
import psutil
import pytest
from small_course import HIDDEN, RIGHT, STAGE, WRONG, Handed, faulty, hand_in, hand_in_bytes, quick
from typer.testing import CliRunner

from resumen import cli
from resumen.instructor import grade as grading
from resumen.instructor import gradebook, sandbox
from resumen.instructor.grade import NoSandbox, choose_mode, grade
from resumen.instructor.gradebook import Course, standings
from resumen.instructor.job import COLD, TWO_PROCESS, WARM

MIXED = {**RIGHT, "first": WRONG["first"], "written": "Mine."}


def run(folder, found, work=quick, **options):
    return grade(Course(folder), found, mode=COLD, jobs=2, work=work, **options)


def begun(folder):
    path = folder / "begun.txt"
    return sorted(path.read_text().splitlines()) if path.exists() else []


def scores(folder):
    """Automatic points by student, of what was graded."""
    return {one.student: one.part(written=False) for one in standings(Course(folder)) if one.is_graded}


def rows(folder):
    """How many rows the gradebook has of each kind."""
    with sqlite3.connect(folder / "var" / "gradebook.db") as database:
        tables = ("student", "submitted_assignment", "submitted_notebook", "grade")
        return [database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables]


def handed(folder):
    """What was handed in before."""
    return [Handed(path.parent.name, STAGE, path.stem, path) for path in sorted(folder.glob("download/*/*.ipynb"))]


def test_scores(folder):
    found = [hand_in(folder, "Ana", RIGHT), hand_in(folder, "José Núñez", MIXED), hand_in(folder, "Li")]
    seen = []
    graded = run(folder, found, on_progress=lambda *numbers: seen.append(numbers))
    points = {one.student: (one.points, one.most) for one in graded.results}
    assert points == {"Ana": (10, 10), "José Núñez": (4, 10), "Li": (0, 10)}
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert scores(folder) == {"Ana": 10, "José Núñez": 4, "Li": 0}
    by_notebook = {(one.student, one.notebook): one for one in standings(Course(folder))}
    jose = by_notebook["José Núñez", "lab"]
    assert (jose.score, jose.to_read, jose.most) == (None, 1, 15)
    assert by_notebook["Ana", "lab"].score == 10
    not_handed_in = by_notebook["Ana", "quiz"]
    assert (not_handed_in.is_graded, not_handed_in.score, not_handed_in.to_read) == (False, None, 0)
    kept = folder / "var" / "autograded" / "José Núñez" / STAGE / "lab.ipynb"
    assert nbformat.read(kept, as_version=4).cells


def test_nothing_is_done_twice(folder):
    found = [hand_in(folder, "Ana", RIGHT), hand_in(folder, "José", WRONG)]
    run(folder, found)
    before = rows(folder)
    with Course(folder).gradebook() as book:  # somebody reads an answer
        written = book.find_grade("written", "lab", STAGE, "Ana")
        written.manual_score, written.needs_manual_grade = 5, False
        book.db.commit()
    graded = run(folder, found)
    assert (graded.fresh, len(graded.results)) == (0, 2)
    assert begun(folder) == ["Ana", "José"]
    assert rows(folder) == before
    assert {one.student: one.score for one in standings(Course(folder)) if one.is_graded} == {"Ana": 15, "José": 0}


def test_another_file_or_another_test_is_graded_anew(folder):
    found = [hand_in(folder, "Ana", WRONG), hand_in(folder, "José", RIGHT)]
    run(folder, found)
    run(folder, [hand_in(folder, "Ana", RIGHT), found[1]])
    assert begun(folder) == ["Ana", "Ana", "José"]
    assert scores(folder) == {"Ana": 10, "José": 10}
    source = folder / "solutions" / STAGE / "lab.ipynb"
    source.write_text(source.read_text().replace(HIDDEN, "assert double(7) == 14"))
    assert run(folder, found[1:]).fresh == 1


def test_points_that_changed_reach_the_gradebook(folder):
    source = folder / "solutions" / STAGE / "lab.ipynb"
    notebook = nbformat.read(source, as_version=4)
    next(cell for cell in notebook.cells if cell.id == "first-tests").metadata.nbgrader.points = 16
    nbformat.write(notebook, source)
    shutil.rmtree(folder / "labs")
    run(folder, [hand_in_bytes(folder, "Ana", source.read_bytes())])
    (one,) = [one for one in standings(Course(folder)) if one.is_graded]
    assert one.most == 25


def test_a_lost_gradebook_is_filled_again(folder):
    found = [hand_in(folder, "Ana", RIGHT)]
    run(folder, found)
    (folder / "var" / "gradebook.db").unlink()
    assert run(folder, found).fresh == 0
    assert scores(folder) == {"Ana": 10}


@pytest.mark.slow
def test_killed_in_the_middle(folder):
    """kill -9: what was done is kept, what was not is done, and no process is left."""
    found = [hand_in(folder, f"student{number}", RIGHT) for number in range(8)]
    program = (
        "import sys; from pathlib import Path; import small_course, test_grade; folder = Path(sys.argv[1])\n"
        "test_grade.run(folder, test_grade.handed(folder), small_course.slow)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], env=environment)
    results = folder / "var" / "grading" / STAGE
    deadline = time.monotonic() + 60
    while len(list(results.glob("*/lab.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
    done = len(list(results.glob("*/lab.json")))
    assert 3 <= done < 8
    begun_before = len(begun(folder))
    graded = run(folder, found)
    assert graded.fresh == 8 - done
    assert len(begun(folder)) == begun_before + graded.fresh
    assert scores(folder) == {f"student{number}": 10 for number in range(8)}
    assert rows(folder)[:2] == [8, 8]


def test_faults(folder):
    """A process that is killed, a full disk, no kernel: once costs nothing. Each time: a reason, and no score where nobody is to blame."""
    names = ["killed-a", "full-a", "none-a", "killed-always", "full-always", "none-always", "well"]
    graded = run(folder, [hand_in(folder, name, RIGHT) for name in names], faulty)
    assert scores(folder) == {"killed-a": 10, "full-a": 10, "none-a": 10, "well": 10, "killed-always": 0}
    reasons = {one.student: one.reason for one in graded.results}
    assert reasons.pop("killed-always").startswith("Grading it was tried 3 times")
    assert set(reasons.values()) == {""}
    assert graded.ungraded == {
        ("full-always", STAGE, "lab"): "the disk is full",
        ("none-always", STAGE, "lab"): "The kernel did not start: it died, or did not answer in time",
    }
    assert run(folder, handed(folder), quick).ungraded == {}
    assert scores(folder)["full-always"] == scores(folder)["none-always"] == 10
    assert begun(folder).count("well") == 1


def test_a_locked_gradebook_waits(folder, monkeypatch):
    monkeypatch.setattr(gradebook, "WAIT", 0.2)
    found = [hand_in(folder, "Ana", RIGHT), hand_in(folder, "José", RIGHT)]
    lock = sqlite3.connect(folder / "var" / "gradebook.db", isolation_level=None, check_same_thread=False)
    course = Course(folder)
    course.record([STAGE])
    lock.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(grading.Course, "record", lambda *_: None)
    monkeypatch.setattr(grading, "standings", lambda *_: [])
    graded = grade(course, found, mode=COLD, jobs=2, work=quick)
    assert len(graded.results) == 2
    assert set(graded.ungraded.values()) == {"its result is kept, and is not in the gradebook: database is locked"}
    threading.Timer(0.1, lambda: lock.execute("ROLLBACK")).start()
    graded = grade(course, found, mode=COLD, jobs=2, work=quick)
    assert (graded.fresh, graded.ungraded) == (0, {})
    assert scores(folder) == {"Ana": 10, "José": 10}
    assert begun(folder) == ["Ana", "José"]


def test_one_run_at_a_time(folder, course_error):
    with grading._alone(Course(folder)), course_error("Another `resumen grade` runs", folder):
        run(folder, [])


def test_what_cannot_be_graded_is_said(folder, course_error):
    with course_error("'stage9'", STAGE):
        run(folder, [], stages=["stage9"])
    one = hand_in(folder, "Ana", RIGHT)
    graded = run(folder, [one, type(one)("Ana", "stage9", "lab", one.path)])
    (sentence,) = graded.unmatched
    assert "stage9/lab.ipynb" in sentence and str(one.path) in sentence
    assert len(graded.results) == 1


class TestMode:
    @pytest.fixture
    def without(self, monkeypatch):
        monkeypatch.setattr(sandbox, "available", lambda: "The sandbox needs bubblewrap, which is not installed: apt.")

    def test_with_a_sandbox(self, monkeypatch):
        monkeypatch.setattr(sandbox, "available", lambda: "")
        assert choose_mode() == choose_mode(unsafe=True) == TWO_PROCESS
        assert choose_mode(cold=True, unsafe=True) == COLD

    def test_without(self, without):
        with pytest.raises(NoSandbox, match="bubblewrap"):
            choose_mode()
        assert choose_mode(unsafe=True) == (WARM if sys.platform == "linux" else COLD)

    @pytest.mark.parametrize("options", [[], ["--cold"]])
    def test_exit_code(self, without, folder, options):
        done = CliRunner().invoke(cli.app, ["grade", "--root", str(folder), *options])
        assert done.exit_code == 3
        (line,) = done.stderr.strip().splitlines()
        assert "--unsafe" in line
