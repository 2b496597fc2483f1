"""The names of the course's files, and how they are read and written: one way each for text, JSON, CSV and Markdown tables."""

import codecs
import csv
import gzip
import io
import json
import math
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from resumen.errors import CourseError, first_sentence

LECTURE = "lecture.ipynb"
LAB = "lab.ipynb"
QUIZ = "quiz.ipynb"
PROJECT = "project.ipynb"
"""A project's notebook: its source in solutions/, and what a student hands in."""

STARTER = "starter.ipynb"
"""What students get of a project."""

SUMMARY = "summary.json"
NEEDED = ("config.json", "model.safetensors", "tokenizer.json")
"""Files of a checkpoint folder. Without its own tokenizer a checkpoint still loads, silently and with the wrong ids."""

METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"
MODEL_CARD = "MODEL_CARD.md"
DATA_CARD = "DATA_CARD.md"
REPORT = "report.md"
TABLES = "tables.md"
"""The tables of a report, to paste into it."""

DEMO = "demo.py"

WORKSPACE = Path(".resumen", "workspace.json")
"""What a learner's workspace was given, kept inside it: `resumen start` writes it, and by it a workspace is known."""


def find_workspace(folder: Path) -> Path | None:
    """Return the learner's workspace that `folder` is or lies in, None if there is none."""
    folder = folder.absolute()
    return next((place for place in (folder, *folder.parents) if (place / WORKSPACE).is_file()), None)


def read_text(path: Path) -> str:
    """Return a text file, lines ended by a line feed, without the mark that spreadsheets and Windows put at its beginning.

    Raises:
        CourseError: if it is missing, or neither in UTF-8 nor marked as UTF-16.
    """
    return re.sub(r"\r\n?", "\n", _text(path))


def _text(path: Path) -> str:
    """Return a text file as it is: UTF-8, or UTF-16 where its mark says so, as in Excel's "Unicode text"; gunzipped."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except FileNotFoundError:
        raise CourseError(f"{path.name} is missing in {path.parent}: put it there.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise CourseError(f"{path} cannot be read: it is no complete gzip file, so pack it again.") from None
    except OSError as error:
        raise CourseError(f"{path.name} cannot be read: {error.strerror}.") from None
    try:
        return data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError:
        raise CourseError(f"{path.name} is not in UTF-8: save it again with that encoding.") from None


def read_json(path: Path) -> dict:
    """Return the object in a JSON file.

    Raises:
        CourseError: if it is missing, no JSON, or no object.
    """
    text, remedy = read_text(path), f"have the last cell of {PROJECT} write it again."
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise CourseError(f"{path.name} stops being JSON in line {error.lineno}: {remedy}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets in brackets in brackets
        raise CourseError(f"{path.name} is not JSON that anybody would write: {remedy}") from None
    if not isinstance(value, dict):
        raise CourseError(f"{path.name} is not a JSON object: {remedy}")
    return value


def keep_entry(path: Path, name: str, value) -> None:
    """Put an entry into the object in a JSON file. A file that cannot be read stays beside it, as `NAME.damaged.json`.

    Raises:
        OSError: if it cannot be written.
    """
    try:
        kept = read_json(path)
    except CourseError:
        kept = {}
        if path.is_file():
            path.replace(path.with_name(f"{path.stem}.damaged{path.suffix}"))
    write_text(path, json.dumps(kept | {name: value}, indent=1, ensure_ascii=False) + "\n")


def read_rows(path: Path) -> list[dict]:
    """Return the rows of a JSON file: one object in a line (JSON Lines), or one list of objects.

    Raises:
        CourseError: if it is missing, or has another form; the sentence names the line.
    """
    text = read_text(path)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    # A list of rows may be spread over many lines.
    whole = _json(text) if text.lstrip().startswith("[") else None
    rows = enumerate(whole, start=1) if isinstance(whole, list) else ((number, _json(line)) for number, line in lines)
    remedy = "save the file again with one row in each line, as pandas does with to_json(path, orient='records', lines=True)."
    found = []
    for number, row in rows:
        where = f"{path}, {'row' if isinstance(whole, list) else 'line'} {number}"
        if row is None:
            raise CourseError(f"{where} cannot be read as JSON: {remedy}")
        # pandas' to_json(path) without more writes one object of columns, or of rows.
        if not isinstance(row, dict) or (row and all(isinstance(value, dict | list) for value in row.values())):
            raise CourseError(f"{where} is JSON, but not one row: {remedy}")
        found.append(row)
    if "\\ud" in text.lower():
        for number, row in enumerate(found, start=1):
            try:
                json.dumps(row, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                raise CourseError(
                    f"{path}, row {number} holds half a character, such as half an emoji: mend it."
                ) from None
    return found


def _json(text: str) -> object:
    """Return the value, None if it is no JSON; a number of thousands of digits, or brackets without end, are none either."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_parquet(path: Path) -> pa.Table:
    """Return the table in a parquet file.

    Raises:
        CourseError: if it cannot be read, or holds text that is not in UTF-8, which other readers say at the first row that is used.
    """
    try:
        # From bytes: pyarrow takes a path for a pattern, a partition or UTF-8, and a folder may have any name.
        table = pq.ParquetFile(pa.BufferReader(path.read_bytes())).read()
        table.validate(full=True)
    except Exception as error:  # pyarrow raises a dozen types for a file that is not what its name says
        reason = first_sentence(str(error))
        raise CourseError(f"{path} cannot be read as parquet ({reason}): save the file again.") from None
    return table


