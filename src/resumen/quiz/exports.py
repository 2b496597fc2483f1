"""A quiz for other systems: GIFT for Moodle, QTI for Canvas, JSON for jupyterquiz.

All three take HTML, so Markdown and code become HTML once, here, and each format only hides the characters that it reads as
its own syntax. What a format cannot hold is said in quizzes/README.md.
"""

import json
import re
from dataclasses import replace
from decimal import Decimal
from html import escape
from textwrap import indent

from resumen.errors import CourseError
from resumen.quiz import LANGUAGES, POOLS, Question, Quiz
from resumen.quiz.render import markdown

FORMATS = ("gift", "qti", "jupyterquiz")
OUTPUT = {"en": "Output:", "es": "Salida:"}
OTHER_NUMBER = {"en": "No. Work it out once more.", "es": "No. Vuelve a calcularlo."}


def export(quizzes: list[Quiz], format: str, language: str) -> bytes:
    """Return a file with these quizzes: `gift`, `qti` (one quiz only) or `jupyterquiz`.

    Raises:
        CourseError: if the format or the language is unknown, or the format cannot hold the quizzes.
    """
    if format not in FORMATS:
        raise CourseError(f"There is no format {format!r}: choose {', '.join(FORMATS)}.")
    if language not in LANGUAGES:
        raise CourseError(f"There is no language {language!r}: choose {' or '.join(LANGUAGES)}.")
    if format == "qti":
        if len(quizzes) > 1:
            raise CourseError("A QTI file holds one quiz: export them one by one.")
        return to_qti(quizzes[0], language)
    if format == "gift":
        return "\n".join(to_gift(quiz, language) for quiz in quizzes).encode()
    questions = [question for quiz in quizzes for question in to_jupyterquiz(quiz, language)]
    return (json.dumps(questions, ensure_ascii=False, indent=1) + "\n").encode()


def select(quiz: Quiz, pool: str) -> Quiz:
    """Return the quiz with the questions of one pool, or all of them.

    Raises:
        CourseError: if there is no such pool, or no question in it.
    """
    if pool not in (*POOLS, "all"):
        raise CourseError(f"There is no pool {pool!r}: choose {', '.join(POOLS)}, all.")
    questions = quiz.questions if pool == "all" else quiz.pool(pool)
    if not questions:
        raise CourseError(f"The quiz of {quiz.stage} has no question with `pool: {pool}`.")
    return replace(quiz, questions=questions)


def to_gift(quiz: Quiz, language: str) -> str:
    """Return the quiz in Moodle's GIFT format: a category with the stage's name, question ids, objectives as tags.

    A wrong choice of a multiple question takes away what a right one gives, as in the graded notebook.
    GIFT has no place for points: they stand in a comment.
    """
    blocks = [f"// {quiz.title[language]}\n$CATEGORY: resumen/{quiz.stage}"]
    for question in quiz.questions:
        answers = "\n".join(f"\t{answer}" for answer in _gift_answers(question, language))
        numeric = "#" if question.type == "numeric" else ""
        blocks.append(
            f"// [id:{question.id}] [tag:{question.objective}] points: {question.points}\n"
            f"::{question.id}::[html]{_gift(_prompt(question, language))}{{{numeric}\n{answers}\n}}"
        )
    return "\n\n".join(blocks) + "\n"


def to_qti_text(quiz: Quiz, language: str) -> str:
    """Return the quiz as the source text of text2qti, which makes Canvas's QTI of it."""
    parts = [f"Quiz title: {quiz.title[language]}"]
    for number, question in enumerate(quiz.questions, start=1):
        prompt = _qti(f"{number}. ", _prompt(question, language))
        parts.append(
            "\n".join(
                [f"Title: {question.id}", f"Points: {question.points}", prompt, *_qti_answers(question, language)]
            )
        )
    return "\n\n".join(parts) + "\n"


def to_qti(quiz: Quiz, language: str) -> bytes:
    """Return the zip file that Canvas imports.

    Raises:
        CourseError: if text2qti is not installed, or refuses the quiz.
    """
    try:
        from text2qti import config, err, qti
        from text2qti import quiz as text2qti_quiz
    except ImportError:
        raise CourseError(
            "text2qti is not installed: run `pip install -e '.[qti]' -c constraints.txt` in the repository."
        ) from None
    try:
        return qti.QTI(text2qti_quiz.Quiz(to_qti_text(quiz, language), config=config.Config())).zip_bytes()
    except err.Text2qtiError as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise CourseError(f"text2qti refuses the quiz of {quiz.stage}: {said}.") from None


def to_jupyterquiz(quiz: Quiz, language: str) -> list[dict]:
    """Return the quiz as the list that `jupyterquiz.display_quiz` takes. It keeps neither ids nor points."""
    kinds = {"single": "multiple_choice", "multiple": "many_choice", "numeric": "numeric"}
    return [
        {
            "question": _jupyterquiz(_prompt(question, language)),
            "type": kinds[question.type],
            "answers": _jupyterquiz_answers(question, language),
        }
        for question in quiz.questions
    ]


