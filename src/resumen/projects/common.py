"""What the checklists of both projects need. A fault is one sentence: what is wrong, where, what to do.

Each project has a module `checklist` with `FILES`, the files of a hand-in and who writes each, perhaps `ALSO`, files that may be there
too, and `checks(folder)`, the lines of its checklist.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from resumen.errors import first_sentence
from resumen.files import METRICS, PREDICTIONS, PROJECT, read_csv, read_json, read_text, table_rows

WRITTEN = f"the last cell of {PROJECT} writes it."

TOLERANCE = 1e-6
"""Most that a figure may differ from the one recomputed."""

Check = tuple[str, Callable[[], Iterable[str]]]
"""A line of a checklist: what is checked, and the function that returns the faults."""


class HandIn:
    """A folder that was handed in; files are read once, when a check needs them. Each project adds its own checks."""

    prediction_columns: Sequence[str]
    settings: Mapping[str, type]

    def __init__(self, folder: Path):
        self.folder = folder

    @cached_property
    def metrics(self) -> dict:
        return read_json(self.folder / METRICS)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        return read_csv(self.folder / PREDICTIONS, self.prediction_columns)

    def setting_faults(self) -> Iterator[str]:
        settings = self.metrics.get("settings")
        if not isinstance(settings, dict):
            yield f"{METRICS} has no settings: {WRITTEN}"
            return
        for name, kind in self.settings.items():
            value = settings.get(name)
            if not isinstance(value, (int, float) if kind is float else kind) or (
                isinstance(value, bool) != (kind is bool)
            ):
                yield f"{METRICS}, settings.{name}: it says {value!r}, but {kind.__name__} belongs there."
        if settings.get("quick"):
            yield f"{METRICS} comes from a quick run: unset RESUMEN_QUICK, restart, and run the whole notebook."


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
    place = f"{METRICS}, {where or 'top level'}"
    if isinstance(computed, dict):
        if not isinstance(stated, dict):
            yield f"{place}: it says {stated!r}, but an object with {', '.join(computed)} belongs there."
            return
        for name in computed:
            if name not in stated:
                yield f"{place}: {name!r} is missing: have the last cell of {PROJECT} write the file."
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
    rows = {cells[0]: cells[1:] for cells in table_rows(text)}
    for language, scores in means.items():
        expected = [f"{value:.2f}" for value in scores.values()]
        if list(map(_two_decimals, rows.get(language, []))) != expected:
            got = ", ".join(rows.get(language, [])) or "no such row"
            yield f"{path.name}, table of scores, row {language}: {got}; {METRICS} gives {', '.join(expected)}."


def _two_decimals(cell: str) -> str:
    """Return a figure with two decimals: `DataFrame.to_markdown` writes 20.10 as 20.1."""
    try:
        return f"{float(cell):.2f}"
    except ValueError:
        return cell


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
