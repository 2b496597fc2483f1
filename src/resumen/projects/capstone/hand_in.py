"""What the capstone hands in: the figures that follow from its files, and their tables."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from resumen.files import METRICS, markdown_table, read_csv
from resumen.metrics import ROUGES, mean_interval, paired_bootstrap, score_examples
from resumen.projects.capstone.raters import KEY, RATERS, SIMULATED, agreement, mean_scores, sheet_name
from resumen.projects.common import brief, is_number

SYSTEMS = ("floor", "system_a", "system_b", "ablation")
COLUMNS = ("id", "language", "part", "reference", *SYSTEMS)
PAIRS = (("system_a", "floor"), ("system_b", "floor"), ("system_b", "system_a"), ("system_b", "ablation"))
"""What is compared: the first minus the second."""

RATED = ("system_a", "system_b")
SAME = 1e-6
"""Most that the scores of one process and of two may differ."""


def build_metrics(
    predictions: pd.DataFrame, settings: dict, ratings: pd.DataFrame | None, robustness: dict, processes: dict
) -> dict:
    """Return what metrics.json holds: settings, scores, comparisons, people, robustness, processes.

    Args:
        predictions: columns `COLUMNS`, all text.
        ratings: what `raters.read_ratings` returns; None as long as the sheets are not full.
        robustness: {kind: row of `robustness.robustness`}, as it stands.
        processes: {"1": scores, "2": scores} of `resumen.projects.capstone.processes`, as they stand.
    """
    per_example = {name: score_examples(predictions[name], predictions["reference"]) for name in SYSTEMS}
    scores: dict[str, dict] = {}
    comparisons: dict[str, dict] = {}
    for part, language, chosen in _slices(predictions):
        where = f"{part}, {language}"
        scores[where] = {"n": int(chosen.sum())} | {
            name: {rouge: mean_interval(per_example[name].loc[chosen, rouge]) for rouge in ROUGES} for name in SYSTEMS
        }
        comparisons[where] = {
            f"{one} - {other}": {
                rouge: paired_bootstrap(per_example[one].loc[chosen, rouge], per_example[other].loc[chosen, rouge])
                for rouge in ROUGES
            }
            for one, other in PAIRS
        }
    people = {}
    if ratings is not None:
        # JSON has no NaN: a kappa that is undefined is null there.
        kappas = {
            language: {name: None if value != value else value for name, value in row.items()}
            for language, row in agreement(ratings).items()
        }
        people = {"kappa": kappas, "mean_score": mean_scores(ratings)}
    return {
        "settings": settings,
        "scores": scores,
        "comparisons": comparisons,
        "people": people,
        "robustness": robustness,
        "processes": processes,
    }


def _slices(predictions: pd.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield (part, language or "all", mask) in a fixed order."""
    for part in sorted(predictions["part"].unique()):
        inside = (predictions["part"] == part).to_numpy()
        yield part, "all", inside
        for language in sorted(predictions.loc[inside, "language"].unique()):
            yield part, language, inside & (predictions["language"] == language).to_numpy()


def decision(metrics: dict, where: str, pair: str = "system_b - system_a", rouge: str = "rougeL") -> str:
    """Return the sentence that a comparison supports: which system is better and by how much, or that there is no evidence."""
    one, other = pair.split(" - ")
    paired = metrics["comparisons"][where][pair][rouge]
    interval = f"{paired['mean_difference']:+.2f} [{paired['low']:+.2f}, {paired['high']:+.2f}] {rouge}"
    if paired["low"] > 0:
        return f"{where}: {one} is better than {other} ({interval})."
    if paired["high"] < 0:
        return f"{where}: {one} is worse than {other} ({interval})."
    return f"{where}: no evidence of a difference between {one} and {other} ({interval})."


