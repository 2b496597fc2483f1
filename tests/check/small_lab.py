"""A lab of two tasks and a written answer, small enough to damage in every way."""

import re

import nbformat
from labrun import untouched
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

STAGE = "stage1_corpus"

SETUP = f'''from resumen.lab import report, task

stage = "{STAGE}"  # the labs of the course say setup("{STAGE}")'''

DOUBLE = '''def double(number: int) -> int:
    """Return twice the number."""
    ### BEGIN SOLUTION
    return number + number
    ### END SOLUTION'''

DOUBLE_TESTS = """with task("Task 1 · double"):
    assert double(2) == 4, f"Got {double(2)}, expected 4. Hint: two times two."
### BEGIN HIDDEN TESTS
assert double(-3) == -6, "negative numbers"
### END HIDDEN TESTS"""

SHOUT = '''def shout(text: str) -> str:
    """Return the text in capitals."""
    ### BEGIN SOLUTION
    return text.upper()
    ### END SOLUTION'''

SHOUT_TESTS = """with task("Task 2 · shout"):
    assert shout("año") == "AÑO", f"Got {shout('año')}, expected AÑO. Hint: ñ has a capital."
### BEGIN HIDDEN TESTS
assert shout("") == "", "empty text"
### END HIDDEN TESTS"""


def source() -> nbformat.NotebookNode:
    """Return the source notebook: with solutions and hidden tests."""
    cells = [
        new_markdown_cell("# Lab 0: a small lab", id="title"),
        new_code_cell(SETUP, id="setup"),
        new_markdown_cell("## Task 1 · double (45 points)", id="double-story"),
        graded("double", DOUBLE, solution=True),
        graded("double-tests", DOUBLE_TESTS, points=45),
        new_markdown_cell("## Task 2 · shout (45 points)", id="shout-story"),
        graded("shout", SHOUT, solution=True),
        graded("shout-tests", SHOUT_TESTS, points=45),
        new_markdown_cell("Why does `double` need no loop?", id="written-question"),
        graded("written", "### BEGIN SOLUTION\nBecause of `+`.\n### END SOLUTION", points=10, solution=True),
        new_code_cell("report()", id="report"),
    ]
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return new_notebook(cells=cells, metadata=metadata)


def released() -> nbformat.NotebookNode:
    """Return the notebook that students get."""
    notebook = source()
    for cell in notebook.cells:
        cell.source = re.sub(r"### BEGIN HIDDEN TESTS.*### END HIDDEN TESTS", "", cell.source, flags=re.DOTALL).rstrip()
        if cell.cell_type == "code":
            cell.source = untouched(cell.source)
            cell.metadata.tags = ["raises-exception"]
    notebook.cells[-2].source = "YOUR ANSWER HERE"
    return notebook


def graded(name: str, text: str, points: int | None = None, solution: bool = False) -> nbformat.NotebookNode:
    """Return an answer cell (no points), a test cell (points) or a written answer (both)."""
    meta = {"grade": bool(points), "solution": solution, "locked": not solution, "task": False, "schema_version": 3}
    if points:
        meta["points"] = points
    new_cell = new_markdown_cell if points and solution else new_code_cell
    return new_cell(text, id=name, metadata={"nbgrader": {**meta, "grade_id": name}})
