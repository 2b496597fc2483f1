"""What the premier project hands in: the table of predictions, the figures that follow from it, the sheet of errors, the card."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from datasets import Dataset, DatasetDict

from resumen.baselines import lead_k, oracle_sentence
from resumen.corpus import LANGUAGES
from resumen.files import METRICS, MODEL_CARD, PREDICTIONS, TABLES, markdown_table, read_csv
from resumen.metrics import ROUGES, score_examples
from resumen.modeling import model_card
from resumen.projects.premier.tasks import compare, count_leaks, draw_error_sheet, shared_test_ids, source_interval

ERROR_SHEET = "error_sheet.csv"

BASELINES = ("lead1", "lead3")
SYSTEMS = (*BASELINES, "oracle", "prediction")
"""Columns of predictions.csv that are scored: two floors, the ceiling of copying one sentence, the model."""

PREDICTION_COLUMNS = ("id", "language", "source_package", "reference", *SYSTEMS, "leaky_prediction")
SHEET_COLUMNS = ("id", "language", "source", "reference", "prediction", "label", "note")
LABELS = {
    "ungrammatical": "no reader could make sense of it: word salad, repetition, broken words",
    "untranslated": "not in the language of the description",
    "wrong_topic": "readable, but about something else than this package",
    "wrong_fact": "about this package, and it says something that the description denies or does not say",
    "truncated": "right as far as it goes, but it ends in the middle",
    "copy": "taken over word for word from the description, and not a synopsis: too long, or the wrong sentence",
    "too_general": "true, and true of a hundred other packages as well",
    "right": "a maintainer could use it as it is or after a touch",
}
"""What may stand in the column `label`. If two fit, the one further up counts."""


def prediction_table(test: Dataset, predictions: Sequence[str], leaky: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per test row: `PREDICTION_COLUMNS`, held_out_by_both, and the description itself as `source`.

    Args:
        test: the rows of the test split.
        predictions: the model's synopsis of each.
        leaky: what the model trained on the leaking split wrote, by id, for `shared_test_ids`.
    """
    frame = test.to_pandas()
    bodies, references, languages = frame["review_body"], frame["review_title"], frame["language"]
    return pd.DataFrame(
        {
            "id": frame["review_id"],
            "language": languages,
            "source_package": frame["product_id"],
            "reference": references,
            "lead1": [lead_k(body, language, 1) for body, language in zip(bodies, languages, strict=True)],
            "lead3": [lead_k(body, language, 3) for body, language in zip(bodies, languages, strict=True)],
            "oracle": [oracle_sentence(*texts) for texts in zip(bodies, references, languages, strict=True)],
            "prediction": list(predictions),
            "leaky_prediction": [leaky.get(name, "") for name in frame["review_id"]],
            "held_out_by_both": [name in leaky for name in frame["review_id"]],
            "source": bodies,
        }
    )


def score_systems(table: pd.DataFrame, systems: Sequence[str] = SYSTEMS) -> dict[str, pd.DataFrame]:
    """Return the scores of each row by each of `ROUGES`, F-measures × 100: a table for each of these columns."""
    return {system: score_examples(table[system], table["reference"]) for system in systems}


def score_table(table: pd.DataFrame, scores: Mapping[str, pd.DataFrame]) -> dict[str, dict]:
    """Return {language: {system: {score: {"mean", "low", "high"}}}} for all, en and es.

    Args:
        table: columns language and source_package; its index is 0, 1, …
        scores: what `score_systems` returns.
    """
    return {
        language: {
            system: {name: source_interval(rows.loc[chosen, name], sources) for name in ROUGES}
            for system, rows in scores.items()
        }
        for language, chosen, sources in _languages(table)
    }


def build_metrics(table: pd.DataFrame, settings: dict, facts: dict, losses: Sequence[float]) -> dict:
    """Return what metrics.json holds. Everything but settings, facts and losses follows from the table of predictions."""
    table = table.reset_index(drop=True)
    scores = score_systems(table)
    both = table[table["held_out_by_both"]].reset_index(drop=True)
    without, with_leak = score_systems(both, ("prediction", "leaky_prediction")).values()
    return {
        "project": "premier",
        "settings": settings,
        "facts": facts,
        "losses": list(losses),
        "scores": score_table(table, scores),
        "comparisons": {
            baseline: {
                language: {
                    name: compare(scores["prediction"].loc[chosen, name], scores[baseline].loc[chosen, name], sources)
                    for name in ROUGES
                }
                for language, chosen, sources in _languages(table)
            }
            for baseline in (*BASELINES, "oracle")
        },
        "leak": {
            language: {
                "rows": len(sources),
                **{
                    name: {
                        "without": float(without.loc[chosen, name].mean()),
                        "with": float(with_leak.loc[chosen, name].mean()),
                        **compare(with_leak.loc[chosen, name], without.loc[chosen, name], sources),
                    }
                    for name in ROUGES
                },
            }
            for language, chosen, sources in _languages(both)
        },
    }


