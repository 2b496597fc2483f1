"""The written reviews: their form, and the bounds that `resumen.authoring.measures` holds."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from resumen.authoring.measures import BOUNDS, SHARES, load_texts, measures, split_of
from resumen.authoring.phrases import CATEGORIES
from resumen.corpus import LANGUAGES

pytestmark = pytest.mark.parametrize("language", LANGUAGES)


@pytest.mark.slow
def test_bounds(language):
    found = measures(load_texts(language), language)
    assert set(found) == set(BOUNDS)
    for name, (low, high) in BOUNDS.items():
        assert low <= found[name] <= high, f"{name}: {found[name]:.2f} is not within {low} and {high}"


def test_form(language):
    texts = load_texts(language)
    assert len({text["id"] for text in texts}) == len(texts)
    assert {text["category"] for text in texts} == set(CATEGORIES)
    for text in texts:
        assert set(text) - {"off_topic"} == {"id", "stars", "category", "title", "body"}
        assert text["id"].startswith(language) and text["stars"] in range(1, 6)
        for part in (text["title"], text["body"]):
            assert part and part == part.strip(), text
    shares = Counter(split_of(text["id"]) for text in texts)
    for split, share in SHARES.items():
        assert shares[split] / len(texts) == pytest.approx(share, abs=0.02)


def test_a_measure_sees_what_it_measures(language):
    """Texts that repeat each other, say nothing but one sentence and have one number of stars miss most of the bounds."""
    word = {"en": "The book came on a day", "es": "El libro vino un día"}[language]
    texts = [
        {
            "id": f"{language}_{n}",
            "stars": 5 - n % 100 // 99,
            "category": "book",
            "title": f"{word} {n % 3}",
            "body": f"{word} {n}.",
        }
        for n in range(400)
    ]
    found = measures(texts, language)
    missed = {name for name, (low, high) in BOUNDS.items() if not low <= found[name] <= high}
    assert missed >= {
        "lead-3 ROUGE-1",
        "mean body, characters",
        "titles of one or two words, %",
        "rarest stars, % of reviews",
        "bodies with a word of judgement, %",
        "test titles that stand in train, %",
        "bodies with the commonest first word, %",
        "bodies with the commonest uncommon phrase, %",
    }


def test_briefs_come_from_their_seed(language):
    line = [sys.executable, "-m", "resumen.authoring.briefs", language, "30"]
    first, again, other, goods = (
        subprocess.run([*line, seed], capture_output=True, text=True, check=True).stdout
        for seed in ("31", "31", "32", "goods51")
    )
    assert first == again != other
    books = {json.loads(brief)["category"] for brief in first.splitlines()}
    assert books <= {"book", "digital_ebook_purchase"} and books.isdisjoint(
        json.loads(brief)["category"] for brief in goods.splitlines()
    )
