"""The course's central experiment: a model that was fine-tuned with several seeds, against every baseline, on three kinds of text.

parts = test_parts(pairs, categories)                                     # test, literary, synopses
systems = baseline_titles(parts["test"], pairs)                           # one list of titles each
systems["fine-tuned"] = [predictions, *other_runs(parts)["test"]]         # one list for each training seed
scores, differences = compare(systems, parts["test"])
"""

import json
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, concatenate_datasets

from resumen.baselines import constant_baseline, lead_k, nearest_titles, oracle_sentence, random_sentence
from resumen.corpus import LANGUAGES, clean_pairs, load_literary, load_synopses
from resumen.errors import CourseError
from resumen.metrics import ROUGES, score_examples, verdict_over_seeds
from resumen.profiles import DATA, PROFILES, SEED

PARTS = ("test", "literary", "synopses")
"""The reviews that are like those of train; the reviews by another hand; package descriptions, another kind of text."""

BASELINES = ("constant", "nearest", "random", "lead-1", "lead-3", "oracle")
SYSTEMS = ("before", "fine-tuned", *BASELINES)
"""`before` is the checkpoint as it comes; `oracle` has seen the reference, and is no rival."""

RUNS = DATA / "runs"
"""Predictions of the seeds that nobody has to train again: see its README.md."""

RECORDED = DATA / "recorded"
"""Where the package holds the bundle of `resumen record`: what mT5-small wrote for the embedded texts. Without one the folder is missing."""

RUN = "run.json"
"""What a bundle tells of itself: checkpoint, parameters, Hub, profile, corpus, device, versions, seeds."""

RECORDED_PARTS = ("validation", *PARTS)
"""The rows that a bundle has titles for. The lectures look at those of validation."""

HUB = "https://huggingface.co"
FULL_PARAMETERS = 300_000_000
"""mT5-small has a few more, output layer included; no stand-in has as many."""

RECORDED_SEEDS = 3
LARGEST_BUNDLE = 1_000_000
"""Bytes."""

SYNOPSES = 150
"""Descriptions per language: more would take longer than they tell."""


def test_parts(pairs: DatasetDict, categories: Collection[str]) -> dict[str, Dataset]:
    """Return the rows of `PARTS`: `pairs["test"]`, and the other two from the package, cleaned as stage 1 does, titles of three words or more.

    Of `literary` those of the categories; all of it where it has none of them, as with the categories of a corpus of your own.
    """
    literary, synopses = [], []
    for language in LANGUAGES:
        rows = load_literary(language)
        chosen = rows.filter(lambda name: name in categories, input_columns=["product_category"])
        literary.append(clean_pairs(chosen if len(chosen) else rows))
        rows = clean_pairs(load_synopses(language)["test"])
        synopses.append(rows.select(range(min(SYNOPSES, len(rows)))))
    return {
        "test": pairs["test"],
        "literary": concatenate_datasets(literary),
        "synopses": concatenate_datasets(synopses),
    }


def baseline_titles(rows: Dataset, pairs: DatasetDict) -> dict[str, list[str]]:
    """Return what each of `BASELINES` writes for the rows: constant and nearest titles come from `pairs["train"]`.

    The constant title is chosen on `pairs["validation"]`, for each language its own.
    """
    train, validation, given = (part.to_pandas() for part in (pairs["train"], pairs["validation"], rows))
    found = {name: pd.Series(index=given.index, dtype=object) for name in BASELINES}
    for language in given["language"].unique():
        known, chosen = train[train["language"] == language], validation[validation["language"] == language]
        here = given[given["language"] == language]
        bodies = here["review_body"].tolist()
        generator = random.Random(SEED)
        constant = constant_baseline(known["review_title"].tolist(), chosen["review_title"].tolist())
        titles = {
            "constant": [constant] * len(here),
            "nearest": nearest_titles(bodies, known["review_body"].tolist(), known["review_title"].tolist()),
            "random": [random_sentence(body, language, generator) for body in bodies],
            "lead-1": [lead_k(body, language, 1) for body in bodies],
            "lead-3": [lead_k(body, language, 3) for body in bodies],
            "oracle": [
                oracle_sentence(body, title, language) for body, title in zip(bodies, here["review_title"], strict=True)
            ],
        }
        for name, written in titles.items():
            found[name][here.index] = written
    return {name: titles.tolist() for name, titles in found.items()}


def other_runs(parts: Mapping[str, Dataset]) -> dict[str, list[list[str]]]:
    """Return the titles that the course's other training seeds gave to the rows of each part, one list for each seed.

    They belong to the embedded corpus: where one row is not known, as of a corpus of your own, no part has any list.
    """
    runs: dict[str, list[list[str]]] = {name: [] for name in parts}
    asked = {name: [(name, review) for review in rows["review_id"][:]] for name, rows in parts.items()}
    for titles in _titles_of_seeds(RUNS):
        if any(key not in titles for keys in asked.values() for key in keys):
            return {name: [] for name in parts}
        for name, keys in asked.items():
            runs[name].append([titles[key] for key in keys])
    return runs


