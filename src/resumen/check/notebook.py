"""`resumen check`: run a student's lab, say what became of each task, find what was damaged, and mend it.

A notebook that came back from Colab, VS Code or a merge may have lost metadata, ids or cells. So nothing of it is trusted but
its text: the released lab is taken, and the student's answers are put into it. That is what runs, and what `repair` writes.
"""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import nbformat
from nbclient.exceptions import DeadKernelError

from resumen.errors import CourseError
from resumen.files import LAB
from resumen.lab import NOT_ATTEMPTED, RIGHT, WRONG
from resumen.notebooks import STUB, grading_of, is_answer, make_client, write_notebook

LABS = Path(str(files("resumen"))) / "data" / "labs"
"""The released labs that travel with the package: a student's own labs/ folder holds answers."""

ANSWERED = "answered"
"""Outcome of the written answer: no program grades it."""

CELL_TIMEOUT = 120
"""Seconds that one cell may take."""

SET_ASIDE = """\
## Set aside by `resumen check --repair`

These texts have no place in the lab: a second answer to the same task, or a change of a cell that is not an answer.
Nothing of yours was deleted. Copy what you need into your answer cells, then delete this cell.
"""


@dataclass(frozen=True)
class Row:
    """What became of a task: not attempted, wrong with the hint, right; the written answer is not attempted or answered."""

    task: str
    outcome: str
    why: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of the student's notebook. `number` counts from 1, in the order on the screen."""

    number: int
    kind: str
    source: str
    ids: frozenset[str]
    grading: dict = field(default_factory=dict, hash=False)
    attachments: dict = field(default_factory=dict, hash=False)

    def defines(self, name: str) -> bool:
        is_set_aside = self.source.startswith(SET_ASIDE.splitlines()[0])
        return not is_set_aside and bool(
            re.search(rf"^(?:def|class) {re.escape(name)}\b", self.source, flags=re.MULTILINE)
        )


