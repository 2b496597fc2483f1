"""The capstone's human evaluation: blind rating sheets for two raters, and how far the two agree.

A rater must not know which system wrote what, or hopes will rate. So each sheet hides the systems' names, shuffles the outputs of every item anew,
and the key lies in another file, which stays closed until both sheets are full.

    python -m resumen.projects.capstone.raters FOLDER     # how far the two agree, once both sheets are full
"""

import argparse
import math
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from resumen.errors import CourseError
from resumen.files import number_in, read_csv
from resumen.profiles import SEED

ITEMS = 50
SCALE = (1, 2, 3, 4)
RATERS = ("a", "b")
KEY = "key.csv"

SIMULATED = "SIMULATED"
"""How a note begins where a program rated. The exemplar has no raters; a project must have."""

INSTRUCTIONS = {
    "en": """# How to rate

You see a text and, beside it, summaries by systems that are not named. Rate **each** summary on its own, from 1 to 4, in the column of its number. Read the text first.

| score | means |
|---|---|
| 4 | says the main point of the text, and nothing that the text does not say |
| 3 | right, but vague or clumsy |
| 2 | partly wrong: one wrong detail, or it misses the main point |
| 1 | wrong, unreadable or empty |

- Do not talk with the other rater until both sheets are full. Do not open the key.
- Two summaries may get the same score. Equal texts must.
- Use the column `note` for what you doubted. Fifty items take about an hour and a half: pause after twenty-five.
""",
    "es": """# Cómo puntuar

Verás un texto y, al lado, resúmenes de sistemas sin nombre. Puntúa **cada** resumen por separado, de 1 a 4, en la columna de su número. Lee primero el texto.

| puntos | significa |
|---|---|
| 4 | dice lo principal del texto y nada que el texto no diga |
| 3 | correcto, pero vago o torpe |
| 2 | falso en parte: un dato equivocado, o no dice lo principal |
| 1 | falso, ilegible o vacío |

- No hables con la otra persona hasta que ambas hojas estén completas. No abras la clave.
- Dos resúmenes pueden recibir los mismos puntos. Si son iguales, deben recibirlos.
- Usa la columna `note` para tus dudas. Cincuenta textos llevan alrededor de hora y media: descansa al llegar a veinticinco.
""",
}


def sheet_name(rater: str) -> str:
    """Return the name of a rater's sheet."""
    return f"sheet_{rater}.csv"


def draw_items(languages: Sequence[str], count: int = ITEMS, seed: int = SEED) -> list[int]:
    """Return the positions of `count` items, the languages as equal in number as can be, in random order.

    Raises:
        CourseError: if there are fewer examples than that.
    """
    if len(languages) < count:
        raise CourseError(
            f"There are {len(languages)} examples, but {count} are to be rated: use more of the test split."
        )
    rng = random.Random(seed)
    waiting = {
        language: [i for i, tag in enumerate(languages) if tag == language] for language in sorted(set(languages))
    }
    for positions in waiting.values():
        rng.shuffle(positions)
    chosen: list[int] = []
    while len(chosen) < count:
        for positions in waiting.values():
            if positions and len(chosen) < count:
                chosen.append(positions.pop())
    rng.shuffle(chosen)
    return chosen


