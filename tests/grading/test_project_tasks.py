"""The projects' proof, as for the labs: untouched 0, reference full, a wrong answer loses its own task, a right one nothing.

The notebooks run in their quick form, in a folder of their own. A whole run takes minutes and is made by hand: see CONTRIBUTING.md.
"""

import ast
import functools
import os
import re
import tempfile
from pathlib import Path

import nbformat
import pytest
import yaml
from labrun import Lab, untouched

from resumen.lab import NOT_ATTEMPTED, RIGHT, WRONG

ROOT = Path(__file__).parents[2]
WRONG_ANSWERS, RIGHT_ANSWERS = 3, 1
AUTOMATIC = {"premier": 60, "capstone": 30}
"""Points of the graded functions; what is written brings the rest of 100, by the rubric."""

runs_notebooks = [
    pytest.mark.slow,
    pytest.mark.thorough,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="answers run in forks of one process, which Windows has not"),
]

projects = functools.cache(lambda name: Lab(ROOT / "solutions" / name / "project.ipynb"))


@pytest.fixture(scope="module", params=[path.parent.name for path in sorted(ROOT.glob("solutions/*/project.ipynb"))])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def project(name):
    return projects(name)


def quick_start(folder):
    """Return what runs first: the quick form, as in `nbgrader_config.py`, and in `folder`."""
    return f"import os\nos.environ['RESUMEN_QUICK'] = '1'\nos.chdir({str(folder)!r})"


# The notebook ---------------------------------------------------------------------------------------------------------


def test_points(name, project):
    points = {cell.id: cell.metadata.nbgrader.points for cell in project.graded if cell.metadata.nbgrader.grade}
    tests = {task.tests.id for task in project.tasks.values()}
    assert sum(points.values()) == 100
    assert sum(points[cell] for cell in tests) == AUTOMATIC[name]
    (written,) = set(points) - tests
    assert points[written] == 100 - AUTOMATIC[name]
    prose = "\n".join(cell.source for cell in project.notebook.cells if cell.cell_type == "markdown")
    for task in project.tasks.values():
        assert re.search(rf"##+ .*{task.function}.*\b{points[task.tests.id]} points", prose), task.function


def test_rubric_has_the_points_of_the_notebook(name, project):
    """100 points in all, and the automatic ones task by task."""
    text = (ROOT / "capstone" / name / "rubric.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| *\d+ *\|[^|]*\| *(\d+) *\|", text, flags=re.MULTILINE)
    assert sum(map(int, rows)) == 100
    for task in project.tasks.values():
        points = task.tests.metadata.nbgrader.points
        assert re.search(rf"^\|[^|]*\|[^|]*`{task.function}`[^|]*\| *{points} *\|", text, flags=re.MULTILINE), (
            task.function
        )


def test_first_code_cell_is_that_of_the_lectures(project):
    lecture = nbformat.read(ROOT / "stages" / "stage1_corpus" / "lecture.ipynb", as_version=4)
    assert project.code[0].source == next(cell.source for cell in lecture.cells if cell.cell_type == "code")


def test_tasks_are_independent(project):
    assert project.dependence_faults == []


def test_test_cells(project):
    for task in project.tasks.values():
        visible, _, hidden = task.tests.source.partition("### BEGIN HIDDEN TESTS")
        assert len(re.findall(r"\bexpect(?:_error)?\(", visible)) >= 3, task.function
        assert "assert" in hidden, task.function
        # nbgrader takes the value of a bare last expression for partial credit.
        assert not isinstance(ast.parse(task.tests.source).body[-1], ast.Expr), task.function


# Runs -----------------------------------------------------------------------------------------------------------------


@functools.cache
def listed(name):
    """Return the answers in mutants/: wrong ones that students give, and right ones written another way."""
    return yaml.safe_load((Path(__file__).parent / "mutants" / f"{name}.yaml").read_text(encoding="utf-8"))


@functools.cache
def tried(name):
    """Run all listed answers and the stubs, each with its own test cell, and return the outcome of each by its name."""
    answers = {one["name"]: (one["function"], one["code"]) for one in listed(name)}
    for task in projects(name).tasks.values():
        answers[f"{task.function} untouched"] = task.function, untouched(task.answer.source)
    with tempfile.TemporaryDirectory() as folder:
        results = projects(name).run_answers(list(answers.values()), quick_start(folder))
    return dict(zip(answers, results, strict=True))


class TestRuns:
    pytestmark = runs_notebooks

    def test_untouched_wrong_and_right_answers(self, name, project, tmp_path):
        """In one run of the whole notebook, which goes to its end, each task gets what its own answer deserves."""
        answers, states = project.mixture({one["function"]: one["code"] for one in listed(name) if one["loses"]})
        outcomes, rows = project.run(answers, quick_start(tmp_path))
        lost = {cell for cell, outcome in outcomes.items() if outcome.error}
        assert lost == {project.tasks[function].tests.id for function, state in states.items() if state != RIGHT}
        assert project.outcome_faults(states, outcomes, rows) == []
        # A quick run must never write over a hand-in.
        written = [path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()]
        assert set(written) == {"quick"}
        # No score depends on the stories, and grading leaves them out.
        without = project.run(answers, quick_start(tmp_path), stories=False)
        assert project.lost(without) == {function for function, state in states.items() if state != RIGHT}


class TestAnswers:
    pytestmark = runs_notebooks

    def test_enough_are_listed(self, name, project):
        assert len(listed(name)) == len({one["name"] for one in listed(name)})
        for function in project.tasks:
            mine = [one["loses"] for one in listed(name) if one["function"] == function]
            assert mine.count([function]) >= WRONG_ANSWERS, function
            assert mine.count([]) >= RIGHT_ANSWERS, function
            assert mine.count([function]) + mine.count([]) == len(mine), function

    def test_untouched_tasks_are_lost(self, name, project):
        """And so the untouched project has nothing: `test_tasks_are_independent` proves that no stub can stop the rest."""
        for function in project.tasks:
            error = tried(name)[f"{function} untouched"].error
            assert error.startswith("NotImplementedError: "), function
            assert NOT_ATTEMPTED in error, function

    def test_wrong_answers_lose_their_task(self, name):
        wrong = {one["name"] for one in listed(name) if one["loses"]}
        results = {one: result for one, result in tried(name).items() if one in wrong}
        assert [one for one, result in results.items() if not result.error] == []
        # Where a visible check fails, the student reads what is wrong. Hidden tests speak to the grader.
        said = {one: result.error.partition(f": {WRONG}. ")[1:] for one, result in results.items()}
        assert [one for one, (is_visible, why) in said.items() if is_visible and len(why.split()) < 3] == []

    def test_right_answers_keep_their_points(self, name):
        right = {one["name"] for one in listed(name) if not one["loses"]}
        assert [(one, result) for one, result in tried(name).items() if one in right and result.is_lost] == []
