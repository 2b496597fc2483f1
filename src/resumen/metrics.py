"""ROUGE that is right in Spanish too, tables per language, and intervals. Stage 3 builds all of it by hand."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from rouge_score import rouge_scorer
from rouge_score.rouge_scorer import RougeScorer

from resumen.text import count_stop_words, ngrams, tokenize_words

EVALUATE_MODULE = Path(__file__).parent / "data" / "rouge_words" / "rouge_words.py"
"""The same ROUGE as an `evaluate` module: `evaluate.load(str(EVALUATE_MODULE))` needs no network."""

ROUGES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
"""The four scores that every table of the course shows, in this order."""


class Score(NamedTuple):
    """Precision, recall and their harmonic mean, each in [0, 1]."""

    precision: float
    recall: float
    fmeasure: float


class WordTokenizer:
    """`tokenize_words` in the shape that `rouge_score` asks for. Its own tokenizer keeps a to z only and splits `año`."""

    def tokenize(self, text: str) -> list[str]:
        return tokenize_words(text)


_scorer = RougeScorer(list(ROUGES), tokenizer=WordTokenizer())


def rouge_scores(prediction: str, reference: str) -> dict[str, float]:
    """Return the F-measure of each of `ROUGES`, in [0, 1]: what rouge_score gives with the course's tokenizer, to the last bit.

    Lin (2004), https://aclanthology.org/W04-1013. rougeL reads the whole text, rougeLsum one sentence per line. It is several times as fast
    as rouge_score: a text is cut into words once, and the longest common subsequence is found a row of the table at a time.
    """
    predicted, referred = _lines(prediction), _lines(reference)
    own, other = ([word for line in lines for word in line] for lines in (predicted, referred))
    lengths = len(own), len(other)
    words = _overlap(own, other)
    if not words:
        return dict.fromkeys(ROUGES, 0.0)
    common = _common_subsequence(own, other)
    if len(predicted) > 1 or len(referred) > 1:
        union = rouge_scorer._summary_level_lcs(referred, predicted).fmeasure
    else:  # of one sentence each the union is the one subsequence
        union = _f_measure(common, *lengths)
    pairs = _overlap(pairwise(own), pairwise(other))
    return {
        "rouge1": _f_measure(words, *lengths),
        "rouge2": _f_measure(pairs, lengths[0] - 1, lengths[1] - 1),
        "rougeL": _f_measure(common, *lengths),
        "rougeLsum": union,
    }


def _lines(text: str) -> list[list[str]]:
    return [tokenize_words(line) for line in text.split("\n") if line]


def _overlap(own: Iterable, other: Iterable) -> int:
    """Return how many of the items both have; a repeated one counts as often as the other has it."""
    left: dict = {}
    for item in other:
        left[item] = left.get(item, 0) + 1
    found = 0
    for item in own:
        count = left.get(item)
        if count:
            left[item] = count - 1
            found += 1
    return found


def _common_subsequence(own: list[str], other: list[str]) -> int:
    """Return the length of the longest common subsequence.

    A bit that is 0 stands for a place where the row of the table grows by one (Hyyrö, 2004), so a row is one sum of two numbers.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(other):
        places[word] = places.get(word, 0) | 1 << place
    ones = row = (1 << len(other)) - 1
    for word in own:
        if word in places:
            grown = row & places[word]
            row = (row + grown) | (row - grown)
    return len(other) - (row & ones).bit_count()


def _f_measure(common: int, own: int, other: int) -> float:
    if not common:
        return 0.0
    precision, recall = common / own, common / other
    return 2 * precision * recall / (precision + recall)


def rouge_n(prediction: str, reference: str, n: int = 1) -> Score:
    """Return the overlap of word n-grams; a repeated n-gram counts as often as the other text has it (clipping)."""
    return Score(*RougeScorer([f"rouge{n}"], tokenizer=WordTokenizer()).score(reference, prediction)[f"rouge{n}"])


def rouge_l(prediction: str, reference: str) -> Score:
    """Return the longest common subsequence of words, as a share of each text."""
    return Score(*_scorer.score(reference, prediction)["rougeL"])


def rouge_lsum(prediction: str, reference: str) -> Score:
    """Return the union of the longest common subsequences of sentence pairs; sentences are separated by newlines."""
    return Score(*_scorer.score(reference, prediction)["rougeLsum"])


def score_examples(predictions: Sequence[str], references: Sequence[str]) -> pd.DataFrame:
    """Return one row per example: columns `ROUGES`, F-measure × 100.

    Raises:
        ValueError: if the two lists differ in length.
    """
    if len(predictions) != len(references):
        raise ValueError(f"There are {len(predictions)} predictions for {len(references)} references.")
    rows = [tuple(rouge_scores(*pair).values()) for pair in zip(predictions, references, strict=True)]
    return pd.DataFrame(rows, columns=list(ROUGES), dtype=float) * 100


def evaluate_system(predictions: Sequence[str], references: Sequence[str], languages: Sequence[str]) -> pd.DataFrame:
    """Return the mean F-measure × 100 per language.

    Rows all, en, es; columns `ROUGES` and n. A language without examples has n 0 and NaN. Texts are scored as given: put one
    sentence on each line for rougeLsum.

    Raises:
        ValueError: if the three lists differ in length.
    """
    if len(languages) != len(references):
        raise ValueError(f"There are {len(languages)} languages for {len(references)} references.")
    scores = score_examples(predictions, references)
    tags = np.array(list(languages), dtype=object)
    table = {}
    for name in ("all", "en", "es"):
        chosen = scores[tags == name] if name != "all" else scores
        table[name] = {**chosen.mean().to_dict(), "n": len(chosen)}
    return pd.DataFrame.from_dict(table, orient="index")


