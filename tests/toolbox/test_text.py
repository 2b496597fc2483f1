"""Words and sentences in English and Spanish. The hard cases live in sentences.yaml."""

import random
import re
import unicodedata
from pathlib import Path

import pytest
import yaml

from resumen.text import (
    ABBREVIATIONS,
    MAY_END,
    STOP_WORDS,
    count_stop_words,
    near_duplicates,
    ngrams,
    split_sentences,
    tokenize_words,
)

FIXTURE = yaml.safe_load(Path(__file__).with_name("sentences.yaml").read_text(encoding="utf-8"))
CASES = [
    pytest.param(language, case["text"], case["sentences"], id=f"{language}-{kind}-{number}".replace(" ", "_"))
    for language, kinds in FIXTURE.items()
    for kind, cases in kinds.items()
    for number, case in enumerate(cases)
]
LISTED = [(language, short) for language, shorts in ABBREVIATIONS.items() for short in shorts.split()]
PLAIN = {
    "en": [
        "It works.",
        "Is it new?",
        "What a book!",
        "I paid $3.50.",
        "Dr. Hill said so.",
        "“Never again.”",
        "(It broke.)",
        "See www.example.com.",
        "So we wait…",
        "Well, 9 a.m. is too early...",
        "Pens, ink, etc.",
    ],
    "es": [
        "Funciona.",
        "¿Es nuevo?",
        "¡Qué libro!",
        "Pagué 3,50.",
        "Lo dijo la Dra. Gil.",
        "«Nunca más.»",
        "(Se rompió.)",
        "Vea www.ejemplo.es.",
        "Así que espero…",
        "A las 9 a. m. es pronto...",
        "¡¿En serio?!",
    ],
}


def squeeze(text):
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("language", ["en", "es"])
def test_fixture(language):
    cases = [case for kind in FIXTURE[language].values() for case in kind]
    assert len(cases) >= 70
    assert len({case["text"] for case in cases}) == len(cases)
    for case in cases:
        assert squeeze(case["text"]) == squeeze("".join(case["sentences"])), case


@pytest.mark.parametrize(("language", "text", "sentences"), CASES)
def test_sentences(language, text, sentences):
    assert split_sentences(text, language) == sentences


@pytest.mark.parametrize(("language", "short"), LISTED)
def test_listed_abbreviation_never_ends_a_sentence(language, short):
    for form in (short, short.capitalize(), short.upper(), unicodedata.normalize("NFD", short)):
        for text in (
            f"Vi {form} Uno",
            f"Vi «{form} Uno» y",
            f"¿{form} Dos?",
            f"Vi {form} 3 y {form} ¿dos",
            f"({form}) Uno",
        ):
            assert split_sentences(text, language) == [text]


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("short", MAY_END.split())
def test_other_abbreviation_ends_a_sentence_before_a_capital_only(language, short):
    for form in (short, short.capitalize(), unicodedata.normalize("NFD", short)):
        for going_on in (f"Vi {form}. y dos.", f"Vi {form}. 3 y dos.", f"Vi ({form}.) y dos."):
            assert split_sentences(going_on, language) == [going_on]
        if (language, f"{short}.") not in LISTED:
            assert split_sentences(f"Vi {form}. Y dos.", language) == [f"Vi {form}.", "Y dos."]
            assert split_sentences(f"Vi {form}. ¿Y dos?", language) == [f"Vi {form}.", "¿Y dos?"]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "am apt art as ed fan fig gym him in it mar me no pm rep sat son sun us"),
        ("es", "as bar col dos eso fin luz mar mes no par pez sal ser si sol son tal tan vez"),
    ],
)
def test_words_are_no_abbreviations(language, words):
    for word in words.split():
        assert split_sentences(f"One {word}. Two.", language) == [f"One {word}.", "Two."]


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("mark", ["…", "...", "....", "…»", '..."', "…)"])
@pytest.mark.parametrize(
    ("rest", "ends"),
    [
        ("Ya", True),
        ("Él", True),
        ("E\u0301l", True),
        ("¿y tú?", True),
        ("¡ya!", True),
        ("«Ya»", True),
        ("(Ya)", True),
        ("ya", False),
        ("él", False),
        ("3 más", False),
        ("«ya»", False),
        ("(ya)", False),
        ("—dijo", False),
        ("y Ana", False),
    ],
)
def test_ellipsis_ends_a_sentence_before_a_capital_only(language, mark, rest, ends):
    text = f"Es que{mark} {rest}"
    assert split_sentences(text, language) == ([f"Es que{mark}", rest] if ends else [text])


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("seed", range(25))
def test_joined_sentences_come_apart_again(language, seed):
    sentences = random.Random(seed).choices(PLAIN[language], k=12)
    assert split_sentences(" ".join(sentences), language) == sentences


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_lost_on_noise(language, seed):
    rng = random.Random(seed)
    pieces = [
        ". ",
        "... ",
        "…",
        "? ",
        "! ",
        "¿",
        "¡",
        " ",
        "«",
        "»",
        '"',
        "(",
        ")",
        "Sr. ",
        "etc. ",
        "3",
        "a",
        "No",
        "é",
        "😀",
    ]
    text = "".join(rng.choices(pieces, k=60))
    sentences = split_sentences(text, language)
    assert squeeze("".join(sentences)) == squeeze(text)
    assert all(sentence == sentence.strip() != "" and sentence in text for sentence in sentences)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["palabra? y ", "…", "?!", "? ", "a"])