def _gift_answers(question: Question, language: str) -> list[str]:
    if question.type == "numeric":
        # The first that fits counts, and the mistakes are worth nothing.
        numbers = [("", question.answer, question.reason)]
        numbers += [("%0%", mistake.value, mistake.reason) for mistake in question.mistakes]
        return [
            f"={worth}{_digits(value)}:{_digits(question.tolerance)}#{_gift(_html(reason[language]))}"
            for worth, value, reason in numbers
        ]
    share = f"{100 / sum(choice.right for choice in question.choices):.5f}".rstrip("0").rstrip(".")
    marks = {"single": ("=", "~"), "multiple": (f"~%{share}%", f"~%-{share}%")}[question.type]
    return [
        f"{marks[0] if choice.right else marks[1]}{_gift(_inline(choice.text[language]))}#{_gift(_html(choice.reason[language]))}"
        for choice in question.choices
    ]


def _gift(html: str) -> str:
    r"""Return HTML as GIFT takes it. A brace or backslash becomes an entity: not every reader of GIFT knows `\}` and `\\`.

    So does a percent sign at the start, where a share of the points would stand.
    """
    html = re.sub(r"[{}\\]|^%", lambda match: f"&#{ord(match[0])};", html)
    return re.sub(r"[~=#:]", r"\\\g<0>", html).replace("\n", r"\n")


def _qti_answers(question: Question, language: str) -> list[str]:
    if question.type == "numeric":
        low, high = question.answer - question.tolerance, question.answer + question.tolerance
        mistakes = "\n".join(
            f"<p>{_digits(mistake.value)}:</p>\n{_html(mistake.reason[language])}" for mistake in question.mistakes
        )
        return [
            _qti("+ ", _html(question.reason[language])),
            _qti("- ", mistakes),
            # text2qti takes no number near 0, of which Canvas keeps four decimals: then the answer is compared as text.
            *(
                [f"= {_digits(question.answer)} +- {_digits(question.tolerance)}"]
                if min(abs(low), abs(high)) >= 1e-4
                else [f"* {text}" for text in _spellings(question.answer)]
            ),
        ]
    lines = []
    for letter, choice in zip("abcde", question.choices, strict=False):
        right, wrong = {"single": (f"*{letter}) ", f"{letter}) "), "multiple": ("[*] ", "[ ] ")}[question.type]
        lines += [
            _qti(right if choice.right else wrong, _html(choice.text[language])),
            _qti("... ", _html(choice.reason[language])),
        ]
    return lines


def _digits(number: float) -> str:
    """Return a number in digits, without an exponent: 0.00005 and not 5e-05, which not every reader of GIFT knows."""
    return format(Decimal(repr(number)), "f")


def _spellings(number: float) -> list[str]:
    """Return a number near 0 as students write it, digits first: 0.00005, 0,00005, .00005, 5e-5, 5E-5, 5e-05."""
    digits = _digits(number)
    texts = [digits, digits.replace(".", ",")]
    if number:
        sign, exponent = "-" * (number < 0), f"{abs(number):e}".split("e")[1]
        mantissa = _digits(float(Decimal(repr(abs(number))).scaleb(-int(exponent)))).removesuffix(".0")
        texts += [
            digits.replace("0.", ".", 1),
            *(f"{sign}{mantissa}{e}" for e in (f"e{int(exponent)}", f"E{int(exponent)}", f"e{exponent}")),
        ]
    else:
        texts += ["0", "0.0", "0,0"]
    return list(dict.fromkeys(texts))


def _qti(mark: str, html: str) -> str:
    """Return HTML behind its mark, indented as text2qti wants it. It would read `$` and a backslash as LaTeX."""
    html = html.replace("\\", "&#92;").replace("$", "&#36;")
    return mark + indent(html, " " * len(mark)).lstrip()


def _jupyterquiz_answers(question: Question, language: str) -> list[dict]:
    if question.type != "numeric":
        return [
            {
                "answer": _jupyterquiz(_inline(choice.text[language])),
                "correct": choice.right,
                "feedback": _jupyterquiz(_html(choice.reason[language])),
            }
            for choice in question.choices
        ]
    numbers = [(question.answer, question.reason, True)]
    numbers += [(mistake.value, mistake.reason, False) for mistake in question.mistakes]
    answers = []
    for value, reason, right in numbers:
        # jupyterquiz leaves the upper end of a range out.
        edge = 1e-9 * max(abs(value), question.tolerance)
        low, high = (float(f"{end:.15g}") for end in (value - question.tolerance, value + question.tolerance + edge))
        where = {"range": [low, high]} if question.tolerance else {"value": value}
        answers.append({**where, "correct": right, "feedback": _jupyterquiz(_html(reason[language]))})
    return [*answers, {"type": "default", "feedback": OTHER_NUMBER[language]}]


def _jupyterquiz(html: str) -> str:
    """Return HTML in which jupyterquiz finds no LaTeX and no Markdown link."""
    return html.replace("$", "&#36;").replace("](", "]&#40;")


def _prompt(question: Question, language: str) -> str:
    parts = [_html(question.prompt[language])]
    if question.code:
        parts.append(f"<pre><code>{escape(question.code.rstrip(), quote=False)}</code></pre>")
    if question.output:
        parts += [f"<p>{OUTPUT[language]}</p>", f"<pre>{escape(question.output.rstrip(), quote=False)}</pre>"]
    return "\n".join(parts)


def _html(text: str) -> str:
    return markdown.render(text).strip()


def _inline(text: str) -> str:
    return markdown.renderInline(text.strip())
