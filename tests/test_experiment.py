"""The central experiment: its three kinds of text, its baselines, the shipped runs, and what `make course` makes of them."""

import json

import pytest
from datasets import Dataset, DatasetDict, concatenate_datasets

from resumen import experiment
from resumen.baselines import constant_baseline, nearest_title
from resumen.corpus import has_min_words, load_literary, load_reviews, prepare_pairs
from resumen.experiment import BASELINES, PARTS, SYSTEMS, baseline_titles, compare, other_runs, test_parts
from resumen.metrics import ROUGES, evaluate_system, verdict_over_seeds

test_parts.__test__ = False
CATEGORIES = ("book", "digital_ebook_purchase")


@pytest.fixture(scope="module")
def pairs():
    return prepare_pairs(load_reviews("en"), load_reviews("es"), CATEGORIES)


@pytest.fixture(scope="module")
def parts(pairs):
    return test_parts(pairs, CATEGORIES)


@pytest.fixture(scope="module")
def few(pairs):
    """Some hundreds of pairs, and thirty reviews to write titles for."""
    return DatasetDict(
        {
            split: pairs[split].select(range(size))
            for split, size in {"train": 200, "validation": 40, "test": 30}.items()
        }
    )


def test_parts_are_of_three_kinds(pairs, parts):
    assert tuple(parts) == PARTS
    assert parts["test"] is pairs["test"]
    for rows in parts.values():
        assert set(rows["language"][:]) == {"en", "es"}
        assert all(map(has_min_words, rows["review_title"][:]))
    assert set(parts["literary"]["product_category"][:]) <= set(CATEGORIES)
    known = {name for language in ("en", "es") for name in load_literary(language)["review_id"][:]}
    assert set(parts["literary"]["review_id"][:]) <= known
    assert parts["synopses"].to_pandas()["language"].value_counts().to_dict() == {"en": 150, "es": 150}
    ids = [name for rows in parts.values() for name in rows["review_id"][:]]
    assert len(ids) == len(set(ids)), "no row stands in two parts"


def test_baseline_titles(few):
    titles = baseline_titles(few["test"], few)
    assert tuple(titles) == BASELINES and set(BASELINES) < set(SYSTEMS)
    assert baseline_titles(few["test"], few) == titles, "random sentences, and still the same"
    train, validation = few["train"].to_pandas(), few["validation"].to_pandas()
    for row, review in enumerate(few["test"]):
        known = train[train["language"] == review["language"]]
        references = validation.loc[validation["language"] == review["language"], "review_title"].tolist()
        assert titles["constant"][row] == constant_baseline(known["review_title"].tolist(), references)
        nearest = nearest_title(review["review_body"], known["review_body"].tolist(), known["review_title"].tolist())
        assert titles["nearest"][row] == nearest
        assert titles["lead-3"][row].startswith(titles["lead-1"][row])
        for copied in ("random", "lead-1", "oracle"):
            assert titles[copied][row] in review["review_body"]


def test_baselines_are_those_of_the_rows_whatever_their_order(few):
    """Languages are worked through one after another: each title must find its row again."""
    turned = few["test"].select(range(len(few["test"]) - 1, -1, -1))
    forward, backward = (baseline_titles(rows, few) for rows in (few["test"], turned))
    for name in set(BASELINES) - {"random"}:
        assert backward[name] == forward[name][::-1], name


def test_compare():
    rows = Dataset.from_dict(
        {
            "review_title": ["slow plot", "weak ending", "trama lenta", "final flojo"],
            "language": ["en", "en", "es", "es"],
        }
    )
    perfect, half = rows["review_title"][:], ["slow", "nothing", "trama", "nada"]
    scores, differences = compare({"fine-tuned": [perfect, half], "before": ["", "", "", ""], "lead-1": half}, rows)
    assert list(scores) == list(differences) == ["en", "es"]
    for language in scores:
        assert set(scores[language]) == {"fine-tuned", "before", "lead-1"}
        assert set(differences[language]) == {"before", "lead-1"}
        assert list(scores[language]["before"]) == list(ROUGES)
        assert scores[language]["before"]["rouge1"] == 0
        assert scores[language]["lead-1"]["rouge1"] == pytest.approx(100 / 3)  # precision 1, recall 1/2, and a zero
        assert scores[language]["fine-tuned"]["rouge1"] == pytest.approx((100 + 100 / 3) / 2)
        gap = differences[language]["lead-1"]["rouge1"]
        expected = verdict_over_seeds([[100, 100], [200 / 3, 0]], [200 / 3, 0])
        assert gap == pytest.approx(
            {"mean": expected["mean_difference"], "low": expected["low"], "high": expected["high"]}
        )
    json.dumps([scores, differences])  # plain numbers


class TestShippedRuns:
    def test_every_row_has_its_title(self, parts):
        """Ids and parts of each file are those of the experiment, in order, once."""
        files = sorted(experiment.RUNS.glob("seed_*.jsonl"))
        assert [path.stem for path in files] == ["seed_43", "seed_44"]
        expected = [(part, name) for part in PARTS for name in parts[part]["review_id"][:]]
        for path in files:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            assert [(line["part"], line["review_id"]) for line in lines] == expected
            assert {frozenset(line) for line in lines} == {frozenset(["part", "review_id", "title"])}
            assert all(isinstance(line["title"], str) for line in lines)

    def test_other_runs(self, parts):
        runs = other_runs(parts)
        assert {name: len(lists) for name, lists in runs.items()} == dict.fromkeys(PARTS, 2)
        for name, (one, other) in runs.items():
            assert len(one) == len(other) == len(parts[name])
            assert one != other, "two seeds, two models"

    def test_titles_find_their_rows_in_any_order(self, parts):
        turned = {name: rows.select(range(len(rows) - 1, -1, -1)) for name, rows in parts.items()}
        forward, backward = other_runs(parts), other_runs(turned)
        assert all(
            one[::-1] == other for name in parts for one, other in zip(forward[name], backward[name], strict=True)
        )

    def test_a_corpus_of_your_own_has_no_other_runs(self, parts):
        """Not even on the parts that come from the package: those titles are another model's."""
        row = parts["test"].select([0]).map(lambda row: {"review_id": "mine"})
        mine = {**parts, "test": concatenate_datasets([parts["test"].select(range(3)), row])}
        assert other_runs(mine) == {name: [] for name in PARTS}

    def test_a_trained_model_wrote_them(self, parts):
        """A floor that a checkpoint without fine-tuning, or titles of the wrong rows, would not reach."""
        for titles in other_runs(parts)["test"]:
            scores = evaluate_system(titles, parts["test"]["review_title"][:], parts["test"]["language"][:])
            turned = evaluate_system(titles[::-1], parts["test"]["review_title"][:], parts["test"]["language"][:])
            for language in ("en", "es"):
                assert scores.loc[language, "rouge1"] > turned.loc[language, "rouge1"] + 3