def rating_sheet(
    items: pd.DataFrame, outputs: Mapping[str, Sequence[str]], rater: str, seed: int = SEED
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (sheet, key) for one rater: the items in an order of their own, the outputs of each item shuffled.

    Args:
        items: columns id, language and source, one row per item.
        outputs: for each system its outputs, in the order of the items.
        rater: becomes part of the seed, so that no two raters see one order.

    Returns:
        The sheet has the columns item, language, source, output_1 … output_k, score_1 … score_k (blank) and note; the key has
        rater, item, id, system_1 … system_k.
    """
    rng = random.Random(f"{seed} {rater}")
    numbers = range(1, len(outputs) + 1)
    sheet, key = [], []
    order = list(range(len(items)))
    rng.shuffle(order)
    for item, position in enumerate(order, start=1):
        row = items.iloc[position]
        systems = rng.sample(sorted(outputs), len(outputs))
        sheet.append(
            {"item": item, "language": row["language"], "source": row["source"]}
            | {f"output_{number}": outputs[name][position] for number, name in zip(numbers, systems, strict=True)}
            | {f"score_{number}": "" for number in numbers}
            | {"note": ""}
        )
        named = {f"system_{number}": name for number, name in zip(numbers, systems, strict=True)}
        key.append({"rater": rater, "item": item, "id": row["id"], **named})
    return pd.DataFrame(sheet), pd.DataFrame(key)


def write_kit(folder: Path, items: pd.DataFrame, outputs: Mapping[str, Sequence[str]], seed: int = SEED) -> None:
    """Write both raters' sheets, the instructions in English and Spanish, and the key, into `folder`.

    Raises:
        CourseError: if there are sheets already: they may hold an afternoon's work.
    """
    if has_own_sheets(folder):
        raise CourseError(f"{folder} has rating sheets, which are not overwritten: move them away first.")
    folder.mkdir(parents=True, exist_ok=True)
    keys = []
    for rater in RATERS:
        sheet, key = rating_sheet(items, outputs, rater, seed)
        sheet.to_csv(folder / sheet_name(rater), index=False, encoding="utf-8")
        keys.append(key)
    pd.concat(keys).to_csv(folder / KEY, index=False, encoding="utf-8")
    for language, text in INSTRUCTIONS.items():
        (folder / f"instructions_{language}.md").write_text(text, encoding="utf-8")


def is_simulated(folder: Path) -> bool:
    """Say whether a program, not a person, filled one of the sheets in `folder`."""
    sheets = [folder / sheet_name(rater) for rater in RATERS]
    # In UTF-16, which spreadsheets may write, every second byte of the word is 0.
    return any(SIMULATED.encode() in sheet.read_bytes().replace(b"\0", b"") for sheet in sheets if sheet.is_file())


def has_own_sheets(folder: Path) -> bool:
    """Say whether there are sheets in `folder` that no program filled: blank ones, or ones that hold people's ratings."""
    return any((folder / sheet_name(rater)).exists() for rater in RATERS) and not is_simulated(folder)


def are_full(folder: Path) -> bool:
    """Say whether both sheets have something in every score."""
    sheets = [read_csv(folder / sheet_name(rater), (), more=True) for rater in RATERS]
    return all(sheet.filter(like="score_").map(str.strip).all(axis=None) for sheet in sheets)


def read_ratings(folder: Path) -> pd.DataFrame:
    """Open the key: return one row per rater and output, columns rater, item, id, language, system, output and score.

    Raises:
        CourseError: if a file is missing, a score is none of `SCALE`, or sheets and key do not belong together.
    """
    key = read_csv(folder / KEY, ("rater", "item", "id"), more=True)
    numbers = [name.removeprefix("system_") for name in key.columns if name.startswith("system_")]
    if not numbers:
        raise CourseError(f"{folder / KEY} names no system: give back the key that was written with the sheets.")
    ratings = []
    for rater in RATERS:
        path = folder / sheet_name(rater)
        sheet = read_csv(
            path, ("item", "language", *(f"{what}_{n}" for n in numbers for what in ("output", "score"))), more=True
        )
        sheet, mine = (
            part.assign(item=part["item"].map(_whole)) for part in (sheet, key[key["rater"].str.strip() == rater])
        )
        for where, items in ((path, sheet["item"]), (folder / KEY, mine["item"])):
            if items.duplicated().any():
                raise CourseError(
                    f"{where} has the item {items[items.duplicated()].iloc[0]} twice: keep each of them once."
                )
        if sorted(sheet["item"]) != sorted(mine["item"]):
            raise CourseError(f"{path} does not have the items of the key: give back the sheet that belongs to it.")
        for row in sheet.merge(
            mine[["item", "id", *(f"system_{n}" for n in numbers)]], on="item", suffixes=("_shown", "")
        ).to_dict("records"):
            for number in numbers:
                score = _whole(row[f"score_{number}"])
                if score not in map(str, SCALE):
                    raise CourseError(
                        f"{path}, item {row['item']}: score_{number} is {row[f'score_{number}'].strip()!r}, but a score is one of "
                        f"{', '.join(map(str, SCALE))}: rate it."
                    )
                output = row[f"output_{number}"]
                ratings.append(
                    (rater, row["item"], row["id"], row["language"], row[f"system_{number}"], output, int(score))
                )
    frame = pd.DataFrame(ratings, columns=["rater", "item", "id", "language", "system", "output", "score"])
    if not len(frame):
        raise CourseError(
            f"{folder / KEY} has no item of the raters {' and '.join(RATERS)}: write the sheets once more."
        )
    what = ["id", "language", "system"]
    again = frame[frame.duplicated(["rater", *what])]
    if len(again):
        one = again.iloc[0]
        raise CourseError(
            f"{folder / KEY}, item {one['item']}: the id {one['id']!r} is rated twice by {one['rater']}: keep one of them."
        )
    rated = [set(map(tuple, frame.loc[frame["rater"] == rater, what].to_numpy())) for rater in RATERS]
    if rated[0] != rated[1]:
        one = ", ".join(min(rated[0] ^ rated[1]))
        raise CourseError(f"{folder}: only one of the raters rated {one}: write both sheets with one call.")
    return frame


def _whole(cell: str) -> str:
    """Return a whole number without its decimals: a spreadsheet or pandas may write 3 as 3.0, or 3,0. Another text stays as it is."""
    number = number_in(cell)
    return str(int(number)) if number.is_integer() else cell.strip()


def kappa(first: Sequence, second: Sequence, categories: Sequence, weights: str | None = None) -> float:
    """Return Cohen's kappa of two raters: agreement beyond what their habits alone would give.

    Cohen (1960), https://doi.org/10.1177/001316446002000104; weighted: Cohen (1968), https://doi.org/10.1037/h0026256.

    Args:
        categories: all that could be given, in order if weighted.
        weights: None, "linear" or "quadratic": how much worse a disagreement of several steps is.

    Returns:
        1 is full agreement, 0 chance. NaN if both raters gave one and the same category throughout: chance explains all of it.

    Raises:
        ValueError: if the two lists differ in length or are empty, or hold something that is no category.
    """
    return float(_kappas(_tables(first, second, categories).sum(axis=0)[None], weights)[0])


def kappa_interval(
    first: Sequence,
    second: Sequence,
    items: Sequence,
    categories: Sequence,
    weights: str | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """Return kappa with its 95 % percentile bootstrap interval: keys kappa, low, high.

    Items are resampled, not ratings: two outputs of one text share its difficulty. Resamples in which kappa is undefined are left out.
    """
    names, positions = np.unique(np.asarray(items, dtype=str), return_inverse=True)
    tables = np.zeros((len(names), len(categories), len(categories)))
    np.add.at(tables, positions, _tables(first, second, categories))
    picks = np.random.default_rng(seed).integers(0, len(names), size=(n_resamples, len(names)))
    draws = _kappas(tables[picks].sum(axis=1), weights)
    low, high = np.nanpercentile(draws, [2.5, 97.5]) if not np.isnan(draws).all() else (np.nan, np.nan)
    return {"kappa": float(_kappas(tables.sum(axis=0)[None], weights)[0]), "low": float(low), "high": float(high)}


def _tables(first: Sequence, second: Sequence, categories: Sequence) -> np.ndarray:
    """Return one table of first × second per pair of ratings, with a single 1 in it."""
    if len(first) != len(second) or len(first) == 0:
        raise ValueError(f"The ratings are not paired: {len(first)} by the first rater, {len(second)} by the second.")
    place = {category: number for number, category in enumerate(categories)}
    unknown = sorted({*map(str, first), *map(str, second)} - set(map(str, categories)))
    if unknown:
        raise ValueError(f"{unknown[0]} is none of the categories {', '.join(map(str, categories))}.")
    tables = np.zeros((len(first), len(categories), len(categories)))
    tables[range(len(first)), [place[one] for one in first], [place[one] for one in second]] = 1
    return tables


def _kappas(tables: np.ndarray, weights: str | None) -> np.ndarray:
    """Return kappa for each table of shape [many, k, k]."""
    steps = np.abs(np.subtract.outer(np.arange(tables.shape[1]), np.arange(tables.shape[1]))).astype(float)
    cost = {None: (steps > 0).astype(float), "linear": steps, "quadratic": steps**2}[weights]
    shares = tables / tables.sum(axis=(1, 2), keepdims=True)
    chance = shares.sum(axis=2)[:, :, None] * shares.sum(axis=1)[:, None, :]
    observed, expected = (shares * cost).sum(axis=(1, 2)), (chance * cost).sum(axis=(1, 2))
    return np.where(expected > 0, 1 - observed / np.where(expected > 0, expected, 1), np.nan)


def agreement(ratings: pd.DataFrame, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return the quadratically weighted kappa of the two raters, for all items and per language: n, kappa, low, high.

    Args:
        ratings: what `read_ratings` returns.
    """
    wide = ratings.pivot(index=["id", "language", "system"], columns="rater", values="score").reset_index()
    table = {}
    for name in ("all", *sorted(wide["language"].unique())):
        part = wide if name == "all" else wide[wide["language"] == name]
        first, second = (part[rater].to_list() for rater in RATERS)
        table[name] = {"n": len(part), **kappa_interval(first, second, part["id"], SCALE, "quadratic", seed=seed)}
    return table


def mean_scores(ratings: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return {language or "all": {system: mean score of both raters}}."""
    parts = {"all": ratings} | dict(tuple(ratings.groupby("language")))
    return {name: part.groupby("system")["score"].mean().to_dict() for name, part in parts.items()}


def main(arguments: list[str] | None = None) -> int:
    """Print how far the two raters agree and what they gave; a mistake costs one sentence on stderr and exit code 1."""
    parser = argparse.ArgumentParser(
        prog="python -m resumen.projects.capstone.raters",
        description="Show how far the two raters of a capstone agree.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where sheet_a.csv, sheet_b.csv and key.csv lie")
    folder = parser.parse_args(arguments).folder
    try:
        if not folder.is_dir():
            raise CourseError(f"{folder} is not a folder: name the one with sheet_a.csv, sheet_b.csv and key.csv.")
        ratings = read_ratings(folder)
    except CourseError as error:
        print(f"raters: {error}", file=sys.stderr)
        return 1
    Console().print(_agreement_table(folder, ratings))
    return 0


def _agreement_table(folder: Path, ratings: pd.DataFrame) -> Table:
    means = mean_scores(ratings)
    systems = sorted(means["all"])
    simulated = f"{SIMULATED}: no person rated these\n" if is_simulated(folder) else ""
    table = Table(
        "language",
        "outputs rated",
        "weighted kappa [95 % interval]",
        *(f"mean score, {name}" for name in systems),
        title=f"{simulated}How far the two raters agree",
    )
    for language, row in agreement(ratings).items():
        agreed = f"{row['kappa']:.2f} \\[{row['low']:.2f}, {row['high']:.2f}]"
        table.add_row(
            language,
            str(row["n"]),
            "undefined" if math.isnan(row["kappa"]) else agreed,
            *(f"{means[language][name]:.2f}" for name in systems),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
