"""The capstone's hand-in: the figures that follow from its files, and its checklist."""

import random
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from resumen.grading import projects
from resumen.grading.contract import REFUSED, check_corpus, read_corpus
from resumen.grading.projects import WRITTEN, Check
from resumen.grading.raters import RATERS, SIMULATED, agreement, is_simulated, mean_scores, read_ratings
from resumen.grading.robustness import STRESSES
from resumen.metrics import ROUGES, mean_interval, paired_bootstrap, score_examples
from resumen.profiles import CourseError

BY_RATER = "project.ipynb writes it blank, and a rater fills it."

FILES = {
    "proposal.md": "it is proposal_template.md, filled in.",
    "project.ipynb": "it is the starter, answered and run.",
    "DATA_CARD.md": "write it as data_contract.md says.",
    "metrics.json": WRITTEN,
    "predictions.csv": WRITTEN,
    "sheet_a.csv": BY_RATER,
    "sheet_b.csv": BY_RATER,
    "key.csv": "project.ipynb writes it.",
    "report.md": "write it in a copy of report_template.md.",
    "MODEL_CARD.md": WRITTEN,
    "talk.md": "it is talk_outline.md, filled in.",
    "demo.py": "it is capstone/capstone/demo.py, changed for your model.",
}
ALSO = ("corpus.jsonl", "corpus.parquet")
"""The corpus itself, under one of these names."""

SYSTEMS = ("floor", "system_a", "system_b", "ablation")
COLUMNS = ("id", "language", "part", "reference", *SYSTEMS)
PAIRS = (("system_a", "floor"), ("system_b", "floor"), ("system_b", "system_a"), ("system_b", "ablation"))
"""What is compared: the first minus the second."""

SETTINGS = {"quick": bool, "seed": int, "system_a": str, "system_b": str, "ablation": str, "checkpoint": str}
HEADINGS = ("The question", "Corpus", "Systems", "Results", "People", "Robustness", "Limits", "Decision")
WORDS = 2_000
"""Four pages."""

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
        processes: {"1": scores, "2": scores} of `resumen.grading.processes`, as they stand.
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


def process_faults(processes: dict) -> Iterator[str]:
    """Yield what is wrong with the two scores: not of 1 and 2 processes, or not the same."""
    if sorted(processes) != ["1", "2"]:
        yield f"metrics.json, processes: it has {', '.join(sorted(processes)) or 'nothing'}, but 1 and 2 belong there."
        return
    one, two = processes["1"], processes["2"]
    if set(one) != set(two):
        yield "metrics.json, processes: the two do not have the same languages: score the same test split."
        return
    for language in one:
        for name, value in one[language].items():
            if not abs(value - two[language].get(name, float("nan"))) <= SAME:
                yield (
                    f"metrics.json, processes, {language} {name}: {value} on one process, {two[language].get(name)} on two: "
                    "do all rows count once?"
                )


def checks(folder: Path) -> list[Check]:
    """Return the checks of a hand-in, in the order in which a student should read them."""
    hand_in = HandIn(folder)
    simulated = ": SIMULATED, no person rated these" if is_simulated(folder) else ""
    return [
        ("the corpus keeps the data contract", hand_in.corpus_faults),
        ("project.ipynb is the starter, answered, and run in order", hand_in.notebook_faults),
        ("predictions.csv holds every test row once", hand_in.prediction_faults),
        ("metrics.json has its settings", hand_in.setting_faults),
        (f"both raters' sheets are full and belong to these predictions{simulated}", hand_in.sheet_faults),
        ("metrics.json follows from predictions and sheets", hand_in.metric_faults),
        ("robustness: every kind of input", hand_in.robustness_faults),
        ("two processes give the scores of one", lambda: process_faults(hand_in.metrics.get("processes") or {})),
        ("report.md keeps the template and quotes figures of this hand-in", hand_in.report_faults),
        ("MODEL_CARD.md can be read by the Hub", hand_in.card_faults),
        ("proposal.md and talk.md are filled in", hand_in.open_places),
        ("demo.py is Python", hand_in.demo_faults),
    ]