def read(path: Path) -> list[Cell]:
    """Return the cells of a notebook of any minor version, valid or not.

    Raises:
        CourseError: if there is no such file, or it is not a notebook.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise CourseError(f"{path} not found: name the lab's notebook, such as labs/stage1_corpus/lab.ipynb.") from None
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}.") from None
    except json.JSONDecodeError as error:
        raise CourseError(
            f"{path} is not a notebook: it stops being JSON in line {error.lineno} (an unfinished download, or the "
            "marks of a merge?), so take an earlier copy, or the released lab, and copy your answers into it."
        ) from None
    except UnicodeDecodeError:
        raise CourseError(f"{path} is not a notebook: save it as .ipynb, in UTF-8.") from None
    if isinstance(notebook, dict) and notebook.get("worksheets"):  # the format of before 2015
        notebook = nbformat.convert(nbformat.from_dict(notebook), 4)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise CourseError(f"{path} is JSON, but not a notebook: it has no cells.")
    return [_read_cell(number, cell) for number, cell in enumerate(cells, start=1)]


def _read_cell(number: int, cell: dict) -> Cell:
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    grading = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
    source = cell.get("source", "")
    attachments = cell.get("attachments") if isinstance(cell.get("attachments"), dict) else {}
    # Colab keeps the cell's id in its metadata.
    ids = {cell.get("id"), metadata.get("id"), grading.get("grade_id")}
    return Cell(
        number,
        str(cell.get("cell_type")),
        "".join(map(str, source)) if isinstance(source, list) else str(source),
        frozenset(name for name in ids if isinstance(name, str)),
        grading,
        attachments,
    )


def find_stage(path: Path, cells: list[Cell], labs: Path = LABS) -> str:
    """Return the stage whose lab this is: from its own `setup("…")`, or from the folder it lies in.

    Raises:
        CourseError: if neither names a stage that has a lab.
    """
    stages = {released.stem for released in labs.glob("*.ipynb")} | {
        released.parent.name for released in labs.glob(f"*/{LAB}")
    }
    named = [name for cell in cells for name in re.findall(r"\bsetup\(\s*[\"'](\w+)[\"']", cell.source)]
    for name in [*named, *reversed(path.resolve().parts)]:
        if name in stages:
            return name
    raise CourseError(
        f"{path} is not a lab of this course: neither its setup cell nor its folder names a stage with a lab "
        f"({', '.join(sorted(stages)) or 'none found'})."
    )


def released_lab(stage: str, labs: Path = LABS) -> nbformat.NotebookNode:
    """Return the lab as students got it, from a folder of `<stage>.ipynb` or of `<stage>/lab.ipynb`."""
    path = labs / f"{stage}.ipynb"
    return nbformat.read(path if path.is_file() else labs / stage / LAB, as_version=4)


def mend(released: nbformat.NotebookNode, cells: list[Cell]) -> tuple[nbformat.NotebookNode, list[str]]:
    """Put the answers into the released lab.

    Every text and picture of the student's is in the result: as an answer, as a cell of their own where it stood, or set aside at the end.

    Returns:
        The mended notebook, and one sentence for each fault, with its remedy; none if nothing was damaged.
    """
    chosen, rivals = _match(released, cells)
    faults = [fault for place in range(len(released.cells)) for fault in _faults(released, place, chosen, rivals)]
    graded = [chosen[place].number for place, cell in enumerate(released.cells) if grading_of(cell) and place in chosen]
    if graded != sorted(graded):
        faults.append("Answer and test cells were moved: put them back in the order of the released lab.")

    mended = nbformat.from_dict({**released, "cells": []})
    place_of = {cell: place for place, cell in chosen.items()}
    rejected = {cell for some in rivals.values() for cell in some}
    own: dict[int, list[Cell]] = {}
    place = -1
    for cell in cells:
        if cell in place_of:
            place = place_of[cell]
        elif cell not in rejected:
            own.setdefault(place, []).append(cell)
    for place in range(-1, len(released.cells)):
        if place >= 0:
            mended.cells.append(_filled(released.cells[place], chosen.get(place)))
        mended.cells += [_own_cell(cell) for cell in own.get(place, []) if cell.source.strip()]
    kept = {"", *(cell.source.strip() for cell in (*mended.cells, *released.cells))}
    pictures = [picture for cell in mended.cells for picture in cell.get("attachments", {}).values()]
    aside = [
        cell
        for cell in cells
        if cell.source.strip() not in kept or any(one not in pictures for one in cell.attachments.values())
    ]
    if aside:
        mended.cells.append(_set_aside(aside))
    seen: set[str] = set()
    for number, cell in enumerate(mended.cells):
        if cell.id in seen:
            cell.id = f"own-{number}"
        seen.add(cell.id)
    return mended, faults


def _set_aside(cells: list[Cell]) -> nbformat.NotebookNode:
    """Return the cell that keeps what has no place in the lab, with its pictures."""
    texts, pictures = [SET_ASIDE.rstrip()], {}
    for cell in cells:
        # Jupyter calls every pasted picture image.png: the number of the cell keeps them apart.
        renamed = {f"cell-{cell.number}-{name}": picture for name, picture in cell.attachments.items()}
        texts.append(f"Cell {cell.number} was:\n\n~~~~python\n{cell.source}\n~~~~")
        texts += [f"![{name}](<attachment:{name}>)" for name in renamed]
        pictures |= renamed
    aside = nbformat.v4.new_markdown_cell("\n\n".join(texts), id="set-aside")
    if pictures:
        aside.attachments = nbformat.from_dict(pictures)
    return aside


def repair(path: Path, mended: nbformat.NotebookNode) -> Path:
    """Write the mended notebook in place of the student's, and return the backup of theirs: no backup is overwritten."""
    number = 1
    backup = path.with_name(f"{path.stem}.backup.ipynb")
    while backup.exists():
        number += 1
        backup = path.with_name(f"{path.stem}.backup-{number}.ipynb")
    try:
        shutil.copyfile(path, backup)
        write_notebook(mended, path)
    except OSError as error:
        raise CourseError(f"{error.filename or path} cannot be written: {error.strerror}.") from None
    return backup