def recorded_titles(part: str, ids: Iterable[str]) -> list[list[str]] | None:
    """Return the titles that the recorded run of the full profile gave to some rows, one list for each training seed.

    None if no run was recorded, or not for one of these rows, as with a corpus of your own.

    Args:
        part: one of `RECORDED_PARTS`.
        ids: the `review_id` of each row.

    Raises:
        CourseError: if the package holds a bundle that it must not hold (`bundle_fault`).
    """
    if not (RECORDED / RUN).is_file():
        return None
    if fault := bundle_fault(RECORDED):
        raise CourseError(fault)
    keys, seeds = [(part, name) for name in ids], _titles_of_seeds(RECORDED)
    if any(key not in titles for titles in seeds for key in keys):
        return None
    return [[titles[key] for key in keys] for titles in seeds]


def bundle_fault(folder: Path) -> str | None:
    """Say in one sentence why a bundle of `resumen record` cannot be part of the package, None if it can.

    A stand-in is known by what the bundle tells of its checkpoint: name, number of parameters, and the Hub that it came from.
    """
    remedy = "record the full profile with `resumen record` on a machine with a GPU and the Hub"
    try:
        told = json.loads((folder / RUN).read_text(encoding="utf-8"))
        name, parameters, hub = told["profile"]["checkpoint"], int(told["parameters"]), told["hub"]
        seeds, rows = set(told["seeds"]), sum(told["parts"].values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return f"{folder} holds no bundle that can be read: {remedy}."
    if name != PROFILES["full"].checkpoint or parameters < FULL_PARAMETERS or hub != HUB:
        return f"{folder} was recorded with a stand-in, {name} of {parameters:,} parameters from {hub}: {remedy}."
    files = {path.stem.removeprefix("seed_"): path for path in folder.glob("seed_*.jsonl")}
    if len(seeds) < RECORDED_SEEDS or set(files) != seeds:
        return f"{folder} holds {len(seeds)} of {RECORDED_SEEDS} training seeds: {remedy}, which goes on where it was stopped."
    if any(len(titles) != rows for titles in _titles_of_seeds(folder)):
        return f"{folder} does not hold a title for each of its {rows} rows and each seed: {remedy}."
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > LARGEST_BUNDLE:
        return (
            f"{folder} has {size / 1e6:.1f} MB, but a bundle may have {LARGEST_BUNDLE / 1e6:.0f} MB: shorten its logs."
        )
    return None


def _titles_of_seeds(folder: Path) -> list[dict[tuple[str, str], str]]:
    """Return the titles by part and review, one dictionary for each file `seed_*.jsonl`."""
    seeds = []
    for path in sorted(folder.glob("seed_*.jsonl")):
        lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        seeds.append({(line["part"], line["review_id"]): line["title"] for line in lines})
    return seeds


def compare(
    systems: Mapping[str, Sequence[str] | Sequence[Sequence[str]]], rows: Dataset
) -> tuple[dict[str, dict], dict[str, dict]]:
    """Score systems on the same rows, per language, and compare `fine-tuned` with every other one.

    Args:
        systems: the titles of each system; of `fine-tuned` a list for each training seed.
        rows: with columns review_title, the reference, and language.

    Returns:
        {language: {system: {score: mean F-measure × 100}}}, over all seeds, and {language: {system: {score: {"mean", "low", "high"}}}}, fine-tuned minus the
        system with its 95 % interval over seeds and examples (`verdict_over_seeds`).
    """
    languages = np.array(rows["language"][:], dtype=object)
    references = rows["review_title"][:]
    frames = {
        name: [score_examples(run, references) for run in (runs if name == "fine-tuned" else [runs])]
        for name, runs in systems.items()
    }
    scores: dict[str, dict] = {}
    differences: dict[str, dict] = {}
    for language in sorted(set(languages)):
        here = {name: [frame[languages == language] for frame in runs] for name, runs in frames.items()}
        scores[language] = {
            name: {score: float(np.mean([frame[score].mean() for frame in runs])) for score in ROUGES}
            for name, runs in here.items()
        }
        tuned = here["fine-tuned"]
        differences[language] = {
            name: {score: _difference([frame[score] for frame in tuned], runs[0][score]) for score in ROUGES}
            for name, runs in here.items()
            if name != "fine-tuned"
        }
    return scores, differences


def _difference(model_scores: Sequence[Sequence[float]], baseline_scores: Sequence[float]) -> dict[str, float]:
    found = verdict_over_seeds(model_scores, baseline_scores)
    return {"mean": found["mean_difference"], "low": found["low"], "high": found["high"]}
