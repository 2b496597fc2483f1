"""The embedded corpus comes out of the written texts again, byte for byte, with the defects that its card counts."""

import unicodedata
from collections import Counter

import pytest

from resumen.authoring import reviews
from resumen.authoring.measures import load_texts, split_of
from resumen.corpus import (
    EMBEDDED_REVIEWS,
    LANGUAGES,
    SPLITS,
    clean_text,
    load_literary,
    load_reviews,
    load_synopses,
    normalized_body,
)

PARTS = (*SPLITS, "literary")
FILES = ["README.md", *(f"{language}_{part}.parquet" for language in LANGUAGES for part in PARTS)]


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviews")
    reviews.write(folder)
    return folder


@pytest.mark.slow
def test_nothing_else_lies_beside_the_corpus(rebuilt):
    assert sorted(path.name for path in rebuilt.iterdir()) == sorted(FILES)
    assert sorted(path.name for path in EMBEDDED_REVIEWS.iterdir()) == sorted(FILES)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_corpus_is_the_one_from_its_texts(rebuilt, name):
    """A failure means: the texts, the defects or pyarrow changed. Run `python -m resumen.authoring.reviews` and commit."""
    same = (rebuilt / name).read_bytes() == (EMBEDDED_REVIEWS / name).read_bytes()
    assert same, f"data/reviews/{name} is not what `python -m resumen.authoring.reviews` writes"


@pytest.mark.parametrize("language", LANGUAGES)
class TestRows:
    """Counted here in the rows, with other code than the builder's."""

    @pytest.fixture
    def planted(self, language):
        return reviews.build()[1][language]

    @pytest.mark.parametrize("split", SPLITS)
    def test_the_counted_defects_are_there(self, language, split, planted):
        rows, counts = load_reviews(language)[split].to_list(), planted[split]
        titles, bodies = ([row[name] for row in rows] for name in ("review_title", "review_body"))
        assert titles.count(None) == counts["missing_title"]
        assert bodies.count(None) == counts["missing_body"]
        assert sum(title is not None and not clean_text(title) for title in titles) == counts["blank_title"]
        assert sum(body is not None and not clean_text(body) for body in bodies) == counts["blank_body"]
        marked = [body for body in bodies if body and clean_text(body)]
        assert sum("<b" in body or ("&" in body and ";" in body) for body in marked) == counts["html"]
        assert sum(not unicodedata.is_normalized("NFC", body) for body in marked) == counts["nfd"]
        # A copy is about the same thing. The same foreign review may have been planted under two products.
        twice = Counter(
            (row["product_id"], normalized_body(row["review_body"]))
            for row in rows
            if row["review_body"] and clean_text(row["review_body"])
        )
        assert twice.total() - len(twice) == counts["duplicate"]

    def test_the_leaked_rows_are_there(self, language, planted):
        corpus = load_reviews(language)
        held_out = {
            normalized_body(body)
            for split in ("validation", "test")
            for body in corpus[split]["review_body"][:]
            if body and clean_text(body)
        }
        leaked = [
            body
            for body in corpus["train"]["review_body"][:]
            if body and clean_text(body) and normalized_body(body) in held_out
        ]
        assert len(leaked) <= planted["train"]["leakage"]
        assert len(leaked) >= 0.8 * planted["train"]["leakage"]  # some of the originals carry a defect of their own

    def test_every_text_is_a_row(self, language):
        texts = Counter(split_of(text["id"]) for text in load_texts(language))
        corpus = load_reviews(language)
        for split in SPLITS:
            added = reviews.DEFECTS[split]["duplicate"] + reviews.DEFECTS[split].get("leakage", 0)
            assert len(corpus[split]) == texts[split] + added

    def test_ids_are_unique(self, language):
        ids = [name for rows in load_reviews(language).values() for name in rows["review_id"][:]]
        ids += load_literary(language)["review_id"][:]
        assert len(set(ids)) == len(ids)

    def test_literary_lies_in_no_split(self, language):
        known = {
            normalized_body(body) for rows in load_reviews(language).values() for body in rows["review_body"][:] if body
        }
        known |= {normalized_body(body) for rows in load_synopses(language).values() for body in rows["review_body"][:]}
        literary = load_literary(language)["review_body"][:]
        assert len(literary) > 150
        assert not {normalized_body(body) for body in literary} & known