def resampled_means(scores: Sequence[float], n_resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """Return the means of `n_resamples` samples drawn from the scores with replacement, each as long as the scores."""
    values = np.asarray(scores, dtype=float)
    picks = np.random.default_rng(seed).integers(0, len(values), size=(n_resamples, len(values)))
    return values[picks].mean(axis=1)


def mean_interval(scores: Sequence[float], n_resamples: int = 1000, seed: int = 0) -> dict[str, float]:
    """Return mean, low and high: the mean and its 95 % percentile bootstrap interval (Efron and Tibshirani, 1993)."""
    low, high = np.percentile(resampled_means(scores, n_resamples, seed), [2.5, 97.5])
    return {"mean": float(np.mean(scores)), "low": float(low), "high": float(high)}


def paired_bootstrap(
    scores_a: Sequence[float], scores_b: Sequence[float], n_resamples: int = 1000, seed: int = 0
) -> dict[str, float]:
    """Compare two systems on the same examples (Koehn, 2004, https://aclanthology.org/W04-3250).

    Returns mean_difference (a − b), low and high (percentiles 2.5 and 97.5 of the resampled mean differences) and p_value =
    min(1, 2·min(share ≤ 0, share ≥ 0)).

    Raises:
        ValueError: if the two lists differ in length or are empty.
    """
    if len(scores_a) != len(scores_b):
        raise ValueError(f"The scores are not paired: {len(scores_a)} for a, {len(scores_b)} for b.")
    if len(scores_a) == 0:
        raise ValueError("There are no scores to compare.")
    differences = np.asarray(scores_a, dtype=float) - np.asarray(scores_b, dtype=float)
    means = resampled_means(differences, n_resamples, seed)
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "mean_difference": float(differences.mean()),
        "low": float(low),
        "high": float(high),
        "p_value": float(min(1.0, 2 * min((means <= 0).mean(), (means >= 0).mean()))),
    }


def verdict(model_scores: Sequence[float], baseline_scores: Sequence[float], seed: int = 0) -> str:
    """Return "better" if the interval of the paired difference lies above 0, "worse" if below, else "no evidence"."""
    result = paired_bootstrap(model_scores, baseline_scores, seed=seed)
    if result["low"] > 0:
        return "better"
    return "worse" if result["high"] < 0 else "no evidence"


def verdict_over_seeds(
    model_scores: Sequence[Sequence[float]], baseline_scores: Sequence[float], n_resamples: int = 1000, seed: int = 0
) -> dict[str, float | str]:
    """Compare a model that was trained with several seeds with a baseline, on the same examples.

    Another seed gives another model, and other reviews give other scores: a resample draws both, as many seeds and as many examples as
    there are, with replacement. The examples are the same for all seeds and for the baseline.

    Args:
        model_scores: one row of scores for each training seed.
        baseline_scores: the baseline's scores of the same examples.

    Returns:
        mean_difference (model − baseline), low and high (percentiles 2.5 and 97.5 of the resampled means), and verdict: "better" if low > 0, "worse"
        if high < 0, else "no evidence".

    Raises:
        ValueError: if there are no scores, or rows differ in length.
    """
    lengths = {len(row) for row in (*model_scores, baseline_scores)}
    if not len(model_scores) or lengths == {0}:
        raise ValueError("There are no scores to compare.")
    if len(lengths) > 1:
        raise ValueError(f"The scores are not paired: rows of {' and '.join(map(str, sorted(lengths)))} examples.")
    differences = np.asarray(model_scores, dtype=float) - np.asarray(baseline_scores, dtype=float)
    seeds, examples = differences.shape
    generator = np.random.default_rng(seed)
    means = [
        differences[generator.integers(seeds, size=seeds)][:, generator.integers(examples, size=examples)].mean()
        for _ in range(n_resamples)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    verdict = "better" if low > 0 else "worse" if high < 0 else "no evidence"
    return {"mean_difference": float(differences.mean()), "low": float(low), "high": float(high), "verdict": verdict}


def novel_ngram_rate(summary: str, source: str, n: int = 1) -> float:
    """Return the share of the summary's word n-grams, repeats counted, that the source does not hold; 0.0 without n-grams."""
    own = ngrams(summary, n)
    known = set(ngrams(source, n))
    return sum(ngram not in known for ngram in own) / len(own) if own else 0.0


_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def unsupported_numbers(summary: str, source: str) -> list[str]:
    """Return the numbers of the summary that the source does not hold as written, in order, repeats kept."""
    known = set(_NUMBER.findall(source))
    return [number for number in _NUMBER.findall(summary) if number not in known]


def wrong_language(summary: str, source_language: str) -> bool:
    """Say whether the summary reads more like the other language than like its source's, by its stop words.

    Words of both languages are no evidence: they count on both sides. A draw is not a wrong language.

    Raises:
        ValueError: if `source_language` is neither `en` nor `es`.
    """
    if source_language not in ("en", "es"):
        raise ValueError(f"source_language is {source_language!r}, not 'en' or 'es'.")
    evidence = count_stop_words(summary)
    other = "es" if source_language == "en" else "en"
    return evidence[other] > evidence[source_language]
