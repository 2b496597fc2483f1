"""What the checklists of both projects need. A fault is one sentence: what is wrong, where, what to do.

Each project has a module `checklist` with `FILES`, the files of a hand-in and who writes each, perhaps `ALSO`, files that may be there
too, and `checks(folder)`, the lines of its checklist.
"""

import math
import re
import reprlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from resumen.errors import first_sentence
from resumen.files import METRICS, PREDICTIONS, PROJECT, TABLES, number_in, read_csv, read_json, read_text, table_rows

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
                yield f"{METRICS}, settings.{name}: it says {brief(value)}, but {kind.__name__} belongs there."
        if settings.get("quick"):
            yield f"{METRICS} comes from a quick run: unset RESUMEN_QUICK, restart, and run the whole notebook."


def brief(value: object) -> str:
    """Return a value as a sentence shows it: on one line, and not all of it if it is long."""
    return _BRIEF.repr(value)


_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 80


def same_text(one: str, other: str) -> bool:
    """Say whether two texts are the same but for white space: spreadsheets and editors write line breaks in their own way."""
    return one.split() == other.split()


def is_number(value: object) -> bool:
    """Say whether a value of a JSON file is a finite number that a float holds; True and False are none."""
    try:
        return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:
        return False


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
            yield f"{place}: it says {brief(stated)}, but an object with {', '.join(computed)} belongs there."
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
        if not is_number(stated) or not math.isclose(stated, computed, rel_tol=0, abs_tol=TOLERANCE):
            yield f"{place}: it says {brief(stated)}, but the predictions give {computed!r}."
    elif stated != computed:
        yield f"{place}: it says {brief(stated)}, but the predictions give {brief(computed)}."


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
    named = data.get("language")
    named = {name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str)}
    lacking = sorted(set(languages) - named)
    if lacking:
        yield f"{path.name}: its front matter does not list the language {', '.join(lacking)}: add it."
    if not re.search(r"^#+ .*Limit", text, flags=re.MULTILINE):
        yield f"{path.name} has no heading with the word Limits: say what the model cannot do."
    rows = {_plain(cells[0]): list(map(_two_decimals, cells[1:])) for cells in table_rows(text)}
    for language, scores in means.items():
        expected = [f"{value:.2f}" for value in scores.values()]
        if rows.get(language) != expected:
            got = ", ".join(rows.get(language, [])) or "no such row"
            yield f"{path.name}, table of scores, row {language}: {got}; {METRICS} gives {', '.join(expected)}."


def _plain(cell: str) -> str:
    return cell.strip("*_` ")


def _two_decimals(cell: str) -> str:
    """Return a figure with two decimals: `DataFrame.to_markdown` writes 20.10 as 20.1, and a Spanish hand 20,10."""
    number = number_in(_plain(cell))
    return cell if math.isnan(number) else f"{number:.2f}"


# A report and its figures


@dataclass(frozen=True)
class Figure:
    """A figure of a hand-in, and what must be named beside it in a report: language, system and score, but not rougeL and all rows."""

    where: str
    value: float
    names: frozenset[str]


class Figures:
    """The figures of a hand-in, to be found as a report prints them."""

    def __init__(self, figures: Iterable[Figure]):
        self.figures = tuple(figures)
        self._printed: dict[tuple[int, bool], dict[float, list[Figure]]] = {}

    def printed(self, number: str, is_percentage: bool) -> list[Figure]:
        """Return those that are printed like this: with two decimals or more, or as the percentage that a share is."""
        decimals = len(number.partition(".")[2])
        if (decimals, is_percentage) not in self._printed:
            table = self._printed[decimals, is_percentage] = defaultdict(list)
            for figure in self.figures:
                value = abs(figure.value)
                table[round(value, max(decimals, 2))].append(figure)  # pandas leaves the last 0 of 20.10 out
                if is_percentage and value <= 1:
                    table[round(100 * value, decimals)].append(figure)
        return self._printed[decimals, is_percentage].get(float(number), [])


SPELT = {
    "ca": r"catal[aà]n?|catalán",
    "de": "german|alemán",
    "en": "english|inglés",
    "es": "spanish|español|castellano",
    "fr": "french|francés",
    "it": "italian|italiano",
    "pt": "portuguese|portugués",
    "lead1": r"lead[ -]?1|first sentence",
    "lead3": r"lead[ -]?3|three sentences",
    "prediction": "model|modelo|checkpoint|mt5-tiny",
    "system_a": "system a|a",
    "system_b": "system b|b",
    "floor": "first sentence",
    "ablation": "ablated|shuffled",
    "rouge1": r"rouge-?1",
    "rouge2": r"rouge-?2",
    "rougeLsum": r"rouge-?lsum",
    "losses": "loss|losses",
    "p_value": r"p|p-value",
    "validation": "validate|validated|validates",
    "processes": "process",
}
"""Other spellings of the names in metrics.json, as regular expressions; case does not matter."""