def test_long_text_is_split_in_time(piece):
    text = piece * (40_000 // len(piece))
    assert squeeze("".join(split_sentences(text, "es"))) == squeeze(text)


@pytest.mark.parametrize("language", ["fr", "EN", "english", "", None])
@pytest.mark.parametrize("text", ["It works.", ""])
def test_unknown_language(text, language):
    with pytest.raises(ValueError, match="language"):
        split_sentences(text, language)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n", []),
        ("¡¿…?!", []),
        ("The Hunger Games!", ["the", "hunger", "games"]),
        ("DAÑADO", ["dañado"]),
        ("¿Qué tal, Íñigo?", ["qué", "tal", "íñigo"]),
        ("man\u0303ana pingu\u0308ino", ["mañana", "pingüino"]),
        ("pingüino", ["pingüino"]),
        ("Straße", ["strasse"]),
        ("3.50 € o 1,5", ["3", "50", "o", "1", "5"]),
        ("don't e-book", ["don", "t", "e", "book"]),
        ("snake_case 2.º", ["snake_case", "2", "º"]),
        ("«sí»—no", ["sí", "no"]),
        ("Me 😍 encanta", ["me", "encanta"]),
        ("no no No", ["no", "no", "no"]),
        ("línea\nnueva", ["línea", "nueva"]),
        ("日本語 Ελλάδα", ["日本語", "ελλάδα"]),
    ],
)
def test_words(text, words):
    assert tokenize_words(text) == words


def test_accents_make_words_differ():
    assert tokenize_words("año") != tokenize_words("ano")
    assert tokenize_words("AÑO") == tokenize_words("an\u0303o") == ["año"]


SPOKEN = {
    "ca": "Aquest llibre és molt bo, però no el tornaria a llegir perquè és massa llarg.",
    "de": "Das Buch ist sehr gut, aber ich würde es nicht noch einmal lesen, denn es ist zu lang.",
    "en": "This is a very good book, but I would not read it again because it is too long.",
    "es": "Este libro es muy bueno, pero no lo volvería a leer porque es demasiado largo.",
    "fr": "Ce livre est très bon, mais je ne le lirais pas une autre fois parce qu'il est trop long.",
    "it": "Questo libro è molto bello, ma non lo leggerei un'altra volta perché è troppo lungo.",
    "pt": "Este livro é muito bom, mas não o leria outra vez porque é longo e um pouco chato.",
}


@pytest.mark.parametrize("language", SPOKEN)
def test_stop_words_speak_for_their_language(language):
    assert set(SPOKEN) == set(STOP_WORDS)
    for text in (SPOKEN[language], unicodedata.normalize("NFD", SPOKEN[language].upper())):
        counts = count_stop_words(text)
        assert all(counts[language] > counts[other] for other in SPOKEN if other != language), counts
    assert count_stop_words("") == dict.fromkeys(STOP_WORDS, 0)


def test_a_word_of_two_languages_counts_for_both():
    counts = count_stop_words("no")
    assert counts["en"] == counts["es"] == 1 and counts["de"] == 0


def test_ngrams():
    assert ngrams("Uno, dos: ¡uno, dos!", 2) == [("uno", "dos"), ("dos", "uno"), ("uno", "dos")]
    assert ngrams("Uno, dos", 3) == ngrams("", 1) == []


class TestNearDuplicates:
    WORDS = "one two three four five six seven eight nine ten eleven".split()

    def test_half_of_the_8_grams(self):
        source = " ".join(self.WORDS)  # four 8-grams
        near, far = " ".join([*self.WORDS[:9], "other", "end"]), " ".join([*self.WORDS[:8], "other", "end", "now"])
        found = near_duplicates([source, near, far, "one two three"], [source.upper().replace(" ", ", ")])
        assert found == {0: {0: 4}, 1: {0: 2}}

    def test_the_source_texts_count_together(self):
        texts = ["a b c d e f g h i j", "one two", "k l m n o p q r s t", "?"]
        source = ["x a b c d e f g h y", "b c d e f g h i j z", "One, two!", "k l m n o p q r", "!"]
        assert near_duplicates(texts, source) == {0: {0: 1, 1: 2}, 1: {2: 1}}

    def test_a_repeated_8_gram_counts_once(self):
        eight = " ".join(self.WORDS[:8])
        assert near_duplicates([f"{eight} {eight} {eight}"], [eight]) == {}
