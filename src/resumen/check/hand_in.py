"""`resumen check FOLDER`: the checklist of a project's hand-in."""

import math
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from resumen.check import notebook as lab
from resumen.check.match import mend, stages_named
from resumen.errors import CourseError, first_sentence
from resumen.files import METRICS, PROJECT, read_json
from resumen.notebooks import STUB, NotebookFailed, run_notebook
from resumen.projects.common import is_number
from resumen.setup import PROJECTS

RERUN_TOLERANCE = 2.0
"""Most that a mean score may differ, in ROUGE points, when the notebook runs again: other processors round otherwise, and a fine-tune adds it up."""

LONGEST_CELL = 3600
"""Seconds that one cell of a project may take: a fine-tune on a busy machine is long."""

SURPRISE = "A file holds something that no check foresaw"
"""How the fault begins that stands for an error of ours."""

SHOWN = 3
"""Faults of one kind that are told in full."""


@dataclass(frozen=True)
class Line:
    """A line of the checklist: `faults` is empty if all is well."""

    what: str
    faults: tuple[str, ...] = ()


def find_project(folder: Path) -> str:
    """Return the project whose hand-in this is: from the `setup("…")` of its notebook, else from the folders it lies in.

    Raises:
        CourseError: if there is no such folder, neither names a project, or the notebook, which alone could tell, is damaged.
    """
    if not folder.is_dir():
        raise CourseError(f"{folder} is not a folder: name the folder of your hand-in.")
    named, damage = [], None
    if (folder / PROJECT).is_file():
        try:
            named = stages_named(lab.read(folder / PROJECT)[0])
        except CourseError as error:
            damage = error
    for name in [*named, *reversed(folder.resolve().parts)]:
        if name in PROJECTS:
            return name
    if damage:
        raise damage
    raise CourseError(
        f"{folder} is not the hand-in of a project: it needs a {PROJECT} that says "
        f"{' or '.join(f'setup({name!r})' for name in PROJECTS)}."
    )


def checklist(folder: Path, run: bool = False) -> list[Line]:
    """Check a hand-in and return the lines of its checklist; with `run`, the notebook is executed in a copy as well.

    Raises:
        CourseError: as `find_project` does.
    """
    name = find_project(folder)
    project = import_module(f"resumen.projects.{name}.checklist")
    missing = [
        f"{file} is missing: {advice}" for file, advice in project.FILES.items() if not (folder / file).is_file()
    ]
    checks = [
        (f"{PROJECT} is the starter, answered, and run in order", lambda: notebook_faults(folder / PROJECT, name)),
        *project.checks(folder),
    ]
    if run and (folder / PROJECT).is_file():
        files = (*project.FILES, *getattr(project, "ALSO", ()))
        checks.append((f"{PROJECT} runs from top to bottom", lambda: rerun(folder, files)))
    lines = [Line("all files are there", tuple(missing))]
    lines += [Line(what, _short(_told(find))) for what, find in checks]
    return lines


def _told(find: Callable[[], Iterable[str]]) -> tuple[str, ...]:
    """Return the faults that a check finds. Whatever it stumbles over is the last of them: a hand-in may hold anything."""
    found = []
    try:
        for fault in find():
            found.append(fault)
    except CourseError as error:
        found.append(str(error))
    except Exception as error:
        reason = first_sentence(f"{type(error).__name__}: {error}")
        found.append(f"{SURPRISE} ({reason}): compare the files with those that {PROJECT} writes.")
    return tuple(found)


def _short(faults: tuple[str, ...]) -> tuple[str, ...]:
    rest = len(faults) - SHOWN
    return faults if rest <= 0 else (*faults[:SHOWN], f"And {rest} more of this kind.")


def notebook_faults(path: Path, project: str) -> Iterator[str]:
    """Yield the faults of a hand-in's notebook: damaged cells, open answers, and a run that was not from top to bottom."""
    if not path.is_file():
        raise CourseError(f"{path.name} is missing in {path.parent}: put it there.")
    cells, faults = lab.read(path)
    _, more = mend(lab.released_lab(project), cells)
    yield from map(str, (*faults, *more))
    code = [cell for cell in cells if cell.kind == "code" and not cell.is_blank]
    for cell in code:
        if (cell.grading or {}).get("solution") and STUB in cell.source:
            yield f"{path.name}, cell {cell.number} ({cell.grade_id}) is not answered."
    for cell in code:
        error = next((one for one in cell.outputs if one.get("output_type") == "error"), None)
        if error:
            reason = (str(error.get("evalue")).strip().splitlines() or ["no message"])[0]
            yield f"{path.name}, cell {cell.number} raised {error.get('ename')}: {reason}"
    if [cell.count for cell in code] != list(range(1, len(code) + 1)):
        yield f"{path.name} was not saved after one run from top to bottom: restart the kernel, run all cells, save."


def rerun(folder: Path, files: Collection[str]) -> Iterator[str]:
    """Execute the notebook in a copy of the hand-in and yield what is wrong: it raises, writes no metrics.json, or others."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / folder.resolve().name
        copy.mkdir()
        for name in files:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, copy / name)
        (copy / METRICS).unlink(missing_ok=True)
        try:
            run_notebook(copy / PROJECT, timeout=LONGEST_CELL)
        except NotebookFailed as error:
            yield f"{error}."
            return
        if not (copy / METRICS).is_file():
            yield f"{PROJECT} ran to its end and wrote no {METRICS}: the last cell of the starter writes it."
            return
        stated, again = (read_json(place / METRICS) for place in (folder, copy))
        for where, before, after in _means(stated.get("scores"), again.get("scores")):
            if not abs(before - after) <= RERUN_TOLERANCE:
                yield (
                    f"{METRICS}, scores.{where}: it says {before:.2f}, and the notebook gives {after:.2f} when it runs "
                    "again: hand in what this notebook wrote."
                )


def _means(one, other, where: str = "") -> Iterator[tuple[str, float, float]]:
    """Yield (place, value, value) of every `mean` that two nested tables of scores have in common."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one:
            if name == "mean" and is_number(one[name]):
                yield where, one[name], other[name] if is_number(other.get(name)) else math.nan
            else:
                yield from _means(one[name], other.get(name), f"{where}.{name}".lstrip("."))
