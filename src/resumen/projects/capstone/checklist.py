"""The checklist of the capstone."""

import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pandas as pd

from resumen.errors import CourseError
from resumen.files import DATA_CARD, DEMO, METRICS, MODEL_CARD, PREDICTIONS, PROJECT, REPORT, read_text
from resumen.projects import common
from resumen.projects.capstone import hand_in
from resumen.projects.capstone.contract import COLUMNS as CORPUS_COLUMNS
from resumen.projects.capstone.contract import REFUSED, check_corpus, read_corpus
from resumen.projects.capstone.hand_in import COLUMNS, RATED, SYSTEMS, process_faults
from resumen.projects.capstone.raters import KEY, RATERS, is_simulated, read_ratings, sheet_name
from resumen.projects.capstone.robustness import STRESSES
from resumen.projects.common import WRITTEN, Check, same_text

BY_RATER = f"{PROJECT} writes it blank, and a rater fills it."

FILES = {
    "proposal.md": "it is proposal_template.md, filled in.",
    PROJECT: "it is the starter, answered and run.",
    DATA_CARD: "write it as data_contract.md says.",
    METRICS: WRITTEN,
    PREDICTIONS: WRITTEN,
    **{sheet_name(rater): BY_RATER for rater in RATERS},
    KEY: f"{PROJECT} writes it.",
    REPORT: "write it in a copy of report_template.md.",
    MODEL_CARD: WRITTEN,
    "talk.md": "it is talk_outline.md, filled in.",
    DEMO: "it is capstone/capstone/demo.py, changed for your model.",
}
ALSO = ("corpus.jsonl", "corpus.parquet")
"""The corpus itself, under one of these names."""

SETTINGS = {"quick": bool, "seed": int, "system_a": str, "system_b": str, "ablation": str, "checkpoint": str}
HEADINGS = ("The question", "Corpus", "Systems", "Results", "People", "Robustness", "Limits", "Decision")
WORDS = 2_000
"""Four pages."""


def checks(folder: Path) -> list[Check]:
    """Return the checks of a hand-in, in the order in which a student should read them."""
    mine = HandIn(folder)
    simulated = ": SIMULATED, no person rated these" if is_simulated(folder) else ""
    return [
        ("the corpus keeps the data contract", mine.corpus_faults),
        (f"{PREDICTIONS} holds every test row once", mine.prediction_faults),
        (f"{METRICS} has its settings", mine.setting_faults),
        (f"both raters' sheets are full and belong to these predictions{simulated}", mine.sheet_faults),
        (f"{METRICS} follows from predictions and sheets", mine.metric_faults),
        ("robustness: every kind of input", mine.robustness_faults),
        ("two processes give the scores of one", lambda: process_faults(mine.metrics.get("processes") or {})),
        (f"{REPORT} keeps the template and quotes figures of this hand-in", mine.report_faults),
        (f"{MODEL_CARD} can be read by the Hub", mine.card_faults),
        ("proposal.md and talk.md are filled in", mine.open_places),
        (f"{DEMO} is Python", mine.demo_faults),
    ]


class HandIn(common.HandIn):
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
        for line in check_corpus(self.corpus, read_text(self.folder / DATA_CARD)):
            if line.state == REFUSED:
                yield f"{line.name}: {line.what}: {line.remedy}."

    def prediction_faults(self) -> Iterator[str]:
        if not self.corpus[list(CORPUS_COLUMNS)].map(lambda value: isinstance(value, str)).all(axis=None):
            raise CourseError(f"Not checked: the corpus, which {PREDICTIONS} must follow, has values that are no text.")
        test = self.corpus[self.corpus["split"] == "test"].drop_duplicates("id").set_index("id")
        table = self.predictions
        yield from common.id_faults(PREDICTIONS, table["id"], set(test.index))
        for row in table[table["id"].isin(test.index)].itertuples():
            for name in ("language", "reference"):
                if not same_text(getattr(row, name), test.at[row.id, name]):
                    yield f"{PREDICTIONS}, id {row.id!r}: its {name} is not that of the corpus: {WRITTEN}"
        for name in SYSTEMS:
            if len(table) and (table[name].str.strip() == "").all():
                yield f"{PREDICTIONS}: the column {name} is empty in every row: did the system write anything?"

    def sheet_faults(self) -> Iterator[str]:
        ratings, texts = self.ratings, self.predictions.drop_duplicates("id").set_index("id").to_dict("index")
        unknown = sorted(set(ratings["id"]) - set(texts))
        if unknown:
            yield f"{KEY}: the id {unknown[0]!r} is not in {PREDICTIONS}: rate outputs of this hand-in."
            return
        count = ratings["id"].nunique()
        if count < 50:
            yield f"The sheets have {count} items: 50 are asked for."
        if set(ratings["system"]) != set(RATED):
            yield f"{KEY}: the systems are {', '.join(sorted(set(ratings['system'])))}, but {' and '.join(RATED)} are rated."
            return
        for row in ratings.itertuples():
            if not same_text(row.output, texts[row.id][row.system]):
                yield (
                    f"{sheet_name(row.rater)}, item {row.item}: it shows another text than {row.system} in {PREDICTIONS}."
                )

    def metric_faults(self) -> Iterator[str]:
        metrics = self.metrics
        computed = hand_in.build_metrics(
            self.predictions,
            metrics.get("settings"),
            self.ratings,
            metrics.get("robustness"),
            metrics.get("processes"),
        )
        yield from common.figure_faults(metrics, computed)

    def robustness_faults(self) -> Iterator[str]:
        table = self.metrics.get("robustness")
        if not isinstance(table, dict) or set(table) != set(STRESSES):
            yield f"{METRICS}, robustness: the kinds {', '.join(STRESSES)} belong there: {WRITTEN}"
            return
        for kind, row in table.items():
            if not isinstance(row, dict) or not isinstance(row.get("holds"), bool):
                yield f"{METRICS}, robustness.{kind}: it does not say whether what must hold held: {WRITTEN}"

    def report_faults(self) -> Iterator[str]:
        # A corpus of one part, or in one language, needs no name for it beside each figure.
        rows = [where.split(", ") for where in self.metrics.get("scores", {})]
        alone = {names.pop() for names in map(set, zip(*rows, strict=False)) if len(names) == 1}
        figures = common.figures_in(self.metrics, optional=alone)
        return common.report_faults(self.folder / REPORT, HEADINGS, WORDS, figures)

    def card_faults(self) -> Iterator[str]:
        return common.card_faults(
            self.folder / MODEL_CARD, set(self.predictions["language"]), hand_in.card_means(self.metrics)
        )

    def open_places(self) -> Iterator[str]:
        for name in ("proposal.md", "talk.md"):
            if "[[" in read_text(self.folder / name):
                yield f"{name}: a place between [[ and ]] is still open: write your own text there."

    def demo_faults(self) -> Iterator[str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(read_text(self.folder / DEMO), DEMO, "exec")
        except SyntaxError as error:
            yield f"{DEMO}, line {error.lineno or 1}: {error.msg}."
        except (MemoryError, RecursionError, ValueError) as error:  # CourseError is a ValueError
            yield (
                str(error) if isinstance(error, CourseError) else f"{DEMO} is no Python that can be compiled: {error}."
            )
