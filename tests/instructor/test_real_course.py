"""The course's own labs and projects, graded as `resumen grade` does: what an answer is worth does not depend on how it is run."""

import shutil
import zipfile
from contextlib import contextmanager

import nbformat
import pytest
import yaml
from labrun import Lab
from small_course import Handed
from typer.testing import CliRunner

from resumen import cli
from resumen.files import PROJECT, STARTER
from resumen.instructor.grade import _job, choose_mode
from resumen.instructor.gradebook import Course
from resumen.instructor.job import COLD, SANDBOX, TWO_PROCESS, WARM, kernels, read_result, run_job
from resumen.instructor.release import release
from resumen.lab import NOT_ATTEMPTED, RIGHT, WRONG
from resumen.setup import PROJECTS, STAGES

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@pytest.fixture(scope="module")
def course(root, tmp_path_factory):
    """A course with the sources of all labs and projects, released."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copyfile(root / "nbgrader_config.py", folder / "nbgrader_config.py")
    for name in (*STAGES, *PROJECTS):
        file = PROJECT if name in PROJECTS else "lab.ipynb"
        (folder / "solutions" / name).mkdir(parents=True)
        shutil.copyfile(root / "solutions" / name / file, folder / "solutions" / name / file)
    release(folder)
    return Course(folder)


# Labs, in every mode --------------------------------------------------------------------------------------------------


@pytest.fixture
def hand_ins(course, root, stage, tmp_path):
    """Return (what is handed in, the state of each task) by name: the reference, the released lab and two mixtures of both with wrong answers."""
    lab = Lab(root / "solutions" / stage / "lab.ipynb")
    listed = yaml.safe_load((root / "tests" / "grading" / "mutants" / f"{stage}.yaml").read_text(encoding="utf-8"))
    wrong = [one for one in listed if one["loses"]]
    first, last = ({one["function"]: one["code"] for one in some} for some in (wrong[::-1], wrong))
    turns = {
        "reference": ((RIGHT,), {}),
        "released": ((NOT_ATTEMPTED,), {}),
        "mixture": ((NOT_ATTEMPTED, WRONG, RIGHT), first),
        "another": ((RIGHT, NOT_ATTEMPTED, WRONG), last),
    }
    handed = {}
    for name, (turn, answers) in turns.items():
        states = {function: turn[number % len(turn)] for number, function in enumerate(lab.tasks)}
        notebook = nbformat.read(course.released(stage, "lab"), as_version=4)
        cells = {cell.id: cell for cell in notebook.cells}
        for function, state in states.items():
            task = lab.tasks[function]
            if state != NOT_ATTEMPTED:
                cells[task.answer.id].source = answers[function] if state == WRONG else task.answer.source
        path = tmp_path / name / "lab.ipynb"
        path.parent.mkdir()
        nbformat.write(notebook, path)
        handed[name] = Handed(name, stage, "lab", path), {lab.tasks[one].tests.id: states[one] for one in states}
    return handed


@contextmanager
def graded(course, mode):
    """Give a function that grades a submission in this mode, and returns its result."""

    def grade(one):
        job = _job(course, one, mode)
        run_job(job)
        return read_result(job.path, job.key)

    with kernels(course, mode):
        yield grade


def modes_of(stage):
    """Yield (mode, names of what is run in it): all in the mode that is used here; the rest as far as seconds allow."""
    used = choose_mode(unsafe=True)
    yield used, ("reference", "released", "mixture", "another")
    if used == TWO_PROCESS:
        yield from ((mode, ("mixture",)) for mode in (WARM, SANDBOX))
    if used != COLD and stage in (
        "stage1_corpus",
        "stage3_rouge_baseline",
    ):  # the quick ones: a cold kernel runs the story, too
        yield COLD, ("mixture",)


def test_modes_agree_on_a_lab(course, stage, hand_ins):
    """Every task has the points that its answer deserves, and the page says what the answer is. nbgrader's own scores: `test_labs`."""
    for mode, names in modes_of(stage):
        with graded(course, mode) as grade:
            for name in names:
                one, states = hand_ins[name]
                result = grade(one)
                assert result.reason == "", (mode, name)
                tasks = {task.id: task for task in result.tasks if not task.written}
                assert {task: found.outcome for task, found in tasks.items()} == states, (mode, name)
                for task, found in tasks.items():
                    assert found.points == (found.most if states[task] == RIGHT else 0), (mode, name, task)


# Projects, from a download --------------------------------------------------------------------------------------------


def test_projects_from_a_download(course, root, tmp_path):
    """The worked hand-ins have all automatic points, the untouched starters none; what is written waits to be read."""
    download = tmp_path / "download.zip"
    with zipfile.ZipFile(download, "w") as archive:
        for name in PROJECTS:
            archive.write(root / "solutions" / name / "hand-in" / PROJECT, f"Ana/{name}/{PROJECT}")
            archive.write(root / "capstone" / name / STARTER, f"Li/{name}/{PROJECT}")
    done = CliRunner().invoke(
        cli.app,
        ["grade", *PROJECTS, "--submissions", str(download), "--root", str(course.root), "--jobs", "2", "--unsafe"],
    )
    assert done.exit_code == 0, done.output
    for name in PROJECTS:
        worked, untouched = (read_result(course.result(student, name, "project")) for student in ("Ana", "Li"))
        assert worked.points == worked.most > 0, worked.tasks
        assert untouched.points == 0
        assert {task.outcome for task in untouched.tasks} == {NOT_ATTEMPTED}
        assert [task.outcome for task in worked.tasks if task.written] == ["to read"]
        assert worked.reason == untouched.reason == ""
