"""The corpus of the capstone's exemplar: made again bit by bit, and what its card promises."""

import re

import pandas as pd
import pytest

from resumen.authoring import news
from resumen.authoring.phrases import load_bank
from resumen.corpus import LANGUAGES
from resumen.metrics import unsupported_numbers
from resumen.projects.capstone.contract import COLUMNS, EMBEDDED_NEWS, OK, check_corpus, read_corpus


@pytest.fixture(scope="module")
def corpus():
    return read_corpus([EMBEDDED_NEWS])


@pytest.fixture(scope="module")
def made():
    return news.rows()


def test_the_files_are_those_that_the_program_makes(corpus, made):
    """A failure means: a bank or the composer changed. Run `python -m resumen.authoring.news` and commit."""
    pd.testing.assert_frame_equal(corpus.astype(object), pd.DataFrame(made, columns=list(COLUMNS)).astype(object))
    assert (EMBEDDED_NEWS.parent / "README.md").read_text(encoding="utf-8") == news.card(made)


def test_another_seed_makes_another_corpus(made):
    assert news.rows(seed=1) != made


def test_it_keeps_the_contract_without_a_remark(corpus):
    card = (EMBEDDED_NEWS.parent / "README.md").read_text(encoding="utf-8")
    assert {line.state for line in check_corpus(corpus, card)} == {OK}


def test_it_is_small():
    assert EMBEDDED_NEWS.stat().st_size < 400_000


def test_banks_tell_the_same_events():
    english, spanish = (load_bank(language, "news") for language in LANGUAGES)
    assert list(english["stories"]) == list(spanish["stories"])
    for bank in (english, spanish):
        assert len(bank["written"]) >= 40
        assert len({brief["headline"] for brief in bank["written"]}) == len(bank["written"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reading_is_whole(language, made):
    """Nothing of the grammar is left, sentences end, headlines do not; Spanish marks come in pairs."""
    for row in made:
        if row["language"] == language:
            both = row["source"] + row["reference"]
            assert not re.search(r"[\[\]{}|]|  ", both), row
            assert row["source"][-1] in ".!?", row
            assert row["reference"][-1] not in ".,;", row
            assert row["reference"][0].isupper() or not row["reference"][0].isalpha(), row
            assert both.count("¿") == (both.count("?") if language == "es" else 0), row


def test_headlines_say_what_their_texts_say(made):
    composed = [row for row in made if "-written-" not in row["id"]]
    assert [row["id"] for row in composed if unsupported_numbers(row["reference"], row["source"])] == []
    named = [(row, town) for row in composed for town in news.TOWNS if town in row["reference"]]
    assert named and [row["id"] for row, town in named if town not in row["source"]] == []


def test_written_rows_are_held_out(corpus):
    written = corpus[corpus["id"].str.contains("-written-")]
    assert len(written) >= 80 and "train" not in set(written["split"])
