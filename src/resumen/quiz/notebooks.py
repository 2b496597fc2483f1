"""What is generated from a quiz and committed: the self-check, `quizzes/<stage>.ipynb`, which nbval compares strictly, the
questions that the package carries for it, and the source of the graded quiz."""

from collections.abc import Iterable
from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from resumen.address import Address, read_address
from resumen.files import QUIZ
from resumen.notebooks import normalize, write_notebook
from resumen.quiz import Quiz, load_quiz
from resumen.quiz.graded import graded_notebook
from resumen.quiz.render import plain_text, render
from resumen.setup import PRIMER

INTRODUCTION = """# {title[en]} · {title[es]}

{badge}

Run both cells, answer, and choose *Check*: you get the reason for what you chose, and a score at the end that only you see.

Ejecuta las dos celdas, responde y pulsa *Comprobar*: verás el motivo de lo que elegiste y, al final, una puntuación que solo ves tú."""


def self_check_notebook(quiz: Quiz, address: Address) -> nbformat.NotebookNode:
    """Return the notebook of a stage's self-check, executed and normalised. The same quiz gives the same notebook."""
    shown = {"text/html": render(quiz), "text/plain": plain_text(quiz)}
    name = f"quiz-{quiz.stage.split('_')[0]}"
    cells = [
        new_markdown_cell(
            INTRODUCTION.format(title=quiz.title, badge=address.badge(f"quizzes/{quiz.stage}.ipynb")),
            id=f"{name}-title",
        ),
        new_code_cell(address.first_cell, id=f"{name}-import"),
        new_code_cell(
            f'from resumen.quiz import show_quiz\n\nshow_quiz("{quiz.stage}")',
            id=f"{name}-show",
            metadata={"tags": ["nbval-check-output"]},
            outputs=[new_output("display_data", data=shown)],
        ),
    ]
    return normalize(new_notebook(cells=cells))


def build(root: Path, stages: Iterable[str]) -> list[Path]:
    """Write what is generated from each `quizzes/<stage>.yaml` and return the files: the same bytes if nothing changed.

    Raises:
        CourseError: if a quiz cannot be read, or has no graded question.
    """
    # A notebook on Colab has the package and nothing else of the repository. So the package carries the questions of the
    # self-check, without the graded ones, and the notebook computes its output from them: nbval then tests the renderer too.
    address, written = read_address(root), []
    for stage in stages:
        source = root / "quizzes" / f"{stage}.yaml"
        quiz = load_quiz(source)
        data = yaml.safe_load(source.read_text(encoding="utf-8"))
        data["questions"] = [entry for entry in data["questions"] if entry["pool"] == "self"]
        packaged = root / "src" / "resumen" / "data" / "quizzes" / f"{stage}.yaml"
        packaged.parent.mkdir(parents=True, exist_ok=True)
        packaged.write_text(
            f"# Generated from quizzes/{stage}.yaml by `resumen quiz build`: do not edit.\n"
            + yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=120),
            encoding="utf-8",
        )
        notebook = root / "quizzes" / f"{stage}.ipynb"
        write_notebook(self_check_notebook(quiz, address), notebook)
        written += [packaged, notebook]
        if stage != PRIMER:
            graded = root / "solutions" / stage / QUIZ
            write_notebook(graded_notebook(quiz, address), graded)
            written.append(graded)
    return written