def process_faults(processes: object) -> Iterator[str]:
    """Yield what is wrong with the two scores: not of 1 and 2 processes, or not the same."""
    if not isinstance(processes, dict) or set(processes) != {"1", "2"}:
        found = ", ".join(sorted(processes)) if isinstance(processes, dict) else brief(processes)
        yield f"{METRICS}, processes: it has {found or 'nothing'}, but 1 and 2 belong there."
        return
    for number, scores in processes.items():
        if not isinstance(scores, dict) or not all(isinstance(row, dict) for row in scores.values()):
            yield f"{METRICS}, processes.{number}: it says {brief(scores)}, but the scores of each language belong there."
            return
    one, two = processes["1"], processes["2"]
    if set(one) != set(two) or not one:
        yield f"{METRICS}, processes: the two do not have the same languages: score the same test split."
        return
    for language in one:
        for name in dict.fromkeys((*ROUGES, *one[language], *two[language])):
            first, second = (scores[language].get(name) for scores in (one, two))
            if not (is_number(first) and is_number(second) and abs(first - second) <= SAME):
                yield (
                    f"{METRICS}, processes, {language} {name}: {brief(first)} on one process, {brief(second)} on two: "
                    "do all rows count once?"
                )


def card_means(metrics: dict) -> dict[str, dict[str, float]]:
    """Return the table of a model card: {language: {score: mean}} of system B, a row per part and language."""
    try:
        return {
            where: {rouge: float(row["system_b"][rouge]["mean"]) for rouge in ROUGES}
            for where, row in metrics["scores"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return {}  # the line on metrics.json says so


def tables(metrics: dict) -> str:
    """Return the tables of a report in Markdown, each under a heading with its name, figures with two decimals."""

    def interval(value: dict, name: str) -> str:
        if value[name] is None:
            return "undefined"
        return f"{value[name]:.2f} [{value['low']:.2f}, {value['high']:.2f}]"

    scores = [
        [where, str(row["n"]), *(interval(row[system]["rougeL"], "mean") for system in SYSTEMS)]
        for where, row in metrics["scores"].items()
    ]
    decisions = [[decision(metrics, where, pair)] for where, pairs in metrics["comparisons"].items() for pair in pairs]
    people = [
        [
            language,
            str(row["n"]),
            interval(row, "kappa"),
            *(f"{metrics['people']['mean_score'][language][name]:.2f}" for name in RATED),
        ]
        for language, row in metrics["people"].get("kappa", {}).items()
    ]
    robust = [
        [kind, row["done"], "yes" if row["holds"] else "no", interval(row, "drop")]
        for kind, row in metrics["robustness"].items()
    ]
    named = {
        "scores": (["rows", "n", *SYSTEMS], scores),
        "decisions": (["what the intervals support"], decisions),
        "people": (["language", "outputs rated", "weighted kappa", *RATED], people),
        "robustness": (["kind", "done to the text", "holds", "drop in ROUGE-L"], robust),
    }
    return "\n".join(f"## {name}\n\n{markdown_table(*table)}\n" for name, table in named.items())


def simulate_ratings(folder: Path, predictions: pd.DataFrame, seed: int = 0) -> None:
    """Fill both raters' sheets by a program, and say so in every note. The exemplar has no raters; a project must have.

    Each output has a hidden quality, 1 to 4 by the quarters of ROUGE-1 (0, 25, 50, 75) against its reference. A rater gives that score in seven of ten cases, else one
    step more or less.
    """
    texts = predictions.set_index("id")
    key = read_csv(folder / KEY, ("rater", "item"), more=True)
    for rater in RATERS:
        rng = random.Random(f"{seed} {rater}")
        path = folder / sheet_name(rater)
        sheet = read_csv(path, ("item",), more=True)
        for index, row in sheet.iterrows():
            (truth,) = key[(key["rater"] == rater) & (key["item"] == row["item"])].to_dict("records")
            for number in range(1, len(RATED) + 1):
                shown = row[f"output_{number}"]
                rouge = score_examples([shown], [texts.loc[truth["id"], "reference"]])["rouge1"].item()
                quality = min(4, 1 + int(rouge // 25))
                step = rng.choice((-1, 1)) if rng.random() < 0.3 else 0
                sheet.loc[index, f"score_{number}"] = str(min(4, max(1, quality + step)))
            sheet.loc[index, "note"] = f"{SIMULATED}: from ROUGE-1 and chance, no person rated this"
        sheet.to_csv(path, index=False, encoding="utf-8")
