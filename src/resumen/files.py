"""The names of the course's files, and how they are read and written: one way each for text, JSON, CSV and Markdown tables."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from resumen.errors import CourseError, first_sentence

LECTURE = "lecture.ipynb"
LAB = "lab.ipynb"
QUIZ = "quiz.ipynb"
PROJECT = "project.ipynb"
"""A project's notebook: its source in solutions/, and what a student hands in."""

STARTER = "starter.ipynb"
"""What students get of a project."""

SUMMARY = "summary.json"
METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"
MODEL_CARD = "MODEL_CARD.md"
DATA_CARD = "DATA_CARD.md"
REPORT = "report.md"
TABLES = "tables.md"
"""The tables of a report, to paste into it."""

DEMO = "demo.py"


def read_text(path: Path) -> str:
    """Return a text file, without the mark that spreadsheets and Windows put at its beginning.

    Raises:
        CourseError: if it is missing or not in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CourseError(f"{path.name} is missing in {path.parent}: put it there.") from None
    except OSError as error:
        raise CourseError(f"{path.name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CourseError(f"{path.name} is not in UTF-8: save it again with that encoding.") from None


def read_json(path: Path) -> dict:
    """Return the object in a JSON file.

    Raises:
        CourseError: if it is missing, no JSON, or no object.
    """
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise CourseError(
            f"{path.name} stops being JSON in line {error.lineno}: have the last cell of {PROJECT} write it again."
        ) from None
    if not isinstance(value, dict):
        raise CourseError(f"{path.name} is not a JSON object: have the last cell of {PROJECT} write it again.")
    return value


def read_csv(path: Path, columns: Sequence[str], more: bool = False) -> pd.DataFrame:
    """Return a CSV as text, empty cells as "": a prediction may be "NA", and none is missing because it is blank.

    Commas, semicolons and tabs separate alike: which one a spreadsheet writes depends on its language.

    Args:
        path: the file.
        columns: the columns that it must have.
        more: it may have other columns as well.

    Raises:
        CourseError: if it is missing or no CSV, or its columns are others.
    """
    head = read_text(path).partition("\n")[0]
    try:
        table = pd.read_csv(
            path, sep=max(",;\t", key=head.count), dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise CourseError(f"{path.name} is not a CSV that can be read: {first_sentence(str(error))}.") from None
    lacking = [name for name in columns if name not in table]
    extra = [name for name in table if name not in columns and not more]
    if lacking or extra:
        told = [f"lacks the column {', '.join(lacking)}"] * bool(lacking)
        told += [f"has the column {', '.join(extra)}, which nobody asked for"] * bool(extra)
        raise CourseError(f"{path.name} {' and '.join(told)}: it has {'' if more else 'exactly '}{', '.join(columns)}.")
    return table


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
