"""What is left out when a notebook is graded: the cells that tell the story, and nothing else."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from small_course import RIGHT, STAGE, graded, hand_in, lab

from resumen.instructor.grade import _job
from resumen.instructor.gradebook import Course
from resumen.instructor.job import COLD, WARM, kernels, read_result, run_job
from resumen.instructor.plan import LEFT_OUT, STORY, Plan, left_out
from resumen.instructor.rebuild import STUDENT, rebuild
from resumen.notebooks import is_test, read_notebook

TESTS = 'with task("Task 1 · double"):\n    rows = [1, 2]\n    expect(double(rows[0]), LIMIT, "hint")'
TELLS = "import pandas as pd\nrows = [double(row) for row in range(3)]\ntable = pd.DataFrame(rows)\ntable"


def story(source, **options):
    return new_code_cell(source, metadata={"tags": [STORY]}, **options)


def out(answer="def double(x):\n    return 2 * x", added="", tests=TESTS, tool="LIMIT = 2"):
    """Say whether the story is left out that stands between a task's answer and its tests."""
    cells = [
        new_code_cell("%pip --version\nfrom resumen.lab import expect, task"),
        new_code_cell(tool),
        graded("double", answer, solution=True),
        story(TELLS),
        new_code_cell(added, metadata={"tags": [STUDENT]}),
        graded("double-tests", tests, grade=True, points=1),
    ]
    places = left_out(new_notebook(cells=cells))
    assert places <= {3}
    return bool(places)


@pytest.mark.parametrize(
    "answer",
    [
        "def double(x):\n    table = [x]\n    return table[0] * 2",
        "def double(x, rows=None):\n    return x + x",
        "for _ in range(3):\n    pass",
        "import re\nre.compile('a')\nmodel.eval()",
        "other.query('stars > @least')",
        "x ==",
        "x = '\ud800'",
        "-" * 100_000 + "1",
    ],
    ids=range(8),
)
def test_a_story_is_left_out(answer):
    assert out(answer)
    assert out(added=answer)


@pytest.mark.parametrize(
    "answer",
    [
        "def double(x):\n    return table",
        "rows = rows[1:]",
        "pd.Series([1])",
        "other.query('stars > @rows.max()')",
        "globals()",
        "eval('rows')",
        "exec('rows')",
        "get_ipython().user_ns",
        "%who",
        "!ls",
        "import __main__",
        "import sys\nsys.modules",
        "import inspect",
        "from os import *",
        "double.__globals__",
        "print(_3)",
        "print(_)",
        "print(In[1])",
    ],
)
def test_all_is_run_for_who_reads_it_or_looks_around(answer):
    assert not out(answer)
    assert not out(added=answer)


def test_all_is_run_where_the_tag_is_not_true():
    assert not out(tests=TESTS + "\nexpect(len(table), 3)")
    assert not out(tool="def tool():\n    return table")
    assert out(tool="rows = 1\nrows + 1")


def test_the_tests_kernel_needs_no_story():
    """Tests and stories call their variables alike, which is no reason to run one for the other."""
    cells = [
        story("rows = range(9)"),
        new_code_cell("LIMIT = 2"),
        graded("double", "def double(x):\n    return 2 * x", solution=True),
        graded("double-tests", TESTS, grade=True, points=1),
    ]
    plan = Plan(new_notebook(cells=cells))
    assert plan.needed_by(cells[-1]) == [cells[1]]
    assert plan.asked_by(cells[-1]) == ["double", "expect", "task"]


def test_the_tag_is_the_instructors(folder):
    """A student can neither tag a cell nor take a tag away, and a story that they changed is theirs."""
    source = lab()
    source.cells[4:4] = [story("counted = 3\ncounted", id="one"), story("told = 4\ntold", id="other")]
    submitted = nbformat.from_dict(source)
    submitted.cells[3].metadata.tags = [STORY]
    submitted.cells[4].metadata.tags = []
    submitted.cells.insert(3, story("LIMIT = 7", id="mine"))
    notebook, _ = rebuild(source, nbformat.writes(submitted).encode())
    assert [notebook.cells[place].id for place in sorted(left_out(notebook))] == ["one", "other"]
    submitted.cells[6].source += "  # or five"
    notebook, _ = rebuild(source, nbformat.writes(submitted).encode())
    assert [notebook.cells[place].id for place in sorted(left_out(notebook))] == ["one"]
    submitted.cells[6].source += "\ncounted"
    notebook, _ = rebuild(source, nbformat.writes(submitted).encode())
    assert left_out(notebook) == set()


@pytest.mark.parametrize("kind", ["lab", "project", "quiz"])
def test_every_tag_of_the_course_is_true(root, kind):
    """No answer, test or other cell reads what a story binds, and all of them are left out. `tests/grading` runs labs without them."""
    for path in sorted(root.glob(f"solutions/*/{kind}.ipynb")):
        notebook = read_notebook(path)
        tagged = {place for place, cell in enumerate(notebook.cells) if STORY in cell.metadata.get("tags", [])}
        assert left_out(notebook) == tagged, path
        assert bool(tagged) == (kind != "quiz"), path
        # What loads a corpus or a model for no test is a story.
        left = [cell for place, cell in enumerate(notebook.cells) if cell.cell_type == "code" and place not in tagged]
        needed = {cell.id for test in filter(is_test, left) for cell in Plan(notebook).needed_by(test)}
        idle = [cell for cell in left if "nbgrader" not in cell.metadata and cell.id not in needed]
        assert [cell.id for cell in idle if "load_" in cell.source] == [], path


@pytest.mark.slow
@pytest.mark.thorough
def test_it_is_said_and_scores_agree(folder):
    """A story that costs: run in the cold, where every cell is, and left out else."""
    told_by = story("counted = [double(number) for number in range(3)]\ncounted", id="story")
    source = lab()
    source.cells.insert(4, told_by)
    nbformat.write(source, folder / "solutions" / STAGE / "lab.ipynb")
    course = Course(folder)
    told = {}
    for mode in (COLD, WARM):
        job = _job(course, hand_in(folder, "Ana", RIGHT), mode)
        with kernels(course, mode):
            run_job(job)
        result = read_result(job.path, job.key)
        (cell,) = (cell for cell in result.executed.cells if cell.source == told_by.source)
        told[mode] = result.points, "".join(one.get("text") or one.data["text/plain"] for one in cell.outputs)
    assert told == {COLD: (10, "[0, 2, 4]"), WARM: (10, LEFT_OUT)}
