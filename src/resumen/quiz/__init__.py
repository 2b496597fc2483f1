"""The quizzes: one YAML file per stage is the only source; what students see is generated from it.

`load_quiz` reads a file, `show_quiz` shows a stage's self-check in a notebook. Both are all that a student's notebook needs.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from resumen.errors import CourseError
from resumen.profiles import DATA

LANGUAGES = {"en": "English", "es": "Spanish"}
POOLS = ("self", "graded")

Text = dict[str, str]
"""Markdown in each language: `{"en": ..., "es": ...}`."""

SELF_CHECKS = DATA / "quizzes"
"""What `resumen quiz build` takes from `quizzes/` for the self-checks. It travels inside the package; `quizzes/` does not."""


@dataclass(frozen=True)
class Choice:
    """One choice of a single or multiple question; `value` is what `check` computes if the choice is right, else None."""

    text: Text
    value: object
    right: bool
    reason: Text


@dataclass(frozen=True)
class Mistake:
    """A wrong number that people really give, and what went wrong."""

    value: float
    reason: Text


@dataclass(frozen=True)
class Question:
    """One question. What its type has no use for is empty: `choices` of a numeric one, `answer` of the others.

    Attributes:
        id: `s3-clipped-counts`: unique and stable.
        objective: `S3.1`.
        type: `single`, `multiple` or `numeric`.
        pool: `self` for the self-check, `graded` for the assignment only.
        points: 1 to 3.
        prompt: the question.
        code: Python shown under the prompt, or "".
        output: text shown as the output of a program, or "".
        check: Python that runs after `code` and binds the key to `result`, or "".
        choices: of a single or multiple question.
        answer: of a numeric question, else None.
        tolerance: how far from `answer` a right number may be.
        reason: of a numeric question, else None.
        mistakes: of a numeric question.
    """

    id: str
    objective: str
    type: str
    pool: str
    points: int
    prompt: Text
    code: str
    output: str
    check: str
    choices: tuple[Choice, ...]
    answer: float | None
    tolerance: float
    reason: Text | None
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True)
class Quiz:
    """A stage's questions, of both pools, in the order of the file."""

    stage: str
    title: Text
    questions: tuple[Question, ...]

    def pool(self, name: str) -> tuple[Question, ...]:
        """Return the questions of one pool. The keys of `graded` must not reach a student."""
        return tuple(question for question in self.questions if question.pool == name)


def load_quiz(path: str | Path) -> Quiz:
    """Return the quiz in a YAML file. Whether its questions are good ones is for `resumen.quiz.checks` to say.

    Raises:
        CourseError: if the file cannot be read or does not have the form of a quiz.
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
        return Quiz(data["stage"], data["title"], tuple(_question(entry) for entry in data["questions"]))
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise CourseError(
            f"{path} does not have the form of a quiz: `resumen quiz check {path}` says what is wrong."
        ) from None


def _question(entry: dict) -> Question:
    return Question(
        id=entry["id"],
        objective=entry["objective"],
        type=entry["type"],
        pool=entry["pool"],
        points=entry["points"],
        prompt=entry["prompt"],
        code=entry.get("code", ""),
        output=entry.get("output", ""),
        check=entry.get("check", ""),
        choices=tuple(
            Choice(choice["text"], choice.get("value"), choice.get("right", False), choice["reason"])
            for choice in entry.get("choices", ())
        ),
        answer=entry.get("answer"),
        tolerance=entry.get("tolerance", 0),
        reason=entry.get("reason"),
        mistakes=tuple(Mistake(mistake["value"], mistake["reason"]) for mistake in entry.get("mistakes", ())),
    )


def show_quiz(stage: str) -> None:
    """Show the self-check of a stage, such as `stage3_rouge_baseline`, as the output of a notebook's cell.

    Raises:
        CourseError: if there is no stage of that name.
    """
    from IPython.display import display

    from resumen.quiz.render import plain_text, render
    from resumen.quiz.score import ask_score

    stages = sorted(path.stem for path in SELF_CHECKS.glob("*.yaml"))
    if stage not in stages:
        raise CourseError(f"There is no quiz for {stage!r}: choose one of {', '.join(stages)}.")
    quiz = load_quiz(SELF_CHECKS / f"{stage}.yaml")
    display({"text/html": render(quiz), "text/plain": plain_text(quiz)}, raw=True)
    ask_score(quiz)