def _languages(table: pd.DataFrame) -> Iterator[tuple[str, pd.Index, list[str]]]:
    """Yield (language, the labels of its rows, their source packages) for all, en and es, where there are rows."""
    for language in ("all", *LANGUAGES):
        part = table if language == "all" else table[table["language"] == language]
        if len(part):
            yield language, part.index, part["source_package"].to_list()


def count_facts(rows: Dataset, clean: Dataset, splits: DatasetDict, leaking: DatasetDict) -> dict:
    """Return what metrics.json says of the data: rows found and kept, rows of each split, and the leaks of both splits."""
    return {
        "rows": len(rows),
        "clean_rows": len(clean),
        "split_by_source": {name: len(part) for name, part in splits.items()},
        "random_split": {name: len(part) for name, part in leaking.items()},
        "leaks_by_source": count_leaks(splits),
        "leaks_at_random": count_leaks(leaking),
        "held_out_by_both": len(shared_test_ids(splits, leaking)),
    }


def keep_labels(drawn: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Return the drawn sheet with the labels and notes of an earlier one, where id and prediction are still the same."""
    known = {(row.id, row.prediction): (row.label, row.note) for row in earlier.itertuples()}
    pairs = [known.get((row.id, row.prediction), ("", "")) for row in drawn.itertuples()]
    return drawn.assign(label=[label for label, _ in pairs], note=[note for _, note in pairs])


def write_hand_in(folder: str | Path, table: pd.DataFrame, metrics: dict) -> Path:
    """Write predictions.csv, metrics.json, MODEL_CARD.md, tables.md and error_sheet.csv; labels of the same predictions stay.

    An error sheet whose predictions have changed is kept beside the new one, as error_sheet.before.csv.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    columns = [*PREDICTION_COLUMNS, "held_out_by_both"]
    table[columns].to_csv(folder / PREDICTIONS, index=False, lineterminator="\n")
    (folder / METRICS).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    (folder / MODEL_CARD).write_text(card(metrics), encoding="utf-8")
    tables = [f"## {name}\n\n{text}\n" for name, text in report_tables(metrics).items()]
    (folder / TABLES).write_text("\n".join(tables), encoding="utf-8")
    sheet, path = draw_error_sheet(table), folder / ERROR_SHEET
    if path.is_file():
        earlier = read_csv(path, SHEET_COLUMNS)
        sheet = keep_labels(sheet, earlier)
        lost = sum(label != "" for label in earlier["label"]) - sum(label != "" for label in sheet["label"])
        if lost > 0:
            path.replace(folder / "error_sheet.before.csv")
            print(f"{lost} labels belonged to predictions that have changed: error_sheet.before.csv keeps them.")
    sheet.to_csv(path, index=False, lineterminator="\n")
    return folder


def report_tables(metrics: dict, score: str = "rougeL") -> dict[str, str]:
    """Return the tables of metrics.json in Markdown, to paste into a report: scores, comparisons, leak."""

    def interval(row: dict, mean: str, sign: str = "") -> str:
        return f"{row[mean]:{sign}.2f} [{row['low']:{sign}.2f}, {row['high']:{sign}.2f}]"

    languages = list(metrics["scores"])
    return {
        "scores": markdown_table(
            [f"{score}, mean [95 %]", *languages],
            [
                [system, *(interval(metrics["scores"][language][system][score], "mean") for language in languages)]
                for system in SYSTEMS
            ],
        ),
        "comparisons": markdown_table(
            ["model minus", "language", *ROUGES, "verdict on " + score],
            [
                [
                    baseline,
                    language,
                    *(interval(row[name], "mean_difference", "+") for name in ROUGES),
                    row[score]["verdict"],
                ]
                for baseline, some in metrics["comparisons"].items()
                for language, row in some.items()
            ],
        ),
        "leak": markdown_table(
            [score, "rows", "without", "with", "difference [95 %]", "verdict"],
            [
                [
                    language,
                    str(row["rows"]),
                    f"{row[score]['without']:.2f}",
                    f"{row[score]['with']:.2f}",
                    interval(row[score], "mean_difference", "+"),
                    row[score]["verdict"],
                ]
                for language, row in metrics["leak"].items()
            ],
        ),
    }


def card(metrics: dict) -> str:
    """Return the model card of a hand-in."""
    return model_card(
        {
            language: {name: value["mean"] for name, value in systems["prediction"].items()}
            for language, systems in metrics["scores"].items()
        },
        metrics["settings"]["checkpoint"],
        list(LANGUAGES),
        license="other",
        title="Package synopses from descriptions",
        about="writes the one-line synopsis of a Debian package from its long description",
        limits=(
            "It was trained on package descriptions. On other texts, or other languages, it makes synopses up.",
            "A synopsis can state what the description does not say: a maintainer must read each one.",
            "ROUGE counts shared words. It does not measure whether a synopsis is true.",
        ),
    )
