"""`resumen check FOLDER`: the checklist of a project's hand-in. This module holds what both projects need.

Each project has a module of its own, `resumen.grading.<project>`, with `FILES`, the files of a hand-in, perhaps `ALSO`, files that may be there too, and
`checks(folder)`, which yields (what is checked, function that returns the faults). A fault is one sentence: what is wrong, where, what to do.
"""

import json
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

import nbformat
import pandas as pd

from resumen.execution import NotebookFailed, run_notebook
from resumen.grading import check
from resumen.profiles import CourseError, first_sentence
from resumen.setup import PROJECTS

NOTEBOOK = "project.ipynb"
WRITTEN = "the last cell of project.ipynb writes it."

TOLERANCE = 1e-6
"""Most that a figure may differ from the one recomputed."""

RERUN_TOLERANCE = 2.0
"""Most that a mean score may differ, in ROUGE points, when the notebook runs again: other processors round otherwise, and a fine-tune adds it up."""

LONGEST_CELL = 3600
"""Seconds that one cell of a project may take: a fine-tune on a busy machine is long."""

SHOWN = 3
"""Faults of one kind that are told in full."""


@dataclass(frozen=True)
class Line:
    """A line of the checklist: `faults` is empty if all is well."""

    what: str
    faults: tuple[str, ...] = ()


Check = tuple[str, Callable[[], Iterable[str]]]


def find_project(folder: Path) -> str:
    """Return the project whose hand-in this is: from the `setup("…")` of its notebook, else from the folders it lies in.

    Raises:
        CourseError: if there is no such folder, neither names a project, or the notebook, which alone could tell, is damaged.
    """
    if not folder.is_dir():
        raise CourseError(f"{folder} is not a folder: name the folder of your hand-in.")
    named, damage = [], None
    if (folder / NOTEBOOK).is_file():
        try:
            sources = [cell.source for cell in check.read(folder / NOTEBOOK)]
        except CourseError as error:
            sources, damage = [], error
        named = [name for source in sources for name in re.findall(r"\bsetup\(\s*[\"'](\w+)[\"']", source)]
    for name in [*named, *reversed(folder.resolve().parts)]:
        if name in PROJECTS:
            return name
    if damage:
        raise damage
    raise CourseError(
        f"{folder} is not the hand-in of a project: it needs a {NOTEBOOK} that says "
        f"{' or '.join(f'setup({name!r})' for name in PROJECTS)}."
    )


def checklist(folder: Path, run: bool = False) -> list[Line]:
    """Check a hand-in and return the lines of its checklist; with `run`, the notebook is executed in a copy as well.

    Raises:
        CourseError: as `find_project` does.
    """
    project = import_module(f"resumen.grading.{find_project(folder)}")
    missing = [
        f"{name} is missing: {advice}" for name, advice in project.FILES.items() if not (folder / name).is_file()
    ]
    lines = [Line("all files are there", tuple(missing))]
    for what, find in project.checks(folder):
        try:
            faults = tuple(find())
        except CourseError as error:
            faults = (str(error),)
        lines.append(Line(what, _short(faults)))
    if run and (folder / NOTEBOOK).is_file():
        lines.append(
            Line(
                f"{NOTEBOOK} runs from top to bottom",
                tuple(rerun(folder, (*project.FILES, *getattr(project, "ALSO", ())))),
            )
        )
    return lines


def _short(faults: tuple[str, ...]) -> tuple[str, ...]:
    rest = len(faults) - SHOWN
    return faults if rest <= 0 else (*faults[:SHOWN], f"And {rest} more of this kind.")


class HandIn:
    """A folder that was handed in; files are read once, when a check needs them. Each project adds its own checks."""

    project: str
    prediction_columns: Sequence[str]
    settings: Mapping[str, type]

    def __init__(self, folder: Path):
        self.folder = folder

    @cached_property
    def metrics(self) -> dict:
        return read_json(self.folder / "metrics.json")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        return read_csv(self.folder / "predictions.csv", self.prediction_columns)

    def notebook_faults(self) -> Iterator[str]:
        return notebook_faults(self.folder / NOTEBOOK, self.project)

    def setting_faults(self) -> Iterator[str]:
        settings = self.metrics.get("settings")
        if not isinstance(settings, dict):
            yield f"metrics.json has no settings: {WRITTEN}"
            return
        for name, kind in self.settings.items():
            value = settings.get(name)
            if not isinstance(value, (int, float) if kind is float else kind) or (
                isinstance(value, bool) != (kind is bool)
            ):
                yield f"metrics.json, settings.{name}: it says {value!r}, but {kind.__name__} belongs there."
        if settings.get("quick"):
            yield "metrics.json comes from a quick run: unset RESUMEN_QUICK, restart, and run the whole notebook."


# Files ----------------------------------------------------------------------------------------------------------------