class HandIn(projects.HandIn):
    project = "capstone"
    prediction_columns = COLUMNS
    settings = SETTINGS

    @cached_property
    def corpus(self) -> pd.DataFrame:
        found = [self.folder / name for name in ALSO if (self.folder / name).is_file()]
        if len(found) != 1:
            raise CourseError(
                f"{self.folder} has {len(found)} files called {' or '.join(ALSO)}: put your corpus there, once."
            )
        return read_corpus(found)

    @cached_property
    def ratings(self) -> pd.DataFrame:
        return read_ratings(self.folder)

    def corpus_faults(self) -> Iterator[str]:
        for line in check_corpus(self.corpus, projects.read_text(self.folder / "DATA_CARD.md")):
            if line.state == REFUSED:
                yield f"{line.name}: {line.what}: {line.remedy}."

    def prediction_faults(self) -> Iterator[str]:
        test = self.corpus[self.corpus["split"] == "test"].drop_duplicates("id").set_index("id")
        table = self.predictions
        yield from projects.id_faults("predictions.csv", table["id"], set(test.index))
        for row in table[table["id"].isin(test.index)].itertuples():
            for name in ("language", "reference"):
                if getattr(row, name) != test.loc[row.id, name]:
                    yield f"predictions.csv, id {row.id!r}: its {name} is not that of the corpus: {WRITTEN}"
        for name in SYSTEMS:
            if len(table) and (table[name].str.strip() == "").all():
                yield f"predictions.csv: the column {name} is empty in every row: did the system write anything?"

    def sheet_faults(self) -> Iterator[str]:
        ratings, texts = self.ratings, self.predictions.drop_duplicates("id").set_index("id")
        unknown = sorted(set(ratings["id"]) - set(texts.index))
        if unknown:
            yield f"key.csv: the id {unknown[0]!r} is not in predictions.csv: rate outputs of this hand-in."
            return
        count = ratings["id"].nunique()
        if count < 50:
            yield f"The sheets have {count} items: 50 are asked for."
        if set(ratings["system"]) != set(RATED):
            yield f"key.csv: the systems are {', '.join(sorted(set(ratings['system'])))}, but {' and '.join(RATED)} are rated."
            return
        key = projects.read_csv(self.folder / "key.csv", ("rater", "item", "id", "system_1", "system_2"))
        for rater in RATERS:
            columns = ("item", "language", "source", "output_1", "output_2", "score_1", "score_2", "note")
            sheet = projects.read_csv(self.folder / f"sheet_{rater}.csv", columns)
            for row in sheet.merge(key[key["rater"] == rater], on="item").itertuples():
                for shown, system in ((row.output_1, row.system_1), (row.output_2, row.system_2)):
                    if shown != texts.loc[row.id, system]:
                        yield f"sheet_{rater}.csv, item {row.item}: it shows another text than {system} in predictions.csv."

    def metric_faults(self) -> Iterator[str]:
        metrics = self.metrics
        computed = build_metrics(
            self.predictions,
            metrics.get("settings"),
            self.ratings,
            metrics.get("robustness"),
            metrics.get("processes"),
        )
        yield from projects.figure_faults(metrics, computed)

    def robustness_faults(self) -> Iterator[str]:
        table = self.metrics.get("robustness")
        if not isinstance(table, dict) or set(table) != set(STRESSES):
            yield f"metrics.json, robustness: the kinds {', '.join(STRESSES)} belong there: {WRITTEN}"
            return
        for kind, row in table.items():
            if not isinstance(row, dict) or not isinstance(row.get("holds"), bool):
                yield f"metrics.json, robustness.{kind}: it does not say whether what must hold held: {WRITTEN}"

    def report_faults(self) -> Iterator[str]:
        return projects.report_faults(self.folder / "report.md", HEADINGS, WORDS, projects.figures_in(self.metrics))

    def card_faults(self) -> Iterator[str]:
        return projects.card_faults(
            self.folder / "MODEL_CARD.md", set(self.predictions["language"]), card_means(self.metrics)
        )

    def open_places(self) -> Iterator[str]:
        for name in ("proposal.md", "talk.md"):
            if "[[" in projects.read_text(self.folder / name):
                yield f"{name}: a place between [[ and ]] is still open: write your own text there."

    def demo_faults(self) -> Iterator[str]:
        try:
            compile(projects.read_text(self.folder / "demo.py"), "demo.py", "exec")
        except SyntaxError as error:
            yield f"demo.py, line {error.lineno}: {error.msg}."


def card_means(metrics: dict) -> dict[str, dict[str, float]]:
    """Return the table of a model card: {language: {score: mean}} of system B, a row per part and language."""
    try:
        return {
            where: {rouge: float(row["system_b"][rouge]["mean"]) for rouge in ROUGES}
            for where, row in metrics["scores"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
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
    parts = []
    for name, (head, rows) in named.items():
        lines = [head, ["---"] * len(head), *rows]
        parts.append(f"## {name}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
    return "\n".join(parts)


def simulate_ratings(folder: Path, predictions: pd.DataFrame, seed: int = 0) -> None:
    """Fill both raters' sheets by a program, and say so in every note. The exemplar has no raters; a project must have.

    Each output has a hidden quality, 1 to 4 by the quarters of ROUGE-1 (0, 25, 50, 75) against its reference. A rater gives that score in seven of ten cases, else one
    step more or less.
    """
    texts = predictions.set_index("id")
    key = pd.read_csv(folder / "key.csv", dtype=str)
    for rater in RATERS:
        rng = random.Random(f"{seed} {rater}")
        path = folder / f"sheet_{rater}.csv"
        sheet = pd.read_csv(path, dtype=str, keep_default_na=False)
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
