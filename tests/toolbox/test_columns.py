"""Columns of texts: each value is the one that the function of a single text gives, however odd the text is."""

import random
import sys
import unicodedata
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from datasets import Dataset, DatasetDict, concatenate_datasets

from resumen import columns
from resumen.columns import PLAIN, cleaned, digests, long_enough, per_row
from resumen.corpus import (
    clean_pairs,
    clean_text,
    deduplicate,
    drop_invalid,
    filter_categories,
    has_min_words,
    normalized_body,
    prepare_pairs,
    remove_leakage,
)

MARKED_UP = "&amp; &nbsp; &amp;lt; &#771; &#x301; &bogus; & < <b> </b> <br/> <3 <> <!-- -->"
LETTERS = """
    a Año niño ¿Qué? ¡SÍ! 5 ½ ² º … — « » ’ € ™ ﬁ ß ẞ µ İ ı ſ ŉ ǰ Ω \u2126 Å \u212b n\u0303 ế ά Σ ς 你好 한 각 \u1112\u1161\u11ab ﷺ
    👍 👍🏽 ❤️ 👩\u200d👩\u200d👧 ❶ ⑤ \u0301 \u0345 \u200b \u200d \ufeff \xad \u180e \x00 \u212a
"""
WHITE = [
    " ",
    "  ",
    "\n",
    "\t",
    "\x1c",
    "\x1f",
    "\x85",
    "\xa0",
    "\u1680",
    "\u2000",
    "\u2001",
    "\u2009",
    "\u2028",
    "\u202f",
    "\u3000",
]
PIECES = [*MARKED_UP.split(), *LETTERS.split(), *WHITE, ""]


