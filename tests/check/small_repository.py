"""A repository small enough to be changed in every way: one lab that can be run, lectures, quizzes and pages of a few lines."""

import json
from pathlib import Path

import nbformat
import small_lab
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from resumen.setup import LESSONS, PROJECTS, STAGES, lecture_path

LECTURE = f"stages/{small_lab.STAGE}/lecture.ipynb"
LAB = f"labs/{small_lab.STAGE}/lab.ipynb"


def make(root: Path) -> Path:
    """Write the repository and return it."""
    write(root / "pyproject.toml", address(published=False))
    write(root / "src/resumen/corpus.py", "")
    for lesson in LESSONS:
        run = new_code_cell("1 + 1", id="run", execution_count=1)
        run.outputs = [new_output("execute_result", {"text/plain": "2"}, execution_count=1)]
        lecture = new_notebook(
            cells=[new_markdown_cell(f"# {lesson}", id="top"), run, new_code_cell("2 + 2", id="more")]
        )
        write(lecture_path(root, lesson), lecture)
        write(root / f"quizzes/{lesson}.ipynb", new_notebook(cells=[new_code_cell("show_quiz()", id="show")]))
    for stage in STAGES:
        write(root / f"stages/{stage}/README.md", "See [the code](../../src/resumen/corpus.py), [map](../README.md).\n")
        write(root / f"labs/{stage}/lab.ipynb", small_lab.released())
        write(root / f"solutions/{stage}/lab.ipynb", small_lab.source())
    for project in PROJECTS:
        write(root / f"capstone/{project}/brief.md", "Read [the rubric](rubric.md#levels).\n")
        write(root / f"capstone/{project}/rubric.md", "# Rubric\n")
        write(root / f"capstone/{project}/starter.ipynb", small_lab.released())
    write(root / "docs/workspace.md", "# Your workspace\n")
    write(root / "docs/setup.md", "# Set-up\n")
    rows = [f"| n | [a title]({lesson}/README.md) | 70 | 75 | 15 | |" for lesson in STAGES]
    rows += ["| n | [Primer](primer.ipynb) | 65 | | 20 | |", "", "[Set-up](../docs/setup.md)"]
    write(root / "stages/README.md", "\n".join(rows) + "\n")
    return root


def address(published: bool) -> str:
    lines = ['owner = "o"', 'repository = "r"', 'tag = "v1"', f"published = {json.dumps(published)}"]
    return "\n".join(["[tool.resumen]", *lines, ""])


def write(path: Path, content: str | nbformat.NotebookNode) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else nbformat.writes(content) + "\n"
    path.write_text(text, encoding="utf-8")


def change(path: Path, **texts: str) -> None:
    """Change cells of a notebook, by their ids with _ for -."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if (name := cell.id.replace("-", "_")) in texts:
            cell.source = texts.pop(name)
    assert not texts
    write(path, notebook)


def texts(path: Path) -> dict[str, str]:
    return {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}


def strip_ids(path: Path) -> None:
    """What Colab does to a notebook."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        del cell["id"]
    path.write_text(json.dumps({**notebook, "nbformat_minor": 4}), encoding="utf-8")
