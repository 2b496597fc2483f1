"""A hand-in may hold anything: whatever it is, `resumen check FOLDER` makes lines of it, and none of them is an error of ours."""

import json
import random
import re
import shutil
from functools import cache, partial
from pathlib import Path

import pandas as pd
import pytest

from resumen.check import hand_in
from resumen.check.hand_in import notebook_faults
from resumen.errors import CourseError
from resumen.files import read_csv
from resumen.metrics import ROUGES
from resumen.projects.capstone import checklist as capstone
from resumen.projects.capstone import raters
from resumen.projects.premier import checklist as premier

ROOT = Path(__file__).parents[2]
ROWS = 60
"""Rows of predictions in the copies: enough for every check to have something to read."""


@pytest.fixture(scope="module")
def hand_ins(tmp_path_factory):
    """Small copies of both worked hand-ins. Scores and intervals are tested elsewhere; here only the way to them must hold."""
    folder = tmp_path_factory.mktemp("hand-ins")
    for project in ("premier", "capstone"):
        shutil.copytree(ROOT / "solutions" / project / "hand-in", folder / project)
    sheet = read_csv(folder / "premier" / "error_sheet.csv", premier.hand_in.SHEET_COLUMNS)
    table = read_csv(folder / "premier" / "predictions.csv", premier.COLUMNS)
    table = table[table["id"].isin(sheet["id"]) | (table.index < ROWS)]
    table.to_csv(folder / "premier" / "predictions.csv", index=False)
    truth = table.assign(held_out_by_both=table["held_out_by_both"] == "True").set_index("id", drop=False)
    facts = json.loads((folder / "premier" / "metrics.json").read_text(encoding="utf-8"))["facts"]

    rated = read_csv(folder / "capstone" / "key.csv", ("id",), more=True)["id"]
    table = read_csv(folder / "capstone" / "predictions.csv", capstone.COLUMNS)
    table = table[table["id"].isin(rated) | (table.index < ROWS)]
    table.to_csv(folder / "capstone" / "predictions.csv", index=False)
    corpus = pd.read_parquet(folder / "capstone" / "corpus.parquet")
    (folder / "capstone" / "corpus.parquet").unlink()
    corpus = corpus[corpus["id"].isin(table["id"])]
    corpus.to_json(folder / "capstone" / "corpus.jsonl", orient="records", lines=True, force_ascii=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(premier, "corpus", lambda: (facts, truth))
        patch.setattr(premier.tasks, "draw_error_sheet", lambda table: sheet)
        interval = {"mean": 1.0, "kappa": 1.0, "mean_difference": 1.0, "low": 1.0, "high": 1.0}
        stubs = dict.fromkeys(("mean_interval", "paired_bootstrap", "family_interval"), lambda *_, **__: dict(interval))
        stubs["score_examples"] = lambda texts, _: pd.DataFrame(1.0, index=range(len(texts)), columns=list(ROUGES))
        for module in (capstone.hand_in, premier.tasks, premier.hand_in):
            for name in set(stubs) & set(vars(module)):
                patch.setattr(module, name, stubs[name])
        patch.setattr(raters, "kappa_interval", partial(raters.kappa_interval, n_resamples=5))
        # What is as it was gives what it gave.
        found = cache(lambda path, project, _: tuple(notebook_faults(path, project)))
        patch.setattr(hand_in, "notebook_faults", lambda path, project: found(path, project, path.read_bytes()))
        for module, name in (
            (capstone, "check_corpus"),
            (capstone.hand_in, "build_metrics"),
            (premier.hand_in, "build_metrics"),
        ):
            patch.setattr(module, name, remembered(getattr(module, name)))
        yield folder


def remembered(function):
    """Return a function that remembers its answers, tables in its arguments or not."""
    known = {}

    def call(*arguments):
        key = repr([one.to_csv() if isinstance(one, pd.DataFrame) else one for one in arguments])
        if key not in known:
            known[key] = function(*arguments)
        return known[key]

    return call


ODD = (None, True, 0, -1, 1.5, float("nan"), float("inf"), 10**400, "", "text", "1.0", "\ud83d", "ñ" * 3000)
ODD += ([], {}, [[]], [1, [2]], {"a": {"b": None}}, {"mean": "x"}, {"": []})


def odd_json(rng: random.Random, data: bytes) -> bytes:
    """Put something else into a place of a JSON file, or take the place out."""
    value = json.loads(data)
    place, key = [value], 0
    for _ in range(rng.randint(1, 7)):
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner:
            break
        place, key = inner, rng.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
    what = rng.choice(("replace", "remove", "add", "repeat"))
    if what == "remove":
        del place[key]
    elif what == "add" and isinstance(place, dict):
        place[rng.choice(("", "x", "1", "mean", "en"))] = rng.choice(ODD)
    elif what == "repeat" and isinstance(place, list):
        place += place
    else:
        place[key] = rng.choice(ODD)
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


CELLS = (
    "",
    " ",
    "NA",
    "1.0",
    "1,0",
    "3,5",
    "=1+1",
    "#NAME?",
    "true",
    "VERDADERO",
    "1e5",
    "0",
    "x;y",
    "a,b",
    "a\nb",
    "'",
    '"',
    "\t",
)
CELLS += ("\0", "😀", "e\u0301", "long " * 9000)


def odd_table(rng: random.Random, data: bytes) -> bytes:
    """Do to a CSV what people and spreadsheets do."""
    rows = [line.split(",") for line in data.decode().split("\n")[:-1]] if rng.random() < 0.2 else None
    if rows:  # as text, quotes or not: what is left of it may be no CSV
        rng.choice(rows)[-1] += rng.choice(('"', '"x"', ",", ",,x", ";", "\n"))
        return "\n".join(map(",".join, rows)).encode()
    table = pd.read_csv(pd.io.common.BytesIO(data), dtype=str, keep_default_na=False)
    column, row = rng.choice(list(table)), rng.randrange(len(table))
    what = rng.choice(("cell", "cell", "cell", "column", "drop", "rename", "repeat", "shuffle", "swap", "cut", "none"))
    if what == "cell":
        table.loc[row, column] = rng.choice(CELLS)
    elif what == "column":
        table[column] = rng.choice(CELLS)
    elif what == "drop":
        table = table.drop(columns=column)
    elif what == "rename":
        table = table.rename(columns={column: rng.choice((column.upper(), "", "id", "ñ", f" {column}"))})
    elif what == "repeat":
        table = pd.concat([table, table[row : row + 3]])
    elif what == "shuffle":
        table = table.sample(frac=1, random_state=row)
    elif what == "swap":
        table.loc[row, column] = table.loc[rng.randrange(len(table)), column]
    elif what == "cut":
        table = table[: rng.choice((0, 1, row))]
    separator, encoding = rng.choice(
        ((",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16"), (";", "cp1252"), (",", "utf-8"))
    )
    text = table.to_csv(index=rng.random() < 0.2, sep=separator, lineterminator=rng.choice(("\n", "\r\n")))
    return text.encode(encoding, "replace")


LINES = (
    "",
    "[[",
    "[[x]]",
    "|",
    "| en | 1.00 |",
    "---",
    "```",
    "## Results",
    "\0",
    "12.34",
    "99.9 %",
    "1,5",
    "\u2028",
    "<b>",
    "{",
    "x" * 9000,
)
LINES += (
    "language: 5",
    "language: [5, {a: b}]",
    "language: &a [*a]",
    "license: [x",
    "license: !!python/object:os.x {}",
    "model-index: 3",
    "a: 2021-13-45",
)


def odd_text(rng: random.Random, data: bytes) -> bytes:
    """Lose, repeat or add lines of a text file."""
    lines = data.decode().split("\n")
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(lines)) if rng.random() < 0.5 else min(rng.randrange(8), len(lines) - 1)
        lines[place : place + rng.choice((0, 1, 1, 40))] = [rng.choice(LINES)] * rng.choice((0, 1, 1, 2))
        lines = lines or [""]
    return "\n".join(lines).encode()


