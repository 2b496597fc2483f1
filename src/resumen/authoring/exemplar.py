"""Make a project's worked hand-in again: `python -m resumen.authoring.exemplar premier`. A whole run takes minutes.

The source notebook becomes what a student hands in (the starter with the answers in it), is executed in solutions/<project>/hand-in/ and
writes its files there. Tables between markers in report.md are filled in anew. What is left is for a person: labels of predictions that
have changed, and the sentences of report.md and annotations.md. `resumen check` says what does not fit yet.
"""

import re
import sys
from pathlib import Path

import nbformat

from resumen.check.hand_in import LONGEST_CELL
from resumen.errors import CourseError
from resumen.files import PROJECT, REPORT, STARTER, TABLES, read_text, write_text
from resumen.notebooks import is_answer, normalize, read_notebook, run_notebook, write_notebook
from resumen.setup import PROJECTS


def answered(source: nbformat.NotebookNode, starter: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the starter with the source's answers in it, without markers, hidden tests and the teacher's notes."""
    solutions = {cell.id: cell.source for cell in source.cells if is_answer(cell)}
    notebook = nbformat.from_dict(starter)
    for cell in notebook.cells:
        if cell.id in solutions:
            cell.source = re.sub(
                r"^\s*### (?:BEGIN|END) SOLUTION\n?", "", solutions[cell.id], flags=re.MULTILINE
            ).rstrip()
    return notebook


def fill(report: str, tables: dict[str, str]) -> str:
    """Return a report with each table between `<!-- table: NAME -->` and `<!-- end -->` replaced."""
    for name, table in tables.items():
        report = re.sub(
            rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end -->)",
            lambda match, table=table: f"{match[1]}{table}\n{match[2]}",
            report,
            flags=re.DOTALL,
        )
    return report


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Number, in place, the code cells of a notebook that ran from top to bottom; `normalize` numbers only those with outputs."""
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = number
    return notebook


def main(project: str, root: Path = Path()) -> None:
    """Execute the project's hand-in and fill in its tables.

    Raises:
        CourseError: if the project has no source, or its notebook fails.
    """
    if project not in PROJECTS or not (root / "solutions" / project / PROJECT).is_file():
        raise CourseError(
            f"solutions/{project}/{PROJECT} not found: run this in the repository, with premier or capstone."
        )
    source, starter = (
        read_notebook(path) for path in (root / "solutions" / project / PROJECT, root / "capstone" / project / STARTER)
    )
    hand_in = root / "solutions" / project / "hand-in"
    path = hand_in / PROJECT
    write_notebook(answered(source, starter), path)

    def tell(done: int, total: int) -> None:
        print(f"code cell {done} of {total}", flush=True)

    notebook, _ = run_notebook(path, tell, timeout=LONGEST_CELL)
    write_notebook(executed(normalize(notebook)), path)
    report = hand_in / REPORT
    if report.is_file() and (hand_in / TABLES).is_file():
        text = read_text(hand_in / TABLES)
        tables = dict(re.findall(r"^## (\w+)\n\n(.*?)\n(?:\n|\Z)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE))
        write_text(report, fill(read_text(report), tables))
    print(f"{hand_in} is made again. Now: resumen check {hand_in}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
