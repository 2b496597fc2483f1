"""ROUGE against rouge_score and against a second implementation written here; tables, intervals, error counts."""

import random
import re
import statistics
import unicodedata
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from rouge_score.rouge_scorer import RougeScorer

from resumen.metrics import (
    ROUGES,
    evaluate_system,
    mean_interval,
    novel_ngram_rate,
    paired_bootstrap,
    resampled_means,
    rouge_l,
    rouge_lsum,
    rouge_n,
    rouge_scores,
    score_examples,
    unsupported_numbers,
    verdict,
    verdict_over_seeds,
    wrong_language,
)
from resumen.text import tokenize_words

ENGLISH = "The the a cat dog sat on mat, mat. red Red-hot book! don't it's 3.50 100% (good) very VERY was not end"
SPANISH = "El el la año AÑO ano an\u0303o niño ni ¡Qué que\u0301! ¿DAÑADO? libro, árbol mañana 3,50 «sí» si no más"


def random_pairs(vocabulary, seed, count):
    """Return pairs of texts of zero to four lines; half of the predictions are edited copies of their reference."""
    words, rng = vocabulary.split(), random.Random(seed)

    def text():
        lines = [" ".join(rng.choices(words, k=rng.randint(0, 9))) for _ in range(rng.randint(0, 4))]
        return "\n".join(lines)

    pairs = []
    for _ in range(count):
        prediction, reference = text(), text()
        if rng.random() < 0.5:
            lines = [line.split(" ") for line in reference.split("\n")]
            for line in lines:
                rng.shuffle(line) if rng.random() < 0.3 else line.insert(rng.randint(0, len(line)), rng.choice(words))
            rng.shuffle(lines)
            prediction = "\n".join(map(" ".join, lines))
        pairs.append((prediction, reference))
    return pairs


ENGLISH_PAIRS = random_pairs(ENGLISH, seed=1, count=500)
SPANISH_PAIRS = random_pairs(SPANISH, seed=2, count=200)


# A second implementation: plain lists, no counters, no code shared with rouge_score or with resumen.


def words_of(text):
    letters = [c if c.isalnum() or c == "_" else " " for c in unicodedata.normalize("NFC", text).casefold()]
    return "".join(letters).split()


def as_score(hits, predicted, expected):
    precision = hits / predicted if predicted else 0
    recall = hits / expected if expected else 0
    return precision, recall, 2 * precision * recall / (precision + recall) if hits else 0


def brute_n(prediction, reference, n):
    grams, left = (
        [" ".join(w[i : i + n]) for i in range(len(w) - n + 1)] for w in map(words_of, (prediction, reference))
    )
    predicted, expected, hits = len(grams), len(left), 0
    for gram in grams:
        if gram in left:
            left.remove(gram)
            hits += 1
    return as_score(hits, predicted, expected)