def odd_bytes(rng: random.Random, data: bytes) -> bytes:
    """Do to a file what can be done to any."""
    cut = rng.randrange(len(data))
    text = data.decode()
    return rng.choice(
        (
            lambda: b"",
            lambda: data[:cut],
            lambda: data[cut:],
            lambda: data[:cut] + rng.randbytes(9) + data[cut:],
            lambda: rng.randbytes(999),
            lambda: text.encode("latin-1", "replace"),
            lambda: text.encode("utf-16"),
            lambda: b"\xef\xbb\xbf" + data,
            lambda: data.replace(b"\n", b"\r\n"),
            lambda: b"[" * 99_999,
            lambda: b"<<<<<<< HEAD\n" + data,
            lambda: b"null",
        )
    )()


KINDS = {".json": odd_json, ".ipynb": odd_json, ".csv": odd_table, ".jsonl": odd_text, ".md": odd_text, ".py": odd_text}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
@pytest.mark.parametrize("project", ["premier", "capstone"])
def test_whatever_a_hand_in_holds_is_a_line(hand_ins, project, seed):
    """Fifteen spoilt files each: 300 variants in all."""
    rng = random.Random(f"{project} {seed}")
    folder = hand_ins / project
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in KINDS and path.name != "tables.md" and "instr" not in path.name
    )
    for number in range(15):
        path = rng.choice(paths)
        before = path.read_bytes()
        spoil = rng.choice((KINDS[path.suffix], KINDS[path.suffix], odd_bytes))
        spoilt = spoil(rng, before)
        path.write_bytes(spoilt)
        try:
            lines = hand_in.checklist(folder)
        except CourseError as error:
            assert path.name == "project.ipynb" and "\n" not in str(error)
            lines = []
        finally:
            path.write_bytes(before)
        for fault in (fault for line in lines for fault in line.faults):
            assert hand_in.SURPRISE not in fault, (number, path.name, spoil.__name__, fault, spoilt[:2000])
            assert re.fullmatch(r"[^\n]{10,}", fault), (number, path.name, spoil.__name__, fault)


