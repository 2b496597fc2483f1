"""The checklist of the premier project, "Synopsis writer"."""

from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

import pandas as pd
from datasets import disable_progress_bars

from resumen.corpus import LANGUAGES
from resumen.files import METRICS, MODEL_CARD, PREDICTIONS, PROJECT, REPORT, read_csv
from resumen.profiles import SEED
from resumen.projects import common
from resumen.projects.common import WRITTEN, Check, Figure, brief, same_text
from resumen.projects.premier import hand_in, tasks
from resumen.projects.premier.hand_in import ERROR_SHEET, LABELS

FILES = {
    PROJECT: "it is the starter, answered and run.",
    METRICS: WRITTEN,
    PREDICTIONS: WRITTEN,
    ERROR_SHEET: f"the last cell of {PROJECT} draws the rows, and you label them.",
    REPORT: "write it in a copy of report_template.md.",
    MODEL_CARD: WRITTEN,
}

COLUMNS = (*hand_in.PREDICTION_COLUMNS, "held_out_by_both")
GIVEN = ("language", "family", "reference", "lead1", "lead3", "oracle", "held_out_by_both")
"""The columns that follow from the corpus, whatever the model wrote."""

HEADINGS = ("The question", "Data", "Method", "Results", "The leak", "What thirty synopses show", "Limits", "Decision")
WORDS = 1200
"""Two pages."""

SETTINGS = {
    "quick": bool,
    "seed": int,
    "checkpoint": str,
    "epochs": int,
    "learning_rate": float,
    "batch_size": int,
    "max_input_length": int,
    "max_target_length": int,
    "num_beams": int,
    "no_repeat_ngram_size": int,
    "truncated": dict,
}


def checks(folder: Path) -> list[Check]:
    """Return the checks of a hand-in, in the order in which a student should read them."""
    mine = HandIn(folder)
    return [
        (f"{PREDICTIONS} holds every test row once", mine.prediction_faults),
        (f"{METRICS} has its settings", mine.setting_faults),
        (f"{METRICS} follows from {PREDICTIONS}", mine.metric_faults),
        (f"{ERROR_SHEET}: thirty drawn rows, labelled", mine.sheet_faults),
        (f"{REPORT} keeps the template and quotes figures of this hand-in", mine.report_faults),
        (f"{MODEL_CARD} can be read by the Hub", mine.card_faults),
    ]


@cache
def corpus() -> tuple[dict, pd.DataFrame]:
    """Return the facts of metrics.json, and the table of predictions as it is without a model, by id."""
    disable_progress_bars()  # the checklist has a line of its own for the wait
    rows = tasks.load_rows()
    clean = tasks.clean_rows(rows)
    clean = clean.add_column("family", tasks.find_families(clean))
    splits = tasks.all_splits(rows, clean)
    test = splits["by_family"]["test"]
    both = tasks.shared_test_ids(splits["by_family"], splits["rows_at_random"])
    table = hand_in.prediction_table(test, [""] * len(test), dict.fromkeys(both, ""))
    return hand_in.count_facts(rows, clean, splits), table.set_index("id", drop=False)