def read_text(path: Path) -> str:
    """Return a text file.

    Raises:
        CourseError: if it is missing or not in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CourseError(f"Not checked: {path.name} is missing.") from None
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
            f"{path.name} stops being JSON in line {error.lineno}: have the last cell of {NOTEBOOK} write it again."
        ) from None
    if not isinstance(value, dict):
        raise CourseError(f"{path.name} is not a JSON object: have the last cell of {NOTEBOOK} write it again.")
    return value


def read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return a CSV as text with exactly these columns, empty cells as "".

    Raises:
        CourseError: if it is missing or no CSV, or its columns are others.
    """
    read_text(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise CourseError(f"{path.name} is not a CSV that can be read: {first_sentence(str(error))}.") from None
    lacking = [name for name in columns if name not in table]
    extra = [name for name in table if name not in columns]
    if lacking or extra:
        told = [f"lacks the column {', '.join(lacking)}"] * bool(lacking)
        told += [f"has the column {', '.join(extra)}, which nobody asked for"] * bool(extra)
        raise CourseError(f"{path.name} {' and '.join(told)}: it has exactly {', '.join(columns)}.")
    return table


# Rows and figures -----------------------------------------------------------------------------------------------------


def id_faults(name: str, ids: Sequence[str], expected: Collection[str], what: str = "the test split") -> Iterator[str]:
    """Yield the faults of a column of ids that must hold each of `expected`, which are `what`, once."""
    ids = list(ids)
    seen: set[str] = set()
    for number, one in enumerate(ids, start=2):  # line 1 of the file is its head
        if one in seen:
            yield f"{name}: row {number} repeats the id {one!r}: keep one row for each id."
        elif one not in expected:
            yield f"{name}: row {number} has the id {one!r}, which is not in {what}: take the row out."
        seen.add(one)
    for one in sorted(set(expected) - seen):
        yield f"{name}: the id {one!r} of {what} is missing: add its row."


def figure_faults(stated, computed, where: str = "") -> Iterator[str]:
    """Yield where the figures of metrics.json are not those that follow from the predictions: both numbers, and the place."""
    place = f"metrics.json, {where or 'top level'}"
    if isinstance(computed, dict):
        if not isinstance(stated, dict):
            yield f"{place}: it says {stated!r}, but an object with {', '.join(computed)} belongs there."
            return
        for name in computed:
            if name not in stated:
                yield f"{place}: {name!r} is missing: have the last cell of {NOTEBOOK} write the file."
            else:
                yield from figure_faults(stated[name], computed[name], f"{where}.{name}".lstrip("."))
        for name in stated:
            if name not in computed:
                yield f"{place}: {name!r} does not belong there: take it out."
    elif isinstance(computed, (int, float)) and not isinstance(computed, bool):
        is_number = isinstance(stated, (int, float)) and not isinstance(stated, bool)
        if not is_number or not math.isclose(stated, computed, rel_tol=0, abs_tol=TOLERANCE):
            yield f"{place}: it says {stated!r}, but the predictions give {computed!r}."
    elif stated != computed:
        yield f"{place}: it says {stated!r}, but the predictions give {computed!r}."


def card_faults(path: Path, languages: Collection[str], means: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield the faults of a model card: its YAML head as the Hub reads it, its limits, and its scores with two decimals.

    Args:
        path: the card.
        languages: the language codes that it must name.
        means: the model's mean scores, {language: {score: mean}}.
    """
    from huggingface_hub import ModelCard

    text = read_text(path)
    if not re.match(r"---\r?\n.*?\r?\n---\r?\n", text, flags=re.DOTALL):
        yield f"{path.name} has no front matter: it must start with a block of YAML between two lines `---`."
        return
    try:
        data = ModelCard(text).data.to_dict()
    except Exception as error:  # yaml and huggingface_hub each have errors of their own
        yield f"{path.name}: its front matter is not YAML ({first_sentence(str(error))}): correct it."
        return
    for name in ("license", "base_model"):
        if not data.get(name):
            yield f"{path.name}: its front matter does not say `{name}`: add it."
    named = data.get("language") or []
    lacking = sorted(set(languages) - set([named] if isinstance(named, str) else named))
    if lacking:
        yield f"{path.name}: its front matter does not list the language {', '.join(lacking)}: add it."
    if not re.search(r"^#+ .*Limit", text, flags=re.MULTILINE):
        yield f"{path.name} has no heading with the word Limits: say what the model cannot do."
    rows = {cells[0]: cells[1:] for cells in _table_rows(text)}
    for language, scores in means.items():
        expected = [f"{value:.2f}" for value in scores.values()]
        if rows.get(language) != expected:
            got = ", ".join(rows.get(language, [])) or "no such row"
            yield f"{path.name}, table of scores, row {language}: {got}; metrics.json gives {', '.join(expected)}."


def _table_rows(markdown: str) -> Iterator[list[str]]:
    for line in markdown.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


NUMBER = re.compile(r"(?<![\w.])(\d+(?:,\d{3})*(?:\.\d+)?)(?!\.?\d)(\s?%)?")


def report_faults(path: Path, headings: Sequence[str], words: int, figures: Iterable[float]) -> Iterator[str]:
    """Yield the faults of a report: headings, length, places left open, and decimals and percentages that no figure backs.

    Args:
        path: the report, in Markdown.
        headings: the second-level headings of the template, in their order.
        words: the most words it may have.
        figures: every figure that may be quoted. Code and paragraphs with a source (a URL) are not compared.
    """
    text = read_text(path)
    found = re.findall(r"^## +(.+?)\s*$", text, flags=re.MULTILINE)
    for heading in headings:
        if heading not in found:
            yield f"{path.name} lacks the section `## {heading}`: keep the headings of the template."
    for place in re.findall(r"\[\[.*?\]\]", text, flags=re.DOTALL):
        yield f"{path.name}: {place!r} is still open: write your own text in its place."
    count = len(re.sub(r"^\|.*$", "", text, flags=re.MULTILINE).split())
    if count > words:
        yield f"{path.name} has {count} words without its tables: cut it to {words}."
    values = [abs(float(value)) for value in figures]
    plain = re.sub(r"^```.*?^```|`[^`\n]+`", "", text, flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", plain):
        if re.search(r"https?://", paragraph):
            continue
        for match in NUMBER.finditer(paragraph):
            number, percent = match[1], match[2]
            if ("." in number or percent) and not _is_backed(number, bool(percent), values):
                yield (
                    f"{path.name} says {match[0]!r}, and no figure of this hand-in rounds to it: correct it, or give its "
                    "source with a URL."
                )


def _is_backed(number: str, is_percentage: bool, values: Sequence[float]) -> bool:
    digits = len(number.partition(".")[2])
    wanted = float(number.replace(",", ""))
    near = 0.5 * 10**-digits + 1e-9
    return any(
        abs(value * scale - wanted) <= near for value in values for scale in ((1, 100) if is_percentage else (1,))
    )


def figures_in(value) -> Iterator[float]:
    """Yield every number in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from figures_in(one)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


# The notebook ---------------------------------------------------------------------------------------------------------


def notebook_faults(path: Path, project: str) -> Iterator[str]:
    """Yield the faults of a hand-in's notebook: damaged cells, open answers, and a run that was not from top to bottom."""
    if not path.is_file():
        raise CourseError(f"Not checked: {path.name} is missing.")
    cells = check.read(path)
    _, faults = check.mend(check.released_lab(project), cells)
    yield from faults
    for cell in cells:
        if cell.grading.get("solution") and cell.kind == "code" and check.STUB in cell.source:
            yield f"{path.name}, cell {cell.number} ({cell.grading.get('grade_id')}) is not answered."
    raw = json.loads(path.read_text(encoding="utf-8-sig"))["cells"]
    code = [(number, cell) for number, cell in enumerate(raw, start=1) if cell.get("cell_type") == "code"]
    code = [(number, cell) for number, cell in code if "".join(cell.get("source", "")).strip()]
    for number, cell in code:
        error = next((one for one in cell.get("outputs", []) if one.get("output_type") == "error"), None)
        if error:
            reason = (str(error.get("evalue")).strip().splitlines() or ["no message"])[0]
            yield f"{path.name}, cell {number} raised {error.get('ename')}: {reason}"
    if [cell.get("execution_count") for _, cell in code] != list(range(1, len(code) + 1)):
        yield f"{path.name} was not saved after one run from top to bottom: restart the kernel, run all cells, save."


def rerun(folder: Path, files: Collection[str]) -> Iterator[str]:
    """Execute the notebook in a copy of the hand-in and yield what is wrong: it raises, writes no metrics.json, or others."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / folder.resolve().name
        copy.mkdir()
        for name in files:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, copy / name)
        (copy / "metrics.json").unlink(missing_ok=True)
        try:
            run_notebook(copy / NOTEBOOK, timeout=LONGEST_CELL)
        except NotebookFailed as error:
            yield f"{error}."
            return
        if not (copy / "metrics.json").is_file():
            yield f"{NOTEBOOK} ran to its end and wrote no metrics.json: the last cell of the starter writes it."
            return
        stated, again = (read_json(place / "metrics.json") for place in (folder, copy))
        for where, before, after in _means(stated.get("scores"), again.get("scores")):
            if not abs(before - after) <= RERUN_TOLERANCE:
                yield (
                    f"metrics.json, scores.{where}: it says {before:.2f}, and the notebook gives {after:.2f} when it runs "
                    "again: hand in what this notebook wrote."
                )


def _means(one, other, where: str = "") -> Iterator[tuple[str, float, float]]:
    """Yield (place, value, value) of every `mean` that two nested tables of scores have in common."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one:
            if name == "mean":
                yield where, one[name], other.get(name, math.nan)
            else:
                yield from _means(one[name], other.get(name), f"{where}.{name}".lstrip("."))


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Number, in place, the code cells of a notebook that ran from top to bottom; `normalize` numbers only those with outputs."""
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = number
    return notebook
