"""The floors and the ceiling: lead-k, a random sentence, the whole text, the oracle."""

import random
from collections import Counter

import pytest

from resumen.baselines import copy_text, lead_k, oracle_sentence, random_sentence
from resumen.metrics import rouge_n
from resumen.text import split_sentences

TEXTS = {
    "en": "Dr. Hill wrote it. It cost $3.50! Is it worth it? Well... it is.",
    "es": "Lo escribió la Dra. Gil. ¡Costó 3,50! ¿Vale la pena? Bueno… sí.",
}
SENTENCES = {
    "en": ["Dr. Hill wrote it.", "It cost $3.50!", "Is it worth it?", "Well... it is."],
    "es": ["Lo escribió la Dra. Gil.", "¡Costó 3,50!", "¿Vale la pena?", "Bueno… sí."],
}
BLANKS = ["", "   "]


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("k", [0, 1, 2, 3, 4, 5, 100])
def test_lead_k(language, k):
    assert lead_k(TEXTS[language], language, k) == "\n".join(SENTENCES[language][:k])


@pytest.mark.parametrize("language", ["en", "es"])
def test_lead_is_three_sentences_by_default(language):
    assert lead_k(TEXTS[language], language).split("\n") == SENTENCES[language][:3]


@pytest.mark.parametrize("language", ["en", "es"])
def test_copy_text(language):
    assert copy_text(TEXTS[language], language).split("\n") == SENTENCES[language]


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("blank", BLANKS)
def test_blank_text(blank, language):
    assert lead_k(blank, language) == ""
    assert copy_text(blank, language) == ""
    assert random_sentence(blank, language, random.Random(0)) == ""
    assert oracle_sentence(blank, "Good", language) == ""


@pytest.mark.parametrize("language", ["en", "es"])
def test_random_sentence_is_any_sentence_alike(language):
    rng = random.Random(0)
    drawn = Counter(random_sentence(TEXTS[language], language, rng) for _ in range(200))
    assert set(drawn) == set(SENTENCES[language])
    assert all(30 <= count <= 70 for count in drawn.values())


def test_random_sentence_depends_on_the_generator_only():
    def draw(seed):
        rng = random.Random(seed)
        return [random_sentence(TEXTS["es"], "es", rng) for _ in range(20)]

    assert draw(1) == draw(1) != draw(2)


@pytest.mark.parametrize(
    ("text", "reference", "best"),
    [
        ("Good book. Bad end.", "a bad end", "Bad end."),
        ("Good book. Bad end.", "BOOK", "Good book."),
        ("A dog. A dog.  A cat.", "cat", "A cat."),
        ("Red pen. Red ink.", "red", "Red pen."),
        ("One. Two. Three.", "nothing alike", "One."),
        ("One. Two.", "", "One."),
        # F, not recall: the long sentence holds all of the reference and still loses.
        ("It is a good book, they said, and so much more than that. Good.", "good book", "Good."),
        # F, not precision: the short sentence holds nothing else and still loses.
        ("Good. A good old long book.", "a good old long story", "A good old long book."),
        # ROUGE-1, not ROUGE-2: more single words win.
        ("Good book here. Book old good.", "good book old", "Book old good."),
    ],
)
def test_oracle(text, reference, best):
    assert oracle_sentence(text, reference, "en") == best


def test_oracle_minds_accents():
    assert oracle_sentence("Tiene un ano. Tiene un año.", "año", "es") == "Tiene un año."


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("seed", range(20))
def test_no_sentence_beats_the_oracle(language, seed):
    rng = random.Random(seed)
    words = ["uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho"]
    text = " ".join(" ".join(rng.choices(words, k=rng.randint(1, 6))).capitalize() + "." for _ in range(6))
    reference = " ".join(rng.choices(words, k=4))
    sentences = split_sentences(text, language)
    scores = [rouge_n(sentence, reference).fmeasure for sentence in sentences]
    assert len(sentences) == 6
    assert oracle_sentence(text, reference, language) == sentences[scores.index(max(scores))]


def test_oracle_is_verbatim():
    assert oracle_sentence("  ¡Que\u0301  BIEN!   No. ", "qué bien", "es") == "¡Que\u0301  BIEN!"


@pytest.mark.parametrize("language", ["fr", "ES", ""])
def test_unknown_language(language):
    for call in (
        lambda: lead_k("Uno.", language),
        lambda: copy_text("Uno.", language),
        lambda: random_sentence("Uno.", language, random.Random(0)),
        lambda: oracle_sentence("Uno.", "uno", language),
    ):
        with pytest.raises(ValueError, match="language"):
            call()
