"""The robustness suite: systems that fail in one way each, and the line of the table that says so."""

import unicodedata

import pytest

from resumen.projects.capstone.robustness import FRENCH, LONG, STRESSES, robustness

SOURCES = ["El puente de Peñaluz está cerrado. Hay desvío.", "The bridge is closed. Cars go round."] * 10
REFERENCES = ["El puente de Peñaluz está cerrado", "The bridge is closed"] * 10


def lead(texts):
    return [unicodedata.normalize("NFC", text).split(". ")[0].strip() for text in texts]


def test_inputs():
    text = SOURCES[0]
    made = {kind: stress.apply(text) for kind, stress in STRESSES.items()}
    assert unicodedata.normalize("NFC", made["nfd"]) == text != made["nfd"]
    assert made["emoji"].split()[0::2] == text.split()
    assert not made["empty"].strip()
    assert LONG <= len(made["long"]) < LONG + len(text) + 2 and set(made["long"].split()) == set(text.split())
    assert made["third language"] == f"{FRENCH} {text}"
    assert made["html"].startswith("<p>") and "<br/>" in made["html"]
    assert all(STRESSES["long"].apply(one) == "" for one in ("",))


def test_a_system_that_holds():
    table = robustness(lead, SOURCES, REFERENCES, longest=60)
    assert list(table.index) == list(STRESSES)
    assert table["holds"].all()
    assert table.loc["nfd", ["drop", "low", "high"]].to_list() == [0, 0, 0]
    assert table.loc["long", "drop"] == 0
    # The first sentence is now the French one, and half of the words are emoji: a score falls, and the interval excludes 0.
    assert table.loc["third language", "low"] > 50
    assert table.loc["html", "drop"] > 0
    assert table.loc["empty", ["score", "drop", "low", "high"]].isna().all()


def crash_on_blank(texts):
    if not all(text.strip() for text in texts):
        raise RuntimeError("nothing to read")
    return lead(texts)


@pytest.mark.parametrize(
    ("system", "kind", "column", "count"),
    [
        (crash_on_blank, "empty", "crashed", 20),
        (lambda texts: list(texts), "long", "too_long", 20),
        (lambda texts: [text[:20] for text in texts], "nfd", "not_nfc", 10),
        (lambda texts: [text.strip() or None for text in lead(texts)], "empty", "crashed", 20),
    ],
    ids=["crashes", "copies", "keeps NFD", "gives None"],
)
def test_a_system_that_fails(system, kind, column, count):
    table = robustness(system, SOURCES, REFERENCES, longest=60)
    assert table.loc[kind, column] == count
    assert not table.loc[kind, "holds"]


def test_something_for_nothing_does_not_hold():
    table = robustness(lambda texts: ["Puente" for _ in texts], SOURCES, REFERENCES, longest=60)
    assert not table.loc["empty", "holds"] and table.loc["nfd", "holds"]


def test_one_bad_text_does_not_hide_the_others():
    def picky(texts):
        if any("Peñaluz" in unicodedata.normalize("NFC", text) for text in texts):
            raise ValueError("ñ")
        return lead(texts)

    table = robustness(picky, SOURCES, REFERENCES, longest=60)
    assert table.loc["emoji", "crashed"] == 10


def test_a_system_that_loses_a_text():
    table = robustness(lambda texts: lead(texts)[1:], SOURCES, REFERENCES, longest=60)
    assert (table["crashed"] == 20).all()
