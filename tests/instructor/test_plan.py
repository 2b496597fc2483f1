"""What is left out when a notebook is graded: what nothing graded depends on, and nothing else."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from small_course import RIGHT, STAGE, graded, hand_in, lab

from resumen.instructor.grade import _job
from resumen.instructor.gradebook import Course
from resumen.instructor.job import COLD, WARM, kernels, read_result, run_job
from resumen.instructor.plan import LEFT_OUT, left_out
from resumen.instructor.rebuild import STUDENT
from resumen.notebooks import is_answer, is_test, read_notebook

TESTS = 'with task("Task 1 · double"):\n    rows = [1, 2]\n    expect(double(rows[0]), LIMIT, "hint")'


def out(cell, answer="def double(x):\n    return 2 * x", added="", tests=TESTS, before="rows = [3, 4]"):
    """Say whether the cell is left out that stands between a task's answer and its tests."""
    cells = [
        new_code_cell("import os\nimport random\nimport numpy as np\nimport pandas as pd\nimport resumen"),
        new_code_cell("LIMIT = 2"),
        new_code_cell(before),
        graded("double", answer, solution=True),
        new_code_cell(cell),
        new_code_cell(added, metadata={"tags": [STUDENT]}),
        graded("double-tests", tests, grade=True, points=1),
    ]
    places = left_out(new_notebook(cells=cells))
    assert not places & {0, 1, 3, 5, 6}
    return 4 in places


@pytest.mark.parametrize(
    "cell",
    [
        "pd.DataFrame({'doubled': [double(row) for row in rows]})",
        "table = {}\nfor row in rows:\n    table[row] = double(row)\nprint(table)\ntable",
        "rows",
        "pd.set_option('display.width', 100)\nrandom.seed(1)\npd.DataFrame(rows)",
        "import tempfile\nwith tempfile.TemporaryDirectory() as place:\n    pd.DataFrame(rows).to_csv(place + '/rows.csv')",
        "report()",
    ],
)
def test_what_only_shows_is_left_out(cell):
    assert out(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "import json",
        "def helper(x):\n    return x",
        "%matplotlib inline",
        "!echo 1",
        "LIMIT = 3",
        "LIMIT += 1",
        "if rows:\n    LIMIT = 4",
        "os.environ['A'] = 'b'",
        "pd.options.display.width = 3",
        "prepare()\nrows",
        "prepare().now()\nrows",
        "import warnings\nwarnings.filterwarnings('ignore')\nrows",
        "open('left.txt', 'w').write('for the tests')",
        "pd.DataFrame(rows).to_csv('rows.csv')",
        "globals()['LIMIT'] = 3",
        "from resumen.text import split_sentences\nsplit_sentences('')  # makes resumen.text known to who reads resumen",
        "this is no Python",
    ],
)
def test_what_may_do_more_is_run(cell):
    tests = TESTS + "\n    resumen.text"
    assert not out(cell, tests=tests)


@pytest.mark.parametrize(
    "cell",
    ["rows.append(5)", "fill(rows)", "one = rows\none.append(2)", "lengths = fill(rows)", "rows[0] = 1", "use()"],
)
def test_what_may_change_what_an_answer_reads_is_run(cell):
    answer = "def double(x):\n    return 2 * x + len(rows)"
    before = "rows = [3, 4]\ndef use():\n    rows.clear()"
    assert not out(cell, answer=answer, before=before)
    assert not out(cell, added="rows", before=before)


@pytest.mark.parametrize(
    "answer",
    [
        "globals()",
        "eval('rows')",
        "exec('rows')",
        "get_ipython().user_ns",
        "%who",
        "import __main__",
        "import sys\nsys.modules",
        "import inspect",
        "from os import *",
        "print(_3)",
        "print(_)",
        "print(In[1])",
    ],
)
def test_nothing_is_left_out_for_who_looks_around(answer):
    assert not out("pd.DataFrame(rows)", answer=answer)
    assert not out("pd.DataFrame(rows)", added=answer)


@pytest.mark.parametrize("answer", ["for _ in range(3):\n    pass", "import re\nre.compile('a')\nmodel.eval()", "x =="])
def test_what_looks_alike_does_not(answer):
    assert out("pd.DataFrame({'a': [1]})", answer=answer)


def test_a_cell_that_was_needed_by_one_that_is_needed():
    cells = [
        new_code_cell("raw = [1]"),
        new_code_cell("other = [1]"),
        new_code_cell("LIMIT = len(raw)"),
        graded("double", "double = len", solution=True),
        graded("double-tests", "expect(double([1]), LIMIT)", grade=True, points=1),
        new_code_cell("LIMIT = 5"),
    ]
    assert left_out(new_notebook(cells=cells)) == {1, 5}
    assert left_out(new_notebook(cells=cells[:3])) == set()  # nothing is graded: who knows why it is run


@pytest.mark.parametrize("stage", ["stage1_corpus", "stage2_tokenization", "stage3_rouge_baseline", "stage4_trainer"])
def test_labs(root, stage):
    """Setup and tools are run, and no corpus is loaded for a story between two tasks."""
    notebook = read_notebook(root / "solutions" / stage / "lab.ipynb")
    places = left_out(notebook)
    assert not any(is_answer(notebook.cells[place]) or is_test(notebook.cells[place]) for place in places)
    assert any("load_reviews(" in notebook.cells[place].source for place in places)
    assert not any("import numpy" in notebook.cells[place].source for place in places)


@pytest.mark.slow
def test_it_is_said_and_scores_agree(folder):
    """A cell that costs, between a task and its tests: run in the cold, where every cell is, and left out else."""
    story = new_code_cell("counted = [double(number) for number in range(3)]\ncounted", id="story")
    source = lab()
    source.cells.insert(4, story)
    nbformat.write(source, folder / "solutions" / STAGE / "lab.ipynb")
    course = Course(folder)
    told = {}
    for mode in (COLD, WARM):
        job = _job(course, hand_in(folder, "Ana", RIGHT), mode)
        with kernels(course, mode):
            run_job(job)
        result = read_result(job.path, job.key)
        (cell,) = (cell for cell in result.executed.cells if cell.source == story.source)
        told[mode] = result.points, "".join(one.get("text") or one.data["text/plain"] for one in cell.outputs)
    assert told == {COLD: (10, "[0, 2, 4]"), WARM: (10, LEFT_OUT)}