def read_csv(path: Path, columns: Sequence[str], more: bool = False) -> pd.DataFrame:
    """Return a CSV as text, empty cells as "": a prediction may be "NA", and none is missing because it is blank.

    It is read as spreadsheets and pandas write it: commas, semicolons or tabs between the cells (the language of a spreadsheet
    decides), line breaks inside of quotes, blank rows and columns at the end, the line `sep=;` on top, the numbers of the rows in
    front. Numbers stay as they are written, see `number_in`.

    Args:
        path: the file.
        columns: the columns that it must have.
        more: it may have other columns as well.

    Raises:
        CourseError: if it is missing or no CSV, or its columns are others.
    """
    text, separators = _text(path), (",", ";", "\t")
    if said := re.match(r"sep=(.)\r?\n", text):
        text, separators = text[said.end() :], (said[1],)
    try:
        heads = {separator: next(_csv_rows(text, separator), []) for separator in separators}
        separator = max(heads, key=lambda one: (sum(name in columns for name in heads[one]), len(heads[one])))
        body = list(_csv_rows(text, separator, strict=True))[1:]
    except csv.Error as error:
        raise CourseError(f"{path.name} is not a CSV that can be read: {first_sentence(str(error))}.") from None
    if not heads[separator]:
        raise CourseError(f"{path.name} is not a CSV that can be read: it is empty.")
    # pandas calls a column that has no name "Unnamed: 3", and writes so when it writes the table again.
    head = [re.sub(r"^Unnamed: \d+$", "", name) for name in heads[separator]]
    for number, row in enumerate(body, start=2):
        if any(cell.strip() for cell in row[len(head) :]):
            raise CourseError(
                f"{path.name}, row {number} has {len(row)} cells, but the first row has {len(head)}: put quotation marks around "
                "a text that holds the character between the cells."
            )
    table = [[*row, *[""] * len(head)][: len(head)] for row in body]
    kept = [place for place, name in enumerate(head) if name or not _is_ballast([row[place] for row in table])]
    names = [head[place] for place in kept]
    lacking = [name for name in columns if name not in names]
    extra = [name or "without a name" for name in names if name not in columns and not more]
    twice = sorted({name for name in names if names.count(name) > 1})
    if lacking or extra or twice:
        told = [f"lacks the column {', '.join(lacking)}"] * bool(lacking)
        told += [f"has the column {', '.join(extra)}, which nobody asked for"] * bool(extra)
        told += [f"has the column {', '.join(twice)} more than once"] * bool(twice)
        raise CourseError(f"{path.name} {' and '.join(told)}: it has {'' if more else 'exactly '}{', '.join(columns)}.")
    return pd.DataFrame([[row[place] for place in kept] for row in table], columns=names, dtype=str)


def _csv_rows(text: str, separator: str, strict: bool = False) -> Iterator[list[str]]:
    """Yield the rows that are not blank, their cells trimmed in the first of them."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)
    full = (row for row in rows if any(map(str.strip, row)))
    yield [name.strip() for name in next(full, [])]
    yield from full


def _is_ballast(cells: list[str]) -> bool:
    """Say whether a column without a name says nothing: it is blank, or it numbers the rows, as pandas' index does."""
    return not any(map(str.strip, cells)) or cells == list(map(str, range(len(cells))))


def number_in(cell: str) -> float:
    """Return the number in a cell of a table, NaN if there is none. "4", "4.0", "4,0" and " 4 " are the same number."""
    if re.fullmatch(r"[-+\u2212]?\d+([.,]\d+)?([eE][-+]?\d+)?", cell.strip(), flags=re.ASCII):
        return float(cell.strip().replace(",", ".").replace("\u2212", "-"))
    return math.nan


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def table_rows(markdown: str) -> Iterator[list[str]]:
    """Yield the rows of the tables in a Markdown text, heads included, rulers left out; `DataFrame.to_markdown` writes such tables."""
    for line in map(str.strip, markdown.splitlines()):
        if line.startswith("|") and not re.fullmatch(r"[|: -]+", line):
            cells = re.split(r"(?<!\\)\|", line.removeprefix("|").removesuffix("|"))
            yield [cell.strip().replace(r"\|", "|") for cell in cells]


def write_text(path: Path, text: str) -> None:
    """Write a text file as `write_bytes` does, in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part, whatever happens meanwhile."""
    path = path.resolve()  # a link stays one
    partial = path.with_name(f".{path.name[:60]}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