def run(notebook: nbformat.NotebookNode, folder: Path, released: nbformat.NotebookNode) -> list[Row]:
    """Run a mended lab in `folder` to its end, whatever fails, and return what became of each task.

    Raises:
        CourseError: if there is no kernel to run it.
    """
    notebook = nbformat.from_dict(notebook)
    client = make_client(notebook, folder, timeout=CELL_TIMEOUT, interrupt_on_timeout=True, allow_errors=True)
    died = False
    try:
        client.execute()
    except DeadKernelError:
        died = True  # the tasks before this one have their outcomes
    originals = {grading_of(cell)["grade_id"]: cell for cell in released.cells if grading_of(cell)}
    rows, answer = [], None
    for cell in notebook.cells:
        grading = grading_of(cell)
        if grading.get("grade") and grading.get("solution"):
            is_untouched = cell.source.strip() == originals[grading["grade_id"]].source.strip()
            rows.append(Row("Written answer", NOT_ATTEMPTED if is_untouched else ANSWERED))
        elif grading.get("grade"):
            rows.append(_row(cell, answer, died))
        elif grading.get("solution"):
            answer = cell
    return rows


def _row(tests: nbformat.NotebookNode, answer: nbformat.NotebookNode | None, died: bool) -> Row:
    title = re.search(r"\btask\(\s*[\"'](.+?)[\"']\s*\)", tests.source)
    name = title[1] if title else grading_of(tests)["grade_id"]
    failed, error = _error(answer) if answer else None, _error(tests)
    if failed:
        return Row(name, WRONG, f"The answer cell itself does not run: {failed[0]}: {failed[1]}")
    if error is None:
        # When the kernel dies, the cell that killed it may look like one that ran: only its own words tell.
        is_run = not died or any(f": {RIGHT}." in output.get("text", "") for output in tests.outputs)
        return Row(name, RIGHT) if is_run else Row(name, WRONG, "Not run: the kernel died in this task or before it.")
    kind, message = error
    if kind == "NotImplementedError":
        return Row(name, NOT_ATTEMPTED)
    if kind == "KeyboardInterrupt":
        return Row(name, WRONG, f"It took more than {CELL_TIMEOUT} s: is there a loop that does not end?")
    return Row(
        name, WRONG, message.removeprefix(f"{name}: {WRONG}. ") if kind == "AssertionError" else f"{kind}: {message}"
    )


def _error(cell: nbformat.NotebookNode) -> tuple[str, str] | None:
    return next(((one.ename, one.evalue) for one in cell.get("outputs", []) if one.output_type == "error"), None)


def _defined(cell: nbformat.NotebookNode) -> str | None:
    """Return the function or class that an answer cell is there for: the one with the stub in it."""
    head = cell.source.split(STUB)[0]
    names = re.findall(r"^(?:def|class) (\w+)", head, flags=re.MULTILINE)
    return names[-1] if names and is_answer(cell) and cell.cell_type == "code" else None


def _match(released: nbformat.NotebookNode, cells: list[Cell]) -> tuple[dict[int, Cell], dict[int, list[Cell]]]:
    """Return for each place in the released lab the student's cell, and the other cells that could have been it."""
    found: dict[int, list[Cell]] = {place: [] for place in range(len(released.cells))}
    taken: set[Cell] = set()

    def take(fits: Callable[[nbformat.NotebookNode, Cell], bool]) -> None:
        for place, original in enumerate(released.cells):
            some = [cell for cell in cells if cell not in taken and fits(original, cell)]
            found[place] += some
            taken.update(some)

    take(lambda original, cell: cell.grading.get("grade_id", "") == grading_of(original).get("grade_id"))
    take(lambda original, cell: original.id in cell.ids)
    take(lambda original, cell: cell.source.strip() == original.source.strip())
    # An answer without metadata, or in a cell of the student's own: what counts is the function's name.
    take(lambda original, cell: bool(name := _defined(original)) and cell.defines(name))
    # The written answer has no name. It stands where it stood.
    for place, original in enumerate(released.cells):
        if is_answer(original) and not found[place] and place and found[place - 1]:
            found[place] = [c for c in cells if c.number == found[place - 1][-1].number + 1 and c not in taken]
            taken.update(found[place])

    chosen, rivals = {}, {}
    for place, some in found.items():
        if some:
            chosen[place] = _best(released.cells[place], sorted(some, key=lambda cell: cell.number))
            rivals[place] = [cell for cell in some if cell is not chosen[place]]
    if not any(grading_of(released.cells[place]) for place in chosen):
        raise CourseError("This notebook has no answer and no test cell of the lab: is it the right file?")
    return chosen, rivals


