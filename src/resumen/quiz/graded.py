"""The graded quiz: an nbgrader source notebook, `solutions/<stage>/quiz.ipynb`, from the questions with `pool: graded`.

Every question has three cells: the question in both languages, an answer cell, and a test. The visible half of the test looks
at the form of the answer; the hidden half holds the key, and nbgrader removes it from what students get.
"""

from textwrap import indent

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from resumen.address import Address
from resumen.errors import CourseError
from resumen.files import QUIZ
from resumen.quiz import Question, Quiz

LETTERS = "ABCDE"

INTRODUCTION = """\
# {en} · {es}

{badge}

> **{questions} questions, {points} points.** Write each answer into its cell, run the cell, then run the check below it. The check looks at the
> form of your answer. It does not know whether the answer is right, and a wrong one costs its own points only.
>
> - *One choice is right:* a letter, such as `"B"`.
> - *Several may be right:* letters, such as `"AC"` or `["A", "C"]`. You get (right letters − wrong letters) ÷ all right letters of the points,
>   never less than 0, rounded to two decimals.
> - *A number:* digits with a decimal point, such as `0.25`.

> **{questions} preguntas, {points} puntos.** Escribe cada respuesta en su celda, ejecútala y ejecuta después la comprobación que la sigue. La
> comprobación mira la forma de la respuesta. No sabe si es correcta, y una respuesta equivocada solo cuesta sus propios puntos.
>
> - *Una sola opción correcta:* una letra, como `"B"`.
> - *Puede haber varias:* letras, como `"AC"` o `["A", "C"]`. Obtienes (letras correctas − letras incorrectas) ÷ total de letras correctas de los
>   puntos, nunca menos de 0, con redondeo a dos decimales.
> - *Un número:* cifras con punto decimal, como `0.25`."""

ANSWERS = {
    "single": ('""', 'one letter, such as "B" · una letra, como "B"'),
    "multiple": ('""', 'letters, such as "AC" · letras, como "AC"'),
    "numeric": ("None", "a number, such as 0.25 · un número, como 0.25"),
}
"""For each type: what stands in the answer cell before the answer, and its comment."""


def graded_notebook(quiz: Quiz, address: Address) -> nbformat.NotebookNode:
    """Return the nbgrader source of a stage's graded quiz, the same for the same quiz, cell ids included.

    Raises:
        CourseError: if the quiz has no question with `pool: graded`.
    """
    questions = quiz.pool("graded")
    if not questions:
        raise CourseError(f"The quiz of {quiz.stage} has no question with `pool: graded`.")
    introduction = INTRODUCTION.format(
        **quiz.title,
        badge=address.badge(f"labs/{quiz.stage}/{QUIZ}"),
        questions=len(questions),
        points=sum(question.points for question in questions),
    )
    cells = [new_markdown_cell(introduction, id="introduction"), new_code_cell(address.first_cell, id="first")]
    for number, question in enumerate(questions, start=1):
        cells += [
            new_markdown_cell(_question(number, question), id=f"{question.id}-question"),
            new_code_cell(_answer(question), id=f"{question.id}-answer", metadata=_answer_metadata(question)),
            new_code_cell(_test(question), id=f"{question.id}-test", metadata=_test_metadata(question)),
        ]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return new_notebook(cells=cells, metadata=metadata)


def right_letters(question: Question) -> str:
    """Return the letters of the right choices, such as `AC`."""
    return "".join(letter for letter, choice in zip(LETTERS, question.choices, strict=False) if choice.right)


def answer_name(question: Question) -> str:
    """Return the name of the variable that takes the answer: `answer_s3_clipped_counts`."""
    return f"answer_{question.id.replace('-', '_')}"


def _question(number: int, question: Question) -> str:
    points = "1 point · 1 punto" if question.points == 1 else f"{question.points} points · {question.points} puntos"
    parts = [f"## {number} · {question.objective} · {points}", question.prompt["en"], question.prompt["es"]]
    if question.code:
        parts.append(f"```python\n{question.code.rstrip()}\n```")
    if question.output:
        parts += ["Output · Salida:", f"```text\n{question.output.rstrip()}\n```"]
    # The Spanish text stands under the English one, unless both are the same, as a number is.
    for letter, choice in zip(LETTERS, question.choices, strict=False):
        english, spanish = (choice.text[language].strip() for language in ("en", "es"))
        text = english if english == spanish else f"{english}\n\n{spanish}"
        parts.append(f"- **{letter}.** {indent(text, '  ').strip()}")
    return "\n\n".join(part.strip() for part in parts)


def _answer(question: Question) -> str:
    name, (empty, comment) = answer_name(question), ANSWERS[question.type]
    key = repr(question.answer) if question.type == "numeric" else f'"{right_letters(question)}"'
    return f"{name} = {empty}  # {comment}\n### BEGIN SOLUTION\n{name} = {key}\n### END SOLUTION"


def _test(question: Question) -> str:
    """Return the test: the form of the answer in sight, the key hidden. Reasons reach the student with the feedback."""
    name = answer_name(question)
    letters = LETTERS[: len(question.choices)]
    key = right_letters(question)
    reasons = "".join(
        f"    {_quoted(letter)}: {_quoted(_bilingual(choice.reason))},\n"
        for letter, choice in zip(LETTERS, question.choices, strict=False)
    )
    if question.type == "single":
        helper, form = "one_letter", f'one_letter({name}, "{letters}")'
        hidden = f'reasons = {{\n{reasons}}}\nassert chosen == "{key}", f"got {{chosen}}, expected {key}. {{reasons[chosen]}}"'
    elif question.type == "multiple":
        # A number as the last expression is nbgrader's partial credit.
        helper, form = "some_letters", f'some_letters({name}, "{letters}")'
        hidden = (
            f"from resumen.quiz.answers import share\n\nreasons = {{\n{reasons}}}\n"
            f'for letter in sorted(chosen ^ set("{key}")):\n    print(f"{{letter}}: {{reasons[letter]}}")\n'
            f'round({question.points} * share(chosen, "{key}"), 2)'
        )
    else:
        helper, form = "a_number", f"a_number({name})"
        hidden = (
            f"from resumen.quiz.answers import near\n\nreason = {_quoted(_bilingual(question.reason))}\n"
            f"assert near(chosen, {question.answer!r}, {question.tolerance!r}), "
            f'f"got {{chosen}}, expected {question.answer!r}. {{reason}}"'
        )
    return (
        f"# The form of your answer · La forma de tu respuesta\nfrom resumen.quiz.answers import {helper}\n\n"
        f"chosen = {form}\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
    )


def _bilingual(reason: dict[str, str]) -> str:
    return "\n".join(reason[language].strip() for language in ("en", "es"))


def _quoted(text: str) -> str:
    """Return a Python string in the quotes that ruff's formatter prefers."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    if '"' in text and "'" not in text:
        return f"'{escaped}'"
    return '"' + escaped.replace('"', '\\"') + '"'


def _answer_metadata(question: Question) -> dict:
    # nbgrader leaves no `raise NotImplementedError` in a cell with this tag: an empty answer is enough (grading.preprocessors).
    return {"tags": ["plain-answer"], "nbgrader": _nbgrader(f"{question.id}-answer", solution=True)}


def _test_metadata(question: Question) -> dict:
    return {"nbgrader": _nbgrader(question.id, grade=True, locked=True) | {"points": question.points}}


def _nbgrader(grade_id: str, grade: bool = False, solution: bool = False, locked: bool = False) -> dict:
    return {
        "cell_type": "code",
        "grade": grade,
        "grade_id": grade_id,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