class HandIn(common.HandIn):
    prediction_columns = COLUMNS
    settings = SETTINGS

    @cached_property
    def sheet(self) -> pd.DataFrame:
        return read_csv(self.folder / ERROR_SHEET, hand_in.SHEET_COLUMNS)

    def prediction_faults(self) -> Iterator[str]:
        _, truth = corpus()
        table = self.predictions
        yield from common.id_faults(PREDICTIONS, table["id"], set(truth.index))
        known = table[table["id"].isin(truth.index)].drop_duplicates("id").set_index("id")
        for name in GIVEN:
            expected = truth.loc[known.index, name].astype(str)
            said = known[name].map(_as_python) if name == "held_out_by_both" else known[name]
            for one in known.index[[not same_text(*pair) for pair in zip(said, expected, strict=True)]]:
                yield (
                    f"{PREDICTIONS}, id {one!r}, column {name}: it says {brief(known.at[one, name])}, but the corpus gives "
                    f"{brief(expected[one])}: {WRITTEN}"
                )
        if len(table) and (table["prediction"].str.strip() == "").all():
            yield f"{PREDICTIONS}: the column prediction is empty in every row: did the model write anything?"

    def setting_faults(self) -> Iterator[str]:
        yield from super().setting_faults()
        settings = self.metrics.get("settings")
        if not isinstance(settings, dict):
            return
        losses = self.metrics.get("losses")
        if not isinstance(losses, list) or len(losses) != settings.get("epochs"):
            yield f"{METRICS}, losses: one number for each of the {settings.get('epochs')} epochs belongs there."

    def metric_faults(self) -> Iterator[str]:
        facts, truth = corpus()
        table = self.predictions
        if set(table["id"]) != set(truth.index) or table["id"].duplicated().any():
            yield f"Not checked: {PREDICTIONS} does not hold every test row once."
            return
        given = {name: truth.loc[table["id"], name].to_numpy() for name in GIVEN}  # its own line says where they differ
        computed = hand_in.build_metrics(
            table.assign(**given),
            self.metrics.get("settings"),
            facts,
            self.metrics.get("losses") if isinstance(self.metrics.get("losses"), list) else [],
        )
        yield from common.figure_faults(self.metrics, computed)

    def sheet_faults(self) -> Iterator[str]:
        sheet = self.sheet
        if len(sheet) != tasks.SHEET_ROWS:
            yield f"{ERROR_SHEET} has {len(sheet)} rows: it needs {tasks.SHEET_ROWS}."
        _, truth = corpus()
        drawn = tasks.draw_error_sheet(truth.reset_index(drop=True)).set_index("id")
        yield from common.id_faults(ERROR_SHEET, sheet["id"], set(drawn.index), f"what seed {SEED} draws")
        written = dict(zip(self.predictions["id"], self.predictions["prediction"], strict=True))
        for row in sheet.itertuples():
            where = f"{ERROR_SHEET}, id {row.id!r}"
            if row.id in drawn.index:
                for name in ("language", "source", "reference"):
                    if not same_text(getattr(row, name), drawn.at[row.id, name]):
                        yield f"{where}: its {name} is not that of the corpus: copy it back."
            if row.id in written and not same_text(row.prediction, written[row.id]):
                yield (
                    f"{where}: its prediction is not that of {PREDICTIONS}: {brief(row.prediction)}, {brief(written[row.id])}."
                )
            label = row.label.strip()
            if label == "":
                yield f"{where} has no label: read it and give it one of {', '.join(LABELS)}."
            elif label not in LABELS:
                yield f"{where}: the label {brief(label)} is not in the taxonomy: choose one of {', '.join(LABELS)}."
            if row.note.strip() == "":
                yield f"{where} has no note: say in a few words what makes it {label or 'so'}."

    def report_faults(self) -> Iterator[str]:
        labels = self.sheet["label"].str.strip()
        figures = [*common.figures_in(self.metrics), common.Figure("the level of the intervals", 0.95, frozenset())]
        figures += [Figure(f"the share of {name}", share, frozenset({name})) for name, share in tasks.SHARES.items()]
        for label, count in labels.value_counts().items():
            figures.append(Figure(f"the share of {label}", count / tasks.SHEET_ROWS, frozenset({label})))
        for (language, label), count in labels.groupby([self.sheet["language"], labels]).size().items():
            share = count / (tasks.SHEET_ROWS / len(LANGUAGES))
            figures.append(Figure(f"the share of {label} in {language}", share, frozenset({label, language})))
        yield from common.report_faults(self.folder / REPORT, HEADINGS, WORDS, figures)

    def card_faults(self) -> Iterator[str]:
        try:
            means = {
                language: {name: float(value["mean"]) for name, value in systems["prediction"].items()}
                for language, systems in self.metrics["scores"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            means = {}  # the line on metrics.json says so
        return common.card_faults(self.folder / MODEL_CARD, LANGUAGES, means)


def _as_python(cell: str) -> str:
    """Return True or False as Python writes them; spreadsheets write TRUE, and VERDADERO in Spanish."""
    return {"true": "True", "verdadero": "True", "false": "False", "falso": "False"}.get(cell.strip().lower(), cell)