def _best(original: nbformat.NotebookNode, some: list[Cell]) -> Cell:
    """Return the last answer that was attempted, as a kernel would; of other cells, one that is as released."""
    if is_answer(original):
        attempted = [c for c in some if c.source.strip() not in ("", original.source.strip()) and STUB not in c.source]
        return attempted[-1] if attempted else some[-1]
    return next((cell for cell in some if cell.source.strip() == original.source.strip()), some[0])


def _faults(
    released: nbformat.NotebookNode, place: int, chosen: dict[int, Cell], rivals: dict[int, list[Cell]]
) -> list[str]:
    """Return the sentences about one cell of the released lab."""
    original, grading = released.cells[place], grading_of(released.cells[place])
    is_prose = original.cell_type == "markdown" and not grading
    if is_prose:
        return []  # nothing depends on it
    what = "answer cell" if is_answer(original) else "test cell" if grading else "cell"
    name = grading.get("grade_id", original.id)
    if place not in chosen:
        return [f"The {what} {name} is missing: copy it from the released lab, or run this with --repair."]
    cell = chosen[place]
    where = f"Cell {cell.number} ({what} {name})"
    faults = []
    if rivals[place]:
        others = " and ".join(str(other.number) for other in sorted(rivals[place], key=lambda other: other.number))
        faults.append(f"{where} is there more than once, also as cell {others}: keep the one that counts.")
    if cell.kind != original.cell_type:
        faults.append(f"{where} is a {cell.kind} cell: turn it back into a {original.cell_type} cell.")
    if grading and not cell.grading:
        faults.append(f"{where} has lost its nbgrader metadata and cannot be graded: run this with --repair.")
    elif {**cell.grading, "checksum": ""} != {**grading, "checksum": ""}:
        faults.append(f"{where} has other nbgrader metadata than the released lab: run this with --repair.")
    if not is_answer(original) and cell.source.strip() != original.source.strip():
        advice = "write in answer cells and in cells of your own only; --repair puts the original back."
        faults.append(f"{where} was changed: {advice}")
    return faults


def _filled(original: nbformat.NotebookNode, cell: Cell | None) -> nbformat.NotebookNode:
    """Return a cell of the released lab, with the student's text if it is an answer or prose."""
    filled = nbformat.from_dict(original)
    is_prose = original.cell_type == "markdown" and not grading_of(original)
    if cell and (is_answer(original) or is_prose):
        filled.source = cell.source
        if cell.attachments and filled.cell_type == "markdown":
            filled.attachments = nbformat.from_dict(cell.attachments)
    return filled


def _own_cell(cell: Cell) -> nbformat.NotebookNode:
    name = next(
        (name for name in sorted(cell.ids) if re.fullmatch("[A-Za-z0-9_-]{1,64}", name)), f"own-cell-{cell.number}"
    )
    if cell.kind == "code":
        return nbformat.v4.new_code_cell(cell.source, id=name, metadata={"tags": ["raises-exception"]})
    new_cell = nbformat.v4.new_raw_cell if cell.kind == "raw" else nbformat.v4.new_markdown_cell
    own = new_cell(cell.source, id=name)
    if cell.attachments:
        own.attachments = nbformat.from_dict(cell.attachments)
    return own
