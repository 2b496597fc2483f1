"""`resumen feedback`: a page for each notebook that its student can read, in English or Spanish, without the hidden tests."""

import re
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path

import jinja2

from resumen.errors import CourseError
from resumen.instructor.gradebook import Course, Points, Standing, standings
from resumen.instructor.job import (
    NOT_ATTEMPTED,
    NOT_RUN,
    PARTLY,
    RIGHT,
    TO_READ,
    WRONG,
    Result,
    Task,
    read_result,
    write_whole,
)
from resumen.instructor.release import REGION
from resumen.instructor.spanish import in_spanish, message_in_spanish
from resumen.notebooks import is_answer, is_test, read_notebook

READ = "read"
"""The outcome of an answer that a person has read."""

ENGLISH = {
    "title": "Feedback",
    "points": "points",
    "of": "of",
    "so_far": "so far; some answers are still to be read",
    "task": "Task",
    "outcome": "Outcome",
    "why": "What the test said",
    "answers": "Your answers",
    "comment": "Comment",
    "damage": "What was mended",
    "damage_why": "Your file did not come as it was handed out. This was done before it was graded:",
    "reason": "Why it was not run to its end",
    "hidden": "A check failed that is not in your notebook.",
    RIGHT: "right",
    PARTLY: "partly right",
    WRONG: "wrong",
    NOT_ATTEMPTED: "not attempted",
    NOT_RUN: "not run",
    TO_READ: "still to be read",
    READ: "read",
}

SPANISH = {
    "title": "Comentarios",
    "points": "puntos",
    "of": "de",
    "so_far": "por ahora; faltan respuestas por leer",
    "task": "Tarea",
    "outcome": "Resultado",
    "why": "Lo que dijo la prueba",
    "answers": "Tus respuestas",
    "comment": "Comentario",
    "damage": "Lo que se reparó",
    "damage_why": "Tu archivo no llegó como se entregó. Antes de corregirlo se hizo esto:",
    "reason": "Por qué no se ejecutó hasta el final",
    "hidden": "Falló una comprobación que no está en tu cuaderno.",
    RIGHT: "bien",
    PARTLY: "bien en parte",
    WRONG: "mal",
    NOT_ATTEMPTED: "sin intentar",
    NOT_RUN: "sin ejecutar",
    TO_READ: "por leer",
    READ: "leída",
}

WORDS = {"en": ENGLISH, "es": SPANISH}

LEAST_LINE = 12
"""Characters of the shortest line of a hidden test that no message may hold: shorter ones, such as `else:`, tell nothing."""


def write_feedback(course: Course, stages: list[str] | None = None, language: str = "en") -> list[Path]:
    """Write a page for each notebook that was graded, and return them.

    Args:
        course: the instructor's folder.
        stages: the assignments; by default all.
        language: `en` or `es`: of the page. What a test of the lab says, it says in its own language.

    Raises:
        CourseError: if there is no such stage or language, or nothing was graded.
    """
    if language not in WORDS:
        raise CourseError(f"There is no feedback in {language!r}: take --language en or --language es.")
    for stage in stages or ():
        if stage not in course.notebooks:
            raise CourseError(f"There is no stage {stage!r}: solutions/ holds {', '.join(course.notebooks)}.")
    pages = []
    for one in standings(course, stages):
        result = read_result(course.result(one.student, one.assignment, one.notebook))
        if result and one.is_graded:
            place = course.feedback(one.student, one.assignment, one.notebook)
            write_whole(place, page(course, result, one, language))
            pages.append(place)
    if not pages:
        raise CourseError("Nothing was graded yet: run `resumen grade` first.")
    return pages


def page(course: Course, result: Result, standing: Standing, language: str = "en") -> str:
    """Return the page of one notebook as HTML."""
    words = WORDS[language]
    secrets = _secrets(course, result)
    cells = {cell.name: cell for cell in standing.cells}
    say, say_of_a_test = (in_spanish, message_in_spanish) if language == "es" else (str, str)
    messages = [_without(secrets, task.message, words, say_of_a_test) for task in result.tasks]
    rows = [
        _row(task, cells.get(task.id), message, words) for task, message in zip(result.tasks, messages, strict=True)
    ]
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("resumen").joinpath("instructor", "feedback.html").read_text(encoding="utf-8")
    )
    known = [row["points"] for row in rows if row["points"] is not None]
    return template.render(
        words=words,
        language=language,
        student=result.student,
        name=f"{result.assignment} · {result.notebook}",
        points=sum(known) - standing.penalty,
        most=sum(row["most"] for row in rows),
        is_whole=standing.score is not None,
        rows=rows,
        answers=list(_answers(result)),
        damage=[_without(secrets, sentence, words, say) for sentence in result.damage],
        reason=_without(secrets, result.reason, words, say),
    )


def _row(task: Task, cell: Points | None, message: str, words: dict[str, str]) -> dict:
    """Return what a row of the table shows: the gradebook's points, which a person may have changed, and the test's message."""
    score = task.points if cell is None else cell.score
    outcome = task.outcome
    if cell and cell.to_read:
        score, outcome = None, TO_READ
    elif cell and cell.written and score is not None and outcome == TO_READ:
        outcome = READ
    return {
        "name": task.name,
        "points": score,
        "most": task.most,
        "outcome": words[outcome],
        "kind": outcome.replace(" ", "-"),
        "message": message or (words["hidden"] if outcome == WRONG else ""),
        "comment": cell.comment if cell else "",
    }


def _answers(result: Result) -> Iterable[dict]:
    for cell in result.executed.cells:
        if is_answer(cell):
            name = cell.metadata.nbgrader.grade_id
            yield {"name": name, "source": cell.source, "is_code": cell.cell_type == "code"}


def _secrets(course: Course, result: Result) -> set[str]:
    """Return the lines of the hidden tests."""
    secrets = set()
    for cell in read_notebook(course.source(result.assignment, result.notebook)).cells:
        if is_test(cell):
            for region in REGION.finditer(cell.source):
                secrets |= {line.strip() for line in region[0].splitlines()[1:-1]}
    return {line for line in secrets if len(line) >= LEAST_LINE}


def _without(secrets: set[str], text: str, words: dict[str, str], say: Callable[[str], str]) -> str:
    """Return what `say` makes of a message, or in its place a sentence if it tells a line of a hidden test.

    An answer can read what tests it, and say it.
    """
    squeezed = re.sub(r"\s+", " ", text)
    told = any(re.sub(r"\s+", " ", line) in squeezed for line in secrets)
    return words["hidden"] if told else say(text)
