"""The points of a self-check, kept in the learner's workspace.

The page counts them in JavaScript, which reaches no file. So the learner enters what the page says, in a field below the quiz.
"""

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path

from resumen.errors import CourseError
from resumen.explore.reader import reader_present
from resumen.files import WORKSPACE, find_workspace, keep_entry, number_in, read_json
from resumen.quiz import Quiz

SCORES = WORKSPACE.with_name("scores.json")
"""{stage: [points, of]}"""


@dataclass(frozen=True)
class Score:
    """Points of a self-check, out of those that it has."""

    points: float
    of: float

    def __str__(self) -> str:
        return f"{self.points:g}/{self.of:g}"


def read_scores(workspace: Path) -> dict[str, Score]:
    """Return the scores kept in a workspace by stage; what cannot be read of them is left out."""
    scores = {}
    with contextlib.suppress(CourseError):
        for stage, kept in read_json(workspace / SCORES).items():
            with contextlib.suppress(TypeError, ValueError):
                points, of = kept
                scores[stage] = Score(float(points), float(of))
    return scores


def keep_score(workspace: Path, stage: str, score: Score) -> None:
    """Keep a score; an earlier one of the stage goes."""
    keep_entry(workspace / SCORES, stage, [score.points, score.of])


def ask_score(quiz: Quiz) -> None:
    """Display a field for the points and a button, if a person reads this in a workspace."""
    workspace = find_workspace(Path.cwd())
    if workspace is None or not reader_present():
        return
    import ipywidgets as widgets  # here: the package itself needs none
    from IPython.display import display

    of = sum(question.points for question in quiz.pool("self"))
    kept = read_scores(workspace).get(quiz.stage)
    field = widgets.Text(
        value=f"{kept.points:g}" if kept else "",
        description=f"Your points, of {of} · Tus puntos, de {of}",
        style={"description_width": "initial"},
        layout={"width": "100%", "max_width": "26em"},
    )
    button = widgets.Button(
        description="Keep · Guardar", tooltip="Keep the points for your progress · Guarda los puntos"
    )
    said = widgets.HTML()

    def keep(*_) -> None:
        points = number_in(field.value)
        if math.isnan(points) or not 0 <= points <= of:
            said.value = f"Write a number from 0 to {of}. · Escribe un número de 0 a {of}."
            return
        try:
            keep_score(workspace, quiz.stage, Score(points, of))
        except OSError as error:
            said.value = f"Not kept: {error.strerror}. · No se ha guardado: {error.strerror}."
            return
        said.value = "Kept: resumen progress shows it. · Guardado: lo muestra resumen progress."

    button.on_click(keep)
    field.on_msg(lambda _, content, __: keep() if content.get("event") == "submit" else None)  # the key Enter
    display(widgets.VBox([field, button, said]))
