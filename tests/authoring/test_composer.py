"""The composer and its phrase banks, which give text in bulk."""

import random

import pytest

from resumen.authoring.composer import Composer
from resumen.authoring.phrases import CATEGORIES, capitalise, expand, item_slots, load_bank, uncapitalise
from resumen.corpus import LANGUAGES
from resumen.text import tokenize_words


def test_the_same_seed_gives_the_same_reviews():
    composers = [Composer("en", random.Random(seed)) for seed in (1, 1, 2)]
    item = load_bank("en", "pc")["items"][0]
    one, again, other = ([composer.review("pc", item, 4) for _ in range(5)] for composer in composers)
    assert one == again != other


def test_of_several_titles_the_one_that_echoes_is_kept():
    """The body is drawn first, so the same seed gives the same body with one title and with many."""
    item = load_bank("es", "book")["items"][0]
    few, many = [], []
    for seed in range(20):
        for titles, shares in ((1, few), (12, many)):
            body, title = Composer("es", random.Random(seed)).review("book", item, 2, titles)
            said = set(tokenize_words(body))
            shares.append(sum(word in said for word in tokenize_words(title)) / len(tokenize_words(title)))
    assert all(one <= best for one, best in zip(few, many, strict=True))
    assert sum(many) > 1.5 * sum(few)


@pytest.mark.parametrize(
    ("line", "readings"),
    [
        ("plain", {"Plain"}),
        ("[a|b] c", {"A c", "B c"}),
        ("[a [b|c]|d]", {"A b", "A c", "D"}),
        ("good[ very|], yes", {"Good very, yes", "Good, yes"}),
        ("[|really ]fine [|indeed] .", {"Fine.", "Fine indeed.", "Really fine.", "Really fine indeed."}),
        ("{noun} here", {"Pen here"}),
        ("{many}", {"X", "Y"}),
        ("{many}{many}", {"Xx", "Xy", "Yx", "Yy"}),
        ("[{noun}|{many}]", {"Pen", "X", "Y"}),
        ("¿{noun}?", {"¿Pen?"}),
        ("«{noun}»", {"«Pen»"}),
        ("élan", {"Élan"}),
        ("'no' way", {"'No' way"}),
    ],
)
def test_expand(line, readings):
    slots = {"noun": "pen", "many": ["x", "y"]}
    assert {expand(line, slots, random.Random(seed)) for seed in range(60)} == readings


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Good", "good"),
        ("I like it", "I like it"),
        ("Ana came", "Ana came"),
        ("USB port", "USB port"),
        ("¡Bien!", "¡Bien!"),
        ("", ""),
    ],
)
def test_uncapitalise(text, result):
    assert uncapitalise(text, ["Ana"]) == result


def test_capitalise():
    assert [capitalise(text) for text in ("¡qué!", "", "3 a", "Ok")] == ["¡Qué!", "", "3 a", "Ok"]


@pytest.mark.parametrize(
    ("language", "item", "slot", "value"),
    [
        ("en", {"noun": "novel"}, "an_item", "a novel"),
        ("en", {"noun": "eraser"}, "an_item", "an eraser"),
        ("en", {"noun": "USB hub"}, "an_item", "a USB hub"),
        ("en", {"noun": "unisex shirt"}, "an_item", "a unisex shirt"),
        ("en", {"noun": "umbrella"}, "an_item", "an umbrella"),
        ("es", {"noun": "novela", "gender": "f"}, "del_item", "de la novela"),
        ("es", {"noun": "libro", "gender": "m"}, "del_item", "del libro"),
        ("es", {"noun": "libro", "gender": "m"}, "al_item", "al libro"),
        ("es", {"noun": "novela", "gender": "f"}, "un_item", "una novela"),
        ("es", {"noun": "novela", "gender": "f"}, "o", "a"),
    ],
)
def test_item_slots(language, item, slot, value):
    assert item_slots(language, item)[slot] == value


def lines_of(bank):
    """Return every line of a bank that expand() will read: the leaves, except the slots, the items and the names."""
    if isinstance(bank, str):
        return [bank]
    if isinstance(bank, list):
        return [line for part in bank for line in lines_of(part)]
    unread = ("slots", "items", "category", "kinds")
    return [line for name, part in bank.items() if name not in unread for line in lines_of(part)]


@pytest.mark.parametrize("name", ["common", *CATEGORIES])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_bank_line_expands(language, name):
    rng = random.Random(0)
    bank = load_bank(language, name)
    slots = Composer(language, rng).slots | {"pos": "fine", "neg": "poor"}
    items = bank.get("items", [{"noun": "thing", "gender": "f"}, {"noun": "thing", "gender": "m"}])
    lines = lines_of(bank)
    assert len(lines) > 100
    for line in lines:
        assert line.count("[") == line.count("]") and line.count("{") == line.count("}"), line
        for item in rng.sample(items, 2):
            text = expand(line, slots | item_slots(language, item), rng)
            assert text and not set(text) & set("[]{}|") and "  " not in text, line
