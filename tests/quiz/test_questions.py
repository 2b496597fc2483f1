"""The quizzes: faults, keys, balance, what is generated from them, and the spelling in both languages."""

import functools
import re
from pathlib import Path

import pytest
from simplemma import is_known

from resumen.quiz import Text, load_quiz
from resumen.quiz.checks import FEWEST_QUESTIONS, faults, key_fault
from resumen.quiz.notebooks import build
from resumen.setup import LESSONS

ROOT = Path(__file__).parents[2]
QUIZZES = {lesson: load_quiz(ROOT / "quizzes" / f"{lesson}.yaml") for lesson in LESSONS}
COMPUTED = [question for quiz in QUIZZES.values() for question in quiz.questions if question.check]
WORDS = set((Path(__file__).parent / "words.txt").read_text(encoding="utf-8").split())

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
# Spanish joins pronouns to an infinitive, a gerund or an imperative: decirlo, guardándose, quitártelo.
WITH_PRONOUNS = re.compile(r"(.*(?:[aeiáéí]r|[aeiá]ndo))(?:me|te|se|nos)?(?:l[aeo]s?)?")
PLAIN_VOWELS = str.maketrans("áéí", "aei")


@pytest.fixture
def quiz(lesson):
    """The quiz of each lesson in turn."""
    return QUIZZES[lesson]


@pytest.mark.slow
def test_no_faults(lesson):
    """Of the whole file; the keys are computed here too, once more and together."""
    assert faults(ROOT / "quizzes" / f"{lesson}.yaml") == []


@pytest.mark.parametrize("question", COMPUTED, ids=lambda question: question.id)
def test_key_is_what_the_code_computes(question):
    assert key_fault(question) is None


def test_half_of_the_questions_show_something(quiz):
    """Code, output, or numbers to reckon with."""
    shown = [
        question
        for question in quiz.questions
        if question.code or question.output or re.search(r"\d", question.prompt["en"])
    ]
    assert 2 * len(shown) >= len(quiz.questions)


def test_ids_are_unique_in_the_course():
    ids = [question.id for quiz in QUIZZES.values() for question in quiz.questions]
    assert len(ids) == len(set(ids))
    assert len(ids) >= FEWEST_QUESTIONS * len(LESSONS)


def test_generated_files_are_in_step(lesson, tmp_path):
    """`resumen quiz build` writes what is committed, byte for byte."""
    (tmp_path / "quizzes").mkdir()
    for name in (f"quizzes/{lesson}.yaml", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for path in build(tmp_path, [lesson]):
        relative = path.relative_to(tmp_path)
        assert (ROOT / relative).is_file(), f"{relative} is missing: run `resumen quiz build`"
        assert (ROOT / relative).read_bytes() == path.read_bytes(), f"{relative} is old: run `resumen quiz build`"


def test_spelling(quiz):
    wrong = {
        f"{where}, {language}: {word}"
        for where, text in texts_of(quiz)
        for language in text
        for word in words_of(text[language])
        if not is_right(word, language)
    }
    assert sorted(wrong) == [], "mend them, or add a technical word to tests/quiz/words.txt"


def test_spelling_finds_mistakes():
    for word in ("recieve", "langauge", "wich"):
        assert not is_right(word, "en")
    for word in ("tambien", "funcion", "entrenamineto", "palbras", "dificil"):
        assert not is_right(word, "es")
    for word in ("summarisation", "reviews", "model's"):
        assert is_right(word, "en")
    for word in ("reseñas", "decirlo", "guardándose", "quitártelo", "compararse"):
        assert is_right(word, "es")
    assert words_of("It's `tokn` in *Spanish*: ¿qué? https://example.org/asdf 3.5 x_y") == [
        "it's",
        "in",
        "spanish",
        "qué",
        "x",
        "y",
    ]


def test_allowed_words_are_needed():
    used = {
        word
        for quiz in QUIZZES.values()
        for _, text in texts_of(quiz)
        for each in text.values()
        for word in words_of(each)
    }
    assert sorted(WORDS - {word.removesuffix("'s") for word in used}) == []


def texts_of(quiz) -> list[tuple[str, Text]]:
    """Return every text of a quiz with where it stands."""
    texts = [("title", quiz.title)]
    for question in quiz.questions:
        texts.append((question.id, question.prompt))
        texts += [(question.id, text) for choice in question.choices for text in (choice.text, choice.reason)]
        texts += [(question.id, mistake.reason) for mistake in question.mistakes]
        if question.reason:
            texts.append((question.id, question.reason))
    return texts


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case: not code, and not addresses."""
    return [word.replace("’", "'").lower() for word in WORD.findall(re.sub(r"`[^`]*`|https?://\S+", " ", text))]


@functools.cache
def is_right(word: str, language: str) -> bool:
    """Say whether a word is in the dictionary or allowed. Letters on their own are names of things."""
    forms = {word, word.removesuffix("'s")}
    if language == "es" and (match := WITH_PRONOUNS.fullmatch(word)):
        forms.add(match[1].translate(PLAIN_VOWELS))
    return len(word) == 1 or any(form in WORDS or is_known(form, lang=language) for form in forms)
