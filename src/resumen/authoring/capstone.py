"""Make the exemplar of the capstone again: run its notebook and write the hand-in's figures, sheets and cards.

    python -m resumen.authoring.capstone

Run it in the repository, after `resumen release capstone`. It takes minutes: two fine-tunes and a test split. The proposal, the report, the talk and
the demo are written by hand; read the report again afterwards, since it quotes the figures.
"""

import re
import shutil
from pathlib import Path

import nbformat

from resumen.execution import normalize, run_notebook, write_notebook
from resumen.grading import capstone, check, projects
from resumen.grading.contract import EMBEDDED_NEWS
from resumen.grading.raters import RATERS

SOURCE = Path("solutions/capstone/project.ipynb")
HAND_IN = Path("solutions/capstone/hand-in")


def answered(source: Path, released: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the starter with the reference's answers in it, as a student would hand it in."""
    notebook, _ = check.mend(released, check.read(source))
    for cell in notebook.cells:
        cell.source = re.sub(r"^[ \t]*### (?:BEGIN|END) SOLUTION\n?", "", cell.source, flags=re.MULTILINE).rstrip()
        cell.metadata.pop("tags", None)  # a hand-in raises nothing
    return notebook


def main() -> None:
    """Run the notebook in the folder of the hand-in."""
    HAND_IN.mkdir(parents=True, exist_ok=True)
    for name in ("key.csv", *(f"sheet_{rater}.csv" for rater in RATERS)):
        (HAND_IN / name).unlink(missing_ok=True)  # a sheet is never overwritten, and these are simulated
    shutil.copyfile(EMBEDDED_NEWS, HAND_IN / capstone.CORPUS[1])
    shutil.copyfile(EMBEDDED_NEWS.parent / "README.md", HAND_IN / "DATA_CARD.md")
    path = HAND_IN / projects.NOTEBOOK
    write_notebook(answered(SOURCE, check.released_lab("capstone")), path)
    notebook, _ = run_notebook(path)
    write_notebook(projects.executed(normalize(notebook)), path)


if __name__ == "__main__":
    main()