@pytest.mark.parametrize(
    ("separator", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-16")], ids=["Excel", "Unicode text"]
)
@pytest.mark.parametrize("project", ["premier", "capstone"])
def test_tables_that_a_spreadsheet_saved_again(hand_ins, tmp_path, project, separator, encoding):
    """Other separators, encodings, line ends and numbers, True in Spanish, columns without a name: the same lines."""
    folder = shutil.copytree(hand_ins / project, tmp_path / project)
    before = hand_in.checklist(folder)
    for path in folder.glob("*.csv"):
        table = read_csv(path, (), more=True)
        numbers = {name: table[name] + ",0" for name in table if name == "item" or name.startswith("score_")}
        bools = {
            name: table[name].replace({"True": "VERDADERO", "False": "FALSO"})
            for name in table
            if name.startswith("held")
        }
        texts = {name: table[name].str.replace(" ", "\n", n=1) for name in ("source", "reference") if name in table}
        table = table.assign(**numbers, **bools, **texts, blank="").rename(columns={"blank": ""})
        table.to_csv(path, index=False, sep=separator, encoding=encoding, lineterminator="\r\n")
    assert hand_in.checklist(folder) == before


def test_a_surprise_is_a_line_after_the_faults_before_it():
    def find():
        yield "One."
        raise KeyError("nobody\nthought of this")

    first, second = hand_in._told(find)
    assert first == "One." and second.startswith(hand_in.SURPRISE) and "KeyError" in second and "\n" not in second
