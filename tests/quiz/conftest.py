"""A sound quiz of twelve small questions, for tests that break it or look at how it is shown."""

import pytest

README = "# Stage 1\n\n" + "\n".join(f"- **S1.{number}** do something;" for number in range(1, 6))

HEAD = """\
stage: stage1_corpus
title: {en: "Quiz 1: words", es: "Cuestionario 1: palabras"}
questions:
"""

SINGLE = """\
  - id: s1-single-{number}
    objective: S1.{objective}
    type: single
    pool: {pool}
    points: 1
    prompt: {{en: "Which letter is number {number}?", es: "¿Cuál es la letra número {number}?"}}
    choices:
{choices}
"""

CHOICE = """\
      - text: {{en: "the {letter}", es: "la {letter}"}}
        right: {right}
        reason: {{en: "English reason {letter}{number}", es: "Motivo {letter}{number}"}}"""

MULTIPLE = """\
  - id: s1-multiple
    objective: S1.5
    type: multiple
    pool: self
    points: 2
    prompt:
      en: |
        Which of these are `True`?

        - Choose **all** of them.
      es: |
        ¿Cuáles valen `True`?

        - Elige **todas**.
    code: |
      small = [1, 2]
      print(small < [3])
    output: |
      True
    check: |
      result = [name for name in ("1 in small", "3 in small", "small", "2 in small") if eval(name) is True]
    choices:
      - text: {en: "`1 in small`", es: "`1 in small`"}
        value: 1 in small
        right: true
        reason: {en: "One is there.", es: "El uno está."}
      - text: {en: "`3 in small`", es: "`3 in small`"}
        value: 3 in small
        reason: {en: "Three is not there.", es: "El tres no está."}
      - text: {en: "`small`", es: "`small`"}
        value: small
        reason: {en: "A list is <b>no</b> truth value.", es: "Una lista no es un valor lógico."}
      - text: {en: "`2 in small`", es: "`2 in small`"}
        value: 2 in small
        right: true
        reason: {en: "Two is there.", es: "El dos está."}
"""

NUMERIC = """\
  - id: s1-numeric
    objective: S1.1
    type: numeric
    pool: self
    points: 1
    prompt: {en: "What is 3 divided by 4?", es: "¿Cuánto es 3 entre 4?"}
    check: |
      result = 3 / 4
    answer: 0.75
    tolerance: 0.01
    reason: {en: "Three quarters.", es: "Tres cuartos."}
    mistakes:
      - {value: 1.333, reason: {en: "That is 4 divided by 3.", es: "Eso es 4 entre 3."}}
      - {value: 0, reason: {en: "That is whole division.", es: "Eso es la división entera."}}
"""


def _single(number: int) -> str:
    letters = "abc"
    choices = "\n".join(
        CHOICE.format(letter=letter, number=number, right=str(place == number % 3).lower())
        for place, letter in enumerate(letters)
    )
    pool = "graded" if number > 7 else "self"
    return SINGLE.format(number=number, objective=(number + 1) // 2, pool=pool, choices=choices)


SOUND = HEAD + "".join(_single(number) for number in range(1, 11)) + MULTIPLE + NUMERIC


@pytest.fixture
def sound() -> str:
    """The text of a quiz without faults: singles 1 to 10 (8 to 10 graded), one multiple, one numeric."""
    return SOUND


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a quiz of stage 1 into a repository of its own and returns its path."""
    folder = tmp_path / "stages" / "stage1_corpus"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(README, encoding="utf-8")
    (tmp_path / "quizzes").mkdir()

    def save(text: str, name: str = "stage1_corpus"):
        path = tmp_path / "quizzes" / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return save


@pytest.fixture
def sample(write, sound):
    """The sound quiz, loaded."""
    from resumen.quiz import load_quiz

    return load_quiz(write(sound))
