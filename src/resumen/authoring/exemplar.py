"""Make a project's worked hand-in again: `python -m resumen.authoring.exemplar premier`. A whole run takes minutes.

The source notebook becomes what a student hands in (the starter with the answers in it), is executed in solutions/<project>/hand-in/ and
writes its files there. Tables between markers in report.md are filled in anew. What is left is for a person: labels of predictions that
have changed, and the sentences of report.md and annotations.md. `resumen check` says what does not fit yet.
"""

import re
import sys
from pathlib import Path

import nbformat

from resumen.execution import normalize, run_notebook, write_notebook
from resumen.grading.projects import LONGEST_CELL, NOTEBOOK, executed
from resumen.profiles import CourseError
from resumen.setup import PROJECTS


def answered(source: nbformat.NotebookNode, starter: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the starter with the source's answers in it, without markers, hidden tests and the teacher's notes."""
    solutions = {cell.id: cell.source for cell in source.cells if cell.metadata.get("nbgrader", {}).get("solution")}
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


def main(project: str, root: Path = Path()) -> None:
    """Execute the project's hand-in and fill in its tables.

    Raises:
        CourseError: if the project has no source, or its notebook fails.
    """
    if project not in PROJECTS or not (root / "solutions" / project / NOTEBOOK).is_file():
        raise CourseError(
            f"solutions/{project}/{NOTEBOOK} not found: run this in the repository, with premier or capstone."
        )
    source, starter = (
        nbformat.read(path, as_version=4)
        for path in (root / "solutions" / project / NOTEBOOK, root / "capstone" / project / "starter.ipynb")
    )
    hand_in = root / "solutions" / project / "hand-in"
    path = hand_in / NOTEBOOK
    write_notebook(answered(source, starter), path)

    def tell(done: int, total: int) -> None:
        print(f"code cell {done} of {total}", flush=True)

    notebook, _ = run_notebook(path, tell, timeout=LONGEST_CELL)
    write_notebook(executed(normalize(notebook)), path)
    if (hand_in / "report.md").is_file() and (hand_in / "tables.md").is_file():
        text = (hand_in / "tables.md").read_text(encoding="utf-8")
        tables = dict(re.findall(r"^## (\w+)\n\n(.*?)\n(?:\n|\Z)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE))
        report = hand_in / "report.md"
        report.write_text(fill(report.read_text(encoding="utf-8"), tables), encoding="utf-8")
    print(f"{hand_in} is made again. Now: resumen check {hand_in}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