UNNAMED = set(
    "scores comparisons leak people mean_score robustness settings facts truncated mean low high mean_difference with without drop score "
    "kappas all rougeL n minus".split()
)
"""Parts of metrics.json that need no name beside a figure: they say how it is arranged, or are what a report speaks of anyway."""


def figures_in(value, where: str = "", optional: Collection[str] = ()) -> Iterator[Figure]:
    """Yield every number in a JSON value. A list is one name: its entries need no others.

    Args:
        value: what `metrics.json` holds.
        where: the place that it stands in.
        optional: names that nothing else can be taken for, besides `UNNAMED`.
    """
    if isinstance(value, dict):
        for name, part in value.items():
            yield from figures_in(part, f"{where}.{name}".lstrip("."), optional)
    elif isinstance(value, list):
        for part in value:
            yield from figures_in(part, where, optional)
    elif is_number(value):
        parts = {part for part in re.split(r"[., ]+|(?<= )- ", where) if part.strip(" -0123456789")}
        yield Figure(where, float(value), frozenset(parts - UNNAMED - set(optional)))


NUMBER = re.compile(r"(?<![\w.])(\d+(?:,\d{3})*(?:\.\d+)?|\d+,\d\d)(?![.,]?\d)(\s?%)?")


def report_faults(path: Path, headings: Sequence[str], words: int, figures: Iterable[Figure]) -> Iterator[str]:
    """Yield the faults of a report: headings, length, places left open, and decimals and percentages that no figure backs.

    A figure backs a number that is printed as `Figures.printed` says, if its names stand beside the number: in the paragraph, or
    in a table in its row, at the head of its column or in the first cell of all.

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
        yield f"{path.name}: {brief(place)} is still open: write your own text in its place."
    count = len(re.sub(r"^\|.*$", "", text, flags=re.MULTILINE).split())
    if count > words:
        yield f"{path.name} has {count} words without its tables: cut it to {words}."
    figures = Figures(figures)
    for number, percent, context in quoted(text):
        if fault := unbacked(number, percent, context, figures):
            yield f"{path.name} says {number + percent!r}, {fault}, or give its source with a URL."


def quoted(report: str) -> Iterator[tuple[str, str, str]]:
    """Yield the decimals and percentages of a report that are not in code or beside a URL: (number, its percent sign, what is beside it)."""
    for paragraph in re.split(r"\n\s*\n", re.sub(r"^```.*?^```", "", report, flags=re.DOTALL | re.MULTILINE)):
        if re.search(r"https?://", paragraph):
            continue
        prose = "\n".join(line for line in paragraph.split("\n") if not line.lstrip().startswith("|"))
        head, *rows = [*table_rows(paragraph)] or [[]]
        cells = [
            (cell, " | ".join([head[0], *head[place : place + 1], *row]))
            for row in rows
            for place, cell in enumerate(row)
        ]
        for part, context in [(prose, prose), *((cell, cell) for cell in head), *cells]:
            for match in NUMBER.finditer(re.sub(r"`[^`\n]+`", "", part)):
                number = match[1].replace(",", "." if re.fullmatch(r"\d+,\d\d", match[1]) else "")
                if "." in number or match[2]:
                    yield number, match[2] or "", context


def unbacked(number: str, percent: str, context: str, figures: Figures) -> str:
    """Return why no figure backs a number, and what to do, as the middle of a sentence; "" if one does."""
    alike = figures.printed(number, bool(percent))
    if not alike:
        return f"and no figure of this hand-in is printed so: copy it from {TABLES}, with two decimals"
    lacking = {figure: sorted(name for name in figure.names if not is_named(name, context)) for figure in alike}
    figure = min(alike, key=lambda one: len(lacking[one]))
    if not lacking[figure]:
        return ""
    return f"which is not a figure of what is named beside it: correct it, name {' and '.join(lacking[figure])} there if you mean {figure.where}"


def is_named(name: str, text: str) -> bool:
    """Say whether a text has a name of metrics.json, in one of its spellings."""
    spelt = "|".join([re.escape(name).replace("_", "[ _-]"), *([SPELT[name]] if name in SPELT else [])])
    return bool(re.search(rf"(?<!\w)(?:{spelt})s?(?!\w)", text, flags=re.IGNORECASE))