def odd_texts(count, seed=0):
    rng = random.Random(seed)
    made = ["".join(rng.choices(PIECES, k=rng.randrange(8))) for _ in range(count // 2)]
    return made + [" ".join(rng.choices(PIECES, k=rng.randrange(6))) for _ in range(count // 2)]


@pytest.fixture(scope="module")
def texts():
    return [*odd_texts(6000), *(f"a{piece}b" for piece in PIECES), *PIECES]


def test_every_plain_character_is_alike_in_arrow_and_in_python():
    assert len(PLAIN) > 2000 and set("azAZ09ñÑáü¿¡…’“”—€👍") <= set(PLAIN)
    assert not set(" \t\n\xa0\u2028\u0301\u2126ßµİſ") & set(PLAIN)
    assert pc.utf8_lower(pa.array(PLAIN)).to_pylist() == [one.casefold() for one in PLAIN]
    assert all(unicodedata.combining(one) == 0 for one in PLAIN)


def test_plain_characters_stay_apart_in_nfc():
    """No two of them become one: a text of plain characters is in NFC."""
    together = "".join(PLAIN) + "".join(reversed(PLAIN)) + "".join(PLAIN[::2]) + "".join(PLAIN[::3])
    assert unicodedata.is_normalized("NFC", together)
    marks = {chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code))[0] == "M"}
    assert marks & set(PLAIN) <= {"\ufe0f"}


def test_cleaned(texts):
    column = pa.array([*texts, None])
    assert cleaned(column, clean_text).to_pylist() == [*map(clean_text, texts), ""]


def test_most_texts_of_a_corpus_are_never_seen_by_python(pairs):
    seen = []
    cleaned(pairs["validation"].data.column("review_body").combine_chunks(), lambda text: seen.append(text) or text)
    assert len(seen) < 0.02 * len(pairs["validation"].data)


def test_long_enough(texts):
    wanted = [has_min_words(text) for text in texts]
    assert 100 < sum(wanted) < len(texts) - 100
    assert long_enough(pa.array(texts), has_min_words).to_pylist() == wanted


def test_digests_are_equal_where_normalised_texts_are(texts):
    found = digests(pa.array(texts), normalized_body).tolist()
    names = [normalized_body(text) for text in texts]
    assert len(set(map(tuple, found))) == len(set(names)) == len(set(zip(map(tuple, found), names, strict=True)))


def test_digests_of_none_are_refused():
    with pytest.raises(TypeError):
        digests(pa.array(["a", None]), normalized_body)


def lengths(rows):
    return np.array([len(text) for text in rows["text"].to_pylist()], dtype=int)


@pytest.mark.parametrize("block", [1, 3, 10_000])
def test_per_row_follows_the_rows_of_the_dataset(monkeypatch, block):
    monkeypatch.setattr(columns, "BLOCK", block)
    dataset = Dataset.from_dict({"text": ["x" * number for number in range(10)], "other": range(10)})
    for rows in ([3, 3, 9, 0], range(2, 7), [1, 4, 5], []):
        assert per_row(dataset.select(rows), ["text"], lengths).tolist() == list(rows)
    twice = concatenate_datasets([dataset.select([5, 1]), dataset])
    assert per_row(twice, ["text"], lengths).tolist() == [5, 1, *range(10)]


# The functions of a dataset, beside those that lab 1 teaches ---------------------------------------------------------


def row_wise_deduplicate(dataset):
    kept = {}
    for number, row in enumerate(dataset):
        kept.setdefault((row["language"], normalized_body(row["review_body"])), number)
    return [dataset[number] for number in kept.values()]


def row_wise_pairs(dataset):
    rows = [row for row in dataset if clean_text(row["review_body"]) and clean_text(row["review_title"])]
    rows = [row | {name: clean_text(row[name]) for name in ("review_body", "review_title")} for row in rows]
    return row_wise_deduplicate([row for row in rows if has_min_words(row["review_title"])])


def odd_rows(count, seed=0):
    """Return rows with texts of a few odd pieces, so that many bodies are alike."""
    rng = random.Random(seed)
    some = [*odd_texts(count // 3, seed), None]
    return Dataset.from_list(
        [
            {
                "review_id": str(number),
                "stars": number % 5,
                "review_body": rng.choice(some),
                "review_title": rng.choice(some),
                "language": rng.choice(["en", "es", None]),
                "product_category": rng.choice(["book", "pc", None]),
            }
            for number in range(count)
        ]
    )


VIEWS = {
    "as it is": lambda rows: rows,
    "a part": lambda rows: rows.select(range(100, 900)),
    "filtered": lambda rows: rows.filter(lambda stars: stars > 2, input_columns=["stars"]),
    "shuffled": lambda rows: rows.shuffle(seed=1),
    "repeated": lambda rows: concatenate_datasets([rows.select([5, 5, 2]), rows, rows]),
    "empty": lambda rows: rows.select([]),
    "pandas": lambda rows: Dataset.from_pandas(rows.to_pandas().astype({"language": "category"}), preserve_index=False),
}


@pytest.fixture(params=VIEWS)
def rows(request):
    return VIEWS[request.param](odd_rows(1500))


def test_clean_pairs_gives_the_rows_of_row_wise_functions(rows):
    assert clean_pairs(rows).to_list() == row_wise_pairs(rows)


def test_the_steps_give_the_rows_of_row_wise_functions(rows):
    valid = [row for row in rows if clean_text(row["review_body"]) and clean_text(row["review_title"])]
    assert drop_invalid(rows).to_list() == valid
    bodies = drop_invalid(rows)
    assert deduplicate(bodies).to_list() == row_wise_deduplicate(bodies)
    held_out = drop_invalid(odd_rows(300, seed=0)).select(range(0, 140, 7))
    forbidden = {normalized_body(row["review_body"]) for row in held_out}
    kept = [row for row in bodies if normalized_body(row["review_body"]) not in forbidden]
    assert remove_leakage(bodies, held_out).to_list() == kept
    for categories in (["book"], {"pc", None}, []):
        kept = [row for row in rows if row["product_category"] in categories]
        assert filter_categories(DatasetDict(train=rows), categories)["train"].to_list() == kept


def test_a_column_of_none_is_dropped():
    dataset = odd_rows(10).remove_columns("review_body").add_column("review_body", [None] * 10)
    assert len(drop_invalid(dataset)) == len(clean_pairs(dataset)) == 0


def test_a_format_stays():
    dataset = odd_rows(60).with_format("pandas")
    assert clean_pairs(dataset).format["type"] == drop_invalid(dataset).format["type"] == "pandas"


def test_prepare_pairs_gives_the_rows_of_row_wise_functions(scale):
    english, spanish = (scale.raw_corpus(language, 600) for language in ("en", "es"))
    expected = scale.row_by_row(english, spanish)
    found = prepare_pairs(english, spanish, scale.BOOKS)
    assert list(found) == list(expected)
    for split in found:
        assert found[split].features == expected[split].features
        assert found[split].to_list() == expected[split].to_list()
    raw = [row for corpus in (english, spanish) for row in corpus["train"]]
    assert len(found["train"]) < sum(row["product_category"] in scale.BOOKS for row in raw)


@pytest.fixture
def scale(monkeypatch):
    """The benchmark, with fewer composed reviews."""
    from importlib import util
    from pathlib import Path

    from resumen.authoring.composer import compose

    path = Path(__file__).parents[2] / "benchmarks" / "scale.py"
    spec = util.spec_from_file_location("scale", path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "composed", lambda language: compose(language, 60))
    return module


def test_the_benchmark_s_corpus_has_its_defects(scale):
    reviews = list(islice(scale.with_defects(scale.crossed(scale.composed("en")), random.Random(0)), 500))
    bodies = [review["review_body"] for review in reviews]
    assert len(bodies) == 500 and len(set(bodies)) > 300
    assert {None, "&nbsp;"} & set(bodies)
    assert any("<br/>" in (body or "") for body in bodies) and any("\xa0" in (body or "") for body in bodies)
    assert sum(clean_text(body) != body for body in bodies) >= 20


@pytest.mark.thorough
def test_cost(scale, tmp_path, monkeypatch):
    """The bars of the benchmark, on a corpus of 60,000 rows: there is more of what a call costs once in it."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    scale.measure("make", ["make"], 60_000, 1, tmp_path / "corpus")
    ways = scale.measure("pairs", ["ours", "tutorial", "row by row"], 60_000, 1, tmp_path / "corpus")
    assert ways["ours"]["digest"] == ways["row by row"]["digest"]
    assert scale.ratio(ways, "tutorial") > 1
    assert scale.ratio(ways, "row by row") > 8
    scores = scale.measure("rouge", ["ours", "aggregated", "one by one"], 2_000, 2)
    assert scores["ours"]["means"] == pytest.approx(scores["one by one"]["means"], abs=1e-6)
    assert scale.ratio(scores, "aggregated") > 5