def lcs_lengths(a, b):
    """Return the table whose cell i, j holds the LCS length of a[:i] and b[:j]."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, word in enumerate(a, 1):
        for j, other in enumerate(b, 1):
            table[i][j] = table[i - 1][j - 1] + 1 if word == other else max(table[i - 1][j], table[i][j - 1])
    return table


def brute_l(prediction, reference):
    a, b = words_of(prediction), words_of(reference)
    return as_score(lcs_lengths(a, b)[-1][-1], len(a), len(b))


def lcs_places(expected, predicted):
    """Return where in `expected` one LCS lies: read from the end, without the last word where both ways are as long."""
    table, places = lcs_lengths(expected, predicted), set()
    i, j = len(expected), len(predicted)
    while table[i][j]:
        if expected[i - 1] == predicted[j - 1]:
            i, j = i - 1, j - 1
            places.add(i)
        elif table[i - 1][j] == table[i][j]:
            i -= 1
        else:
            j -= 1
    return places


def brute_lsum(prediction, reference):
    predicted, expected = ([words_of(line) for line in text.split("\n")] for text in (prediction, reference))
    left, hits = [word for line in predicted for word in line], 0
    for line in expected:
        for place in sorted(set().union(*(lcs_places(line, other) for other in predicted))):
            if line[place] in left:
                left.remove(line[place])
                hits += 1
    return as_score(hits, sum(map(len, predicted)), sum(map(len, expected)))


class CourseTokenizer:
    def tokenize(self, text):
        return tokenize_words(text)


OURS = {
    "rouge1": rouge_n,
    "rouge2": lambda prediction, reference: rouge_n(prediction, reference, 2),
    "rouge3": lambda prediction, reference: rouge_n(prediction, reference, n=3),
    "rougeL": rouge_l,
    "rougeLsum": rouge_lsum,
}
BRUTE = {
    "rouge1": lambda prediction, reference: brute_n(prediction, reference, 1),
    "rouge2": lambda prediction, reference: brute_n(prediction, reference, 2),
    "rouge3": lambda prediction, reference: brute_n(prediction, reference, 3),
    "rougeL": brute_l,
    "rougeLsum": brute_lsum,
}


def test_pairs_are_hard_enough():
    assert sum("\n" in prediction and "\n" in reference for prediction, reference in ENGLISH_PAIRS) > 200
    assert sum(not words_of(prediction) for prediction, _ in ENGLISH_PAIRS) > 10
    sums = [rouge_lsum(*pair).fmeasure for pair in ENGLISH_PAIRS]
    assert sum(abs(rouge_l(*pair).fmeasure - s) > 0.01 for pair, s in zip(ENGLISH_PAIRS, sums, strict=True)) > 100
    assert sum(0 < s < 1 for s in sums) > 300


@pytest.mark.parametrize("pairs", [ENGLISH_PAIRS, SPANISH_PAIRS], ids=["en", "es"])
@pytest.mark.parametrize("name", OURS)
def test_rouge_equals_rouge_score(name, pairs):
    scorer = RougeScorer([name], tokenizer=CourseTokenizer())
    for prediction, reference in pairs:
        expected = scorer.score(target=reference, prediction=prediction)[name]
        assert OURS[name](prediction, reference) == pytest.approx(tuple(expected), abs=1e-9), (prediction, reference)


@pytest.mark.parametrize("pairs", [ENGLISH_PAIRS, SPANISH_PAIRS], ids=["en", "es"])
@pytest.mark.parametrize("name", OURS)
def test_rouge_equals_brute_force(name, pairs):
    for prediction, reference in pairs:
        expected = BRUTE[name](prediction, reference)
        assert OURS[name](prediction, reference) == pytest.approx(expected, abs=1e-9), (prediction, reference)


def test_rouge_score_tokenizer_gives_the_same_on_ascii():
    scorer = RougeScorer(list(ROUGES))
    for prediction, reference in ENGLISH_PAIRS:
        assert (prediction + reference).isascii()
        expected = {name: score.fmeasure for name, score in scorer.score(reference, prediction).items()}
        assert rouge_scores(prediction, reference) == pytest.approx(expected, abs=1e-9)


def test_rouge_score_tokenizer_does_not_on_spanish():
    scorer = RougeScorer(["rouge1"])
    assert scorer.score("ni", "niño")["rouge1"].fmeasure == pytest.approx(2 / 3)
    assert rouge_n("niño", "ni").fmeasure == 0


def test_rouge_by_hand():
    reference, prediction = "I loved reading the Hunger Games", "I absolutely loved reading the Hunger Games"
    assert rouge_n(prediction, reference) == pytest.approx((6 / 7, 1, 12 / 13))
    assert rouge_n(prediction, reference, 2) == pytest.approx((4 / 6, 4 / 5, 8 / 11))
    assert rouge_l(prediction, reference) == pytest.approx((6 / 7, 1, 12 / 13))
    score = rouge_n(prediction, reference)
    assert (score.precision, score.recall, score.fmeasure) == tuple(score)


def test_counts_are_clipped():
    assert rouge_n("the the the the", "the cat the mat") == pytest.approx((2 / 4, 2 / 4, 1 / 2))
    assert rouge_n("a b a b a b", "a b", 2) == pytest.approx((1 / 5, 1, 1 / 3))


def test_longest_common_subsequence_is_not_a_substring():
    assert rouge_l("a x b y c", "a b c") == pytest.approx((3 / 5, 1, 3 / 4))
    assert rouge_l("c b a", "a b c") == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_swapped_sentences():
    one, other = "the cat sat\na dog ran", "a dog ran\nthe cat sat"
    assert rouge_l(one, other).fmeasure == 0.5
    assert rouge_lsum(one, other).fmeasure == 1.0
    assert rouge_lsum(one.replace("\n", " "), other.replace("\n", " ")).fmeasure == 0.5


def test_union_of_subsequences():
    # Lin (2004), section 3.2: the reference w1 w2 w3 w4 w5 against two sentences; the union holds w1 w2 w3 w5.
    assert rouge_lsum("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5") == pytest.approx((4 / 10, 4 / 5, 8 / 15))


@pytest.mark.parametrize("blank", ["", "  ", "\n\n", "¿…?"])
@pytest.mark.parametrize("score", OURS.values(), ids=OURS)
def test_nothing_scores_zero(score, blank):
    assert score(blank, "a good book") == (0, 0, 0)
    assert score("a good book", blank) == (0, 0, 0)
    assert score(blank, blank) == (0, 0, 0)


@pytest.mark.parametrize("score", OURS.values(), ids=OURS)
def test_accents(score):
    composed = "El niño pingüino comió piñón"
    assert score(unicodedata.normalize("NFD", composed), composed) == (1, 1, 1)
    assert score(composed.upper(), composed) == (1, 1, 1)
    assert score("un an\u0303o más", "un ano mas").fmeasure < 1
    assert score("DAÑADO", "da ado") == (0, 0, 0)


def test_one_accent_costs_one_word():
    assert rouge_n("un año más", "un ano más") == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert rouge_n("ano", "año") == (0, 0, 0)


def test_rouge_scores_are_the_f_measures():
    for prediction, reference in ENGLISH_PAIRS[:50]:
        expected = {name: OURS[name](prediction, reference).fmeasure for name in ROUGES}
        assert rouge_scores(prediction, reference) == expected


def test_score_examples():
    predictions, references = zip(*ENGLISH_PAIRS[:40], strict=True)
    table = score_examples(predictions, references)
    assert list(table.columns) == ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    assert list(table.index) == list(range(40))
    for row, prediction, reference in zip(table.itertuples(index=False), predictions, references, strict=True):
        assert tuple(row) == pytest.approx([100 * BRUTE[name](prediction, reference)[2] for name in ROUGES])


def test_score_examples_of_nothing():
    table = score_examples([], [])
    assert list(table.columns) == list(ROUGES)
    assert len(table) == 0


@pytest.mark.parametrize(("predictions", "references"), [(["a"], []), ([], ["a"]), (["a"], ["a", "b"])])
def test_score_examples_wants_one_reference_each(predictions, references):
    with pytest.raises(ValueError, match="predictions"):
        score_examples(predictions, references)


PREDICTIONS = ["good book", "bad", "the cat\na dog", "muy bueno", "año"]
REFERENCES = ["good book", "good", "a dog\nthe cat", "muy malo", "ano"]
LANGUAGES = ["en", "en", "en", "es", "es"]


def test_evaluate_system():
    table = evaluate_system(PREDICTIONS, REFERENCES, LANGUAGES)
    assert isinstance(table, pd.DataFrame)
    assert list(table.index) == ["all", "en", "es"]
    assert list(table.columns) == [*ROUGES, "n"]
    assert list(table["n"]) == [5, 3, 2]
    assert list(table.loc["en", list(ROUGES)]) == pytest.approx([200 / 3, 100 * (1 + 0 + 2 / 3) / 3, 50, 200 / 3])
    assert list(table.loc["es", list(ROUGES)]) == pytest.approx([25, 0, 25, 25])
    assert list(table.loc["all", list(ROUGES)]) == pytest.approx([50, 100 / 3, 40, 50])


@pytest.mark.parametrize("kind", [tuple, np.array, pd.Series, lambda values: pd.Series(values, index=[9, 7, 5, 3, 1])])
def test_evaluate_system_takes_any_sequence(kind):
    expected = evaluate_system(PREDICTIONS, REFERENCES, LANGUAGES)
    got = evaluate_system(kind(PREDICTIONS), kind(REFERENCES), kind(LANGUAGES))
    pd.testing.assert_frame_equal(got, expected)


def test_evaluate_system_averages_examples_not_languages():
    rng = random.Random(0)
    languages = [rng.choice(["en", "en", "en", "es"]) for _ in ENGLISH_PAIRS[:60]]
    predictions, references = zip(*ENGLISH_PAIRS[:60], strict=True)
    table = evaluate_system(predictions, references, languages)
    for name in ROUGES:
        scores = [100 * BRUTE[name](*pair)[2] for pair in ENGLISH_PAIRS[:60]]
        assert table.loc["all", name] == pytest.approx(sum(scores) / 60)
        chosen = [score for score, language in zip(scores, languages, strict=True) if language == "es"]
        assert table.loc["es", name] == pytest.approx(sum(chosen) / len(chosen))


@pytest.mark.parametrize(("present", "absent"), [("en", "es"), ("es", "en")])
def test_evaluate_system_without_a_language(present, absent):
    table = evaluate_system(["a"], ["a b"], [present])
    assert list(table.index) == ["all", "en", "es"]
    assert table.loc[absent, "n"] == 0
    assert table.loc[absent, list(ROUGES)].isna().all()
    assert list(table.loc[present]) == pytest.approx(list(table.loc["all"]))
    assert list(table.loc[present]) == pytest.approx([200 / 3, 0, 200 / 3, 200 / 3, 1])


def test_evaluate_system_of_nothing():
    table = evaluate_system([], [], [])
    assert list(table.index) == ["all", "en", "es"]
    assert list(table["n"]) == [0, 0, 0]
    assert table[list(ROUGES)].isna().all(axis=None)


@pytest.mark.parametrize("lengths", [(1, 2, 2), (2, 1, 2), (2, 2, 1), (2, 2, 3), (0, 1, 1), (1, 1, 0)])
def test_evaluate_system_wants_equal_lengths(lengths):
    predictions, references, languages = (["en"] * length for length in lengths)
    with pytest.raises(ValueError, match=r"There are \d (predictions|languages) for \d references"):
        evaluate_system(predictions, references, languages)


# Intervals.


def skewed(rng, size):
    """Draw scores like ROUGE: many zeros, a long tail, at most 100. The true mean is `SKEWED_MEAN`."""
    return np.where(rng.random(size) < 0.3, 0, 100 * rng.beta(1, 4, size))


SKEWED_MEAN = 0.7 * 100 * 1 / 5


def test_mean_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        interval = mean_interval(skewed(rng, 100), seed=seed)
        covered += interval["low"] <= SKEWED_MEAN <= interval["high"]
    assert 0.90 <= covered / 300 <= 0.98


def test_paired_bootstrap_covers_the_difference():
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(300):
        shared = 50 * rng.random(100)
        result = paired_bootstrap(shared + skewed(rng, 100), shared + 5, seed=seed)
        covered += result["low"] <= SKEWED_MEAN - 5 <= result["high"]
    assert 0.90 <= covered / 300 <= 0.98


def test_p_value_is_small_as_often_as_it_says():
    rng = np.random.default_rng(2)
    p_values = []
    for seed in range(300):
        a, b = skewed(rng, 100), skewed(rng, 100)
        p_values.append(paired_bootstrap(a, b, seed=seed)["p_value"])
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.10


def test_pairing_narrows_the_interval():
    rng = np.random.default_rng(3)
    shared = 100 * rng.random(200)
    a, b = shared + rng.normal(1, 1, 200), shared
    paired, alone = paired_bootstrap(a, b), mean_interval(a)
    assert paired["high"] - paired["low"] < (alone["high"] - alone["low"]) / 10


def test_resampled_means():
    means = resampled_means([1, 2, 6], n_resamples=5000, seed=0)
    assert means.shape == (5000,)
    assert set(np.round(means * 3).astype(int)) == {3, 4, 5, 6, 8, 9, 10, 13, 14, 18}
    assert means.mean() == pytest.approx(3, abs=0.1)
    assert means.std() == pytest.approx(np.std([1, 2, 6]) / 3**0.5, abs=0.05)


def test_mean_interval():
    scores = skewed(np.random.default_rng(4), 50)
    interval = mean_interval(scores, n_resamples=500, seed=7)
    means = resampled_means(scores, n_resamples=500, seed=7)
    assert set(interval) == {"mean", "low", "high"}
    assert interval["mean"] == pytest.approx(sum(scores) / 50)
    assert (interval["low"], interval["high"]) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))
    assert interval["low"] < interval["mean"] < interval["high"]
    assert interval == mean_interval(list(scores), n_resamples=500, seed=7) != mean_interval(scores, 500, seed=8)


def test_mean_interval_of_equal_scores():
    assert mean_interval([2.5] * 9) == {"mean": 2.5, "low": 2.5, "high": 2.5}


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(5)
    a = skewed(rng, 60)
    return list(a), list(a + rng.normal(-1, 6, 60))


def test_paired_bootstrap(scores):
    a, b = scores
    result = paired_bootstrap(a, b)
    assert set(result) == {"mean_difference", "low", "high", "p_value"}
    assert all(type(value) is float for value in result.values())
    differences = [x - y for x, y in zip(a, b, strict=True)]
    means = sorted(resampled_means(differences, n_resamples=1000, seed=0))
    assert result["mean_difference"] == pytest.approx(sum(differences) / 60)
    assert (result["low"], result["high"]) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))
    below, above = sum(mean <= 0 for mean in means) / 1000, sum(mean >= 0 for mean in means) / 1000
    assert 0 < result["p_value"] < 1
    assert result["p_value"] == pytest.approx(min(1, 2 * min(below, above)))


@pytest.mark.parametrize(
    ("a", "b", "p_value"),
    [
        # Two examples: the mean of a resample is 3 or -1 with probability 1/4 each, and 1 with 1/2.
        ([4, 1], [1, 2], 2 * 1 / 4),
        ([1, 2], [4, 1], 2 * 1 / 4),
        # The mean is 1, 0 or -1: both shares are 3/4, and p is cut at 1.
        ([1, 0], [0, 1], 1),
        # Three examples, differences 2, 2, -1: the mean is below 0 only when -1 is drawn three times (1/27), and 0
        # when it is drawn twice (6/27).
        ([2, 2, 0], [0, 0, 1], 2 * 7 / 27),
    ],
)
def test_p_value_in_theory(a, b, p_value):
    assert paired_bootstrap(a, b, n_resamples=20_000)["p_value"] == pytest.approx(p_value, abs=0.03)


def test_equal_systems():
    assert paired_bootstrap([1, 2, 3], [1, 2, 3]) == {"mean_difference": 0, "low": 0, "high": 0, "p_value": 1}


def test_always_better():
    assert paired_bootstrap([2, 3, 4], [1, 2, 3]) == {"mean_difference": 1, "low": 1, "high": 1, "p_value": 0}


def test_swap(scores):
    a, b = scores
    one, other = paired_bootstrap(a, b, seed=3), paired_bootstrap(b, a, seed=3)
    assert one["mean_difference"] == pytest.approx(-other["mean_difference"])
    assert one["low"] == pytest.approx(-other["high"])
    assert one["high"] == pytest.approx(-other["low"])
    assert one["p_value"] == pytest.approx(other["p_value"])
    assert one["low"] < one["high"]


def test_same_seed_same_answer(scores):
    a, b = scores
    first = paired_bootstrap(a, b, n_resamples=200, seed=1)
    np.random.seed(0)
    assert paired_bootstrap(np.array(a), pd.Series(b), n_resamples=200, seed=1) == first
    assert paired_bootstrap(a, b, n_resamples=200, seed=2)["low"] != first["low"]
    assert paired_bootstrap(a, b, n_resamples=300, seed=1)["low"] != first["low"]
    assert paired_bootstrap(a, b) == paired_bootstrap(a, b, n_resamples=1000, seed=0)


def test_scores_are_not_changed(scores):
    a, b = (np.array(values) for values in scores)
    copies = a.copy(), b.copy()
    paired_bootstrap(a, b)
    mean_interval(a)
    assert (a == copies[0]).all()
    assert (b == copies[1]).all()


@pytest.mark.parametrize(("a", "b"), [([1], [1, 2]), ([1, 2], [1]), ([], [1]), ([1, 2, 3], [1]), ([], [])])
def test_unpaired_scores(a, b):
    with pytest.raises(ValueError, match="scores"):
        paired_bootstrap(a, b)
    with pytest.raises(ValueError, match="scores"):
        verdict(a, b)


@pytest.mark.parametrize(
    ("model", "baseline", "expected"),
    [
        ([2, 3, 4], [1, 2, 3], "better"),
        ([1, 2, 3], [2, 3, 4], "worse"),
        ([1, 2, 3], [1, 2, 3], "no evidence"),
        ([1, 0] * 20, [0, 1] * 20, "no evidence"),
        # The interval touches 0: the worst resamples are all zeros.
        ([1, 0], [0, 0], "no evidence"),
        ([0, 0], [1, 0], "no evidence"),
    ],
)
def test_verdict(model, baseline, expected):
    assert verdict(model, baseline) == expected


def test_verdict_reads_the_interval():
    rng = np.random.default_rng(6)
    seen = Counter()
    for seed in range(60):
        a, b = rng.normal(0.3 * (seed % 3 - 1), 1, 40), np.zeros(40)
        result = paired_bootstrap(a, b, seed=seed)
        expected = "better" if result["low"] > 0 else "worse" if result["high"] < 0 else "no evidence"
        assert verdict(a, b, seed=seed) == expected
        seen[expected] += 1
    assert min(seen[word] for word in ("better", "worse", "no evidence")) >= 5


# What a summary says that its source does not.


@pytest.mark.parametrize(
    ("summary", "source", "n", "rate"),
    [
        ("Nothing special at all about this product", "Nothing special at all about this product. Sent back.", 1, 0),
        ("Nothing special at all about this product", "Nothing special at all about this product. Sent back.", 2, 0),
        ("a good book", "a good film", 1, 1 / 3),
        ("a good book", "a good film", 2, 1 / 2),
        ("a good book", "a good film", 3, 1),
        ("book a good", "a good book", 1, 0),
        ("book a good", "a good book", 2, 1 / 2),
        ("new new old", "old", 1, 2 / 3),
        ("old old new", "old", 1, 1 / 3),
        ("a b a b", "b a", 2, 2 / 3),
        ("GOOD, book!", "good book", 2, 0),
        ("año", "ano", 1, 1),
        ("an\u0303o", "AÑO", 1, 0),
        ("good book", "", 1, 1),
        ("", "good book", 1, 0),
        ("¿…?", "good book", 1, 0),
        ("", "", 1, 0),
        ("good book", "bad film", 3, 0),
        ("good", "bad", 2, 0),
    ],
)
def test_novel_ngram_rate(summary, source, n, rate):
    assert novel_ngram_rate(summary, source, n) == pytest.approx(rate)


def test_novel_ngram_rate_counts_words_by_default():
    assert novel_ngram_rate("a good book", "book good a") == 0.0
    assert isinstance(novel_ngram_rate("", ""), float)


@pytest.mark.parametrize(
    ("summary", "source", "numbers"),
    [
        ("Lasted 3 days", "It lasted 3 days.", []),
        ("Lasted 2 days", "It lasted 3 days.", ["2"]),
        ("9 of 10, 9 times", "10 times", ["9", "9"]),
        ("7 1 5 1", "5", ["7", "1", "1"]),
        ("Costs 3.50", "It cost 3,50", ["3.50"]),
        ("Costs 3,50", "It cost 3,50.", []),
        ("Costs 3.5", "It cost 3.50", ["3.5"]),
        ("Costs 3", "It cost 3.50", ["3"]),
        ("1.250,75 €", "Pagué 1.250,75 €.", []),
        ("1.250 €", "Pagué 1.250,75 €.", ["1.250"]),
        ("Since 2019.", "In 2019, it worked.", []),
        ("iPhone12 x2", "12 phones", ["2"]),
        ("2nd 3.º", "2 de 3", []),
        ("three days", "3 days", []),
        ("v1.2.3", "1.2", ["1.2.3"]),
        ("-5 5% $5", "5", []),
        ("", "5", []),
        ("5", "", ["5"]),
    ],
)
def test_unsupported_numbers(summary, source, numbers):
    assert unsupported_numbers(summary, source) == numbers


def test_numbers_match_the_stated_pattern():
    rng = random.Random(7)
    for _ in range(200):
        summary, source = ("".join(rng.choices("0123456789.,.,  a", k=20)) for _ in range(2))
        found = [[match.group() for match in re.finditer(r"\d+([.,]\d+)*", text)] for text in (summary, source)]
        assert unsupported_numbers(summary, source) == [number for number in found[0] if number not in found[1]]


SENTENCES = {
    "en": [
        "This is the best book of the year",
        "It was not what we wanted, but they were kind",
        "You can read it with your children",
        "The battery and the screen are very good",
        "My dog would not eat this",
        "They have been there for us",
        "What an ending",
        "If it is too small, do not buy it",
        "I love it and so does my son",
    ],
    "es": [
        "Es el mejor libro del año",
        "No era lo que queríamos, pero han sido muy amables",
        "Se puede leer con los niños",
        "La batería y la pantalla están muy bien",
        "Mi perro no se lo come",
        "Ha llegado sin las pilas",
        "Qué final tan bonito para una historia",
        "Si te queda pequeño, no lo compres",
        "Me encanta porque es más fácil que el otro",
    ],
}
SPOKEN = [(language, sentence) for language, sentences in SENTENCES.items() for sentence in sentences]


@pytest.mark.parametrize(("language", "sentence"), SPOKEN)
@pytest.mark.parametrize("form", [str, str.upper, str.title, lambda s: unicodedata.normalize("NFD", f"¡«{s}»!")])
def test_wrong_language(language, sentence, form):
    other = "es" if language == "en" else "en"
    assert wrong_language(form(sentence), language) is False
    assert wrong_language(form(sentence), other) is True


@pytest.mark.parametrize("source_language", ["en", "es"])
@pytest.mark.parametrize(
    "summary", ["", "   ", "5/5", "Excelente", "Excellent", "Kindle", "no", "the el", "El libro was", "😍"]
)
def test_draw_is_not_a_wrong_language(summary, source_language):
    assert wrong_language(summary, source_language) is False


def test_stronger_evidence_wins():
    assert wrong_language("the book es una joya de la autora", "en") is True
    assert wrong_language("the book es una joya de la autora", "es") is False
    assert wrong_language("I love it: it is the book of el maestro", "es") is True
    assert wrong_language("I love it: it is the book of el maestro", "en") is False
    assert wrong_language("the el the", "es") is True
    assert wrong_language("el the el", "en") is True


@pytest.mark.parametrize("language", ["fr", "EN", "english", "", None])
def test_wrong_language_knows_two(language):
    with pytest.raises(ValueError, match="source_language"):
        wrong_language("This is the book", language)


@pytest.mark.parametrize(
    ("summary", "language"),
    [("Gave me a rash", "en"), ("Great e-book", "en"), ("He vuelto a comprar", "es"), ("Has acertado", "es")],
)
def test_words_of_both_languages_are_no_evidence(summary, language):
    assert wrong_language(summary, language) is False


class TestVerdictOverSeeds:
    BASELINE = (0.0, 40.0, 10.0, 25.0, 5.0, 30.0, 15.0, 20.0)

    def test_by_hand(self):
        """The same draws, one number at a time."""
        model = [[2.0, 41.0, 10.0, 30.0, 4.0, 33.0, 15.0, 22.0], [1.0, 40.0, 16.0, 22.0, 9.0, 30.0, 12.0, 27.0]]
        found = verdict_over_seeds(model, self.BASELINE, n_resamples=50, seed=3)
        generator = np.random.default_rng(3)
        means = []
        for _ in range(50):
            seeds, examples = generator.integers(2, size=2), generator.integers(8, size=8)
            means.append(statistics.fmean(model[one][two] - self.BASELINE[two] for one in seeds for two in examples))
        assert found["mean_difference"] == pytest.approx(statistics.fmean(map(sum, model)) / 8 - sum(self.BASELINE) / 8)
        assert [found["low"], found["high"]] == pytest.approx(np.percentile(means, [2.5, 97.5]).tolist())

    @pytest.mark.parametrize(("gain", "verdict"), [(2.0, "better"), (-2.0, "worse"), (0.0, "no evidence")])
    def test_verdict(self, gain, verdict):
        model = [[score + gain for score in self.BASELINE]] * 3
        assert verdict_over_seeds(model, self.BASELINE)["verdict"] == verdict

    def test_seeds_that_disagree_widen_the_interval(self):
        """One seed far above and one far below: the examples alone would never tell."""
        apart = [[score + gain for score in self.BASELINE] for gain in (9.0, -8.0)]
        assert verdict_over_seeds(apart, self.BASELINE)["verdict"] == "no evidence"
        assert verdict_over_seeds(apart[:1], self.BASELINE)["verdict"] == "better"

    @pytest.mark.parametrize(
        ("model", "baseline"), [([], [1.0]), ([[]], []), ([[1.0, 2.0], [1.0]], [1.0, 2.0]), ([[1.0]], [1.0, 2.0])]
    )
    def test_what_cannot_be_compared(self, model, baseline):
        with pytest.raises(ValueError, match=r"no scores|not paired"):
            verdict_over_seeds(model, baseline)
