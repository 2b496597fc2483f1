"""`resumen check`: run a student's lab, say what became of each task, find what was damaged, and mend it.

A notebook that came back from Colab, VS Code or a merge may have lost metadata, ids or cells. So nothing of it is trusted but
its text: the released lab is taken, and the student's answers are put into it. That is what runs, and what `repair` writes.
"""

import re
import tempfile
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import nbformat
from nbclient.exceptions import DeadKernelError

from resumen.check.cells import Cell, Fault, plain, read_cells
from resumen.check.match import mend, stages_named
from resumen.errors import CourseError
from resumen.files import LAB, PROJECT, write_bytes
from resumen.lab import NOT_ATTEMPTED, RIGHT, WRONG
from resumen.notebooks import grading_of, is_answer, is_test, make_client, read_notebook, write_notebook
from resumen.setup import PROJECTS

LABS = Path(str(files("resumen"))) / "data" / "labs"
"""The released labs that travel with the package: a student's own labs/ folder holds answers."""

WRITTEN = "Written answer"

ANSWERED = "answered"
"""Outcome of the written answer: no program grades it."""

CELL_TIMEOUT = 120
"""Seconds that one cell may take."""


@dataclass(frozen=True)
class Row:
    """What became of a task: not attempted, wrong with the hint, right; the written answer is not attempted or answered."""

    task: str
    outcome: str
    why: str = ""
    points: float = 0


@dataclass(frozen=True)
class Examined:
    """A student's notebook beside the released one.

    Attributes:
        stage: the stage or project that it belongs to.
        released: the notebook as students got it.
        mended: the released one with the student's answers, prose and own cells.
        faults: what was wrong; nothing if nbgrader grades the file as it is.
    """

    stage: str
    released: nbformat.NotebookNode
    mended: nbformat.NotebookNode
    faults: list[Fault]


def read(path: Path) -> tuple[list[Cell], list[Fault]]:
    """Return the cells of a notebook of any version, valid or not, and what is wrong with the file.

    Raises:
        CourseError: if there is no such file, or it is not a notebook.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CourseError(f"{path} not found: name the lab's notebook, such as labs/stage1_corpus/lab.ipynb.") from None
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}.") from None
    return read_cells(data, str(path))


def examine(path: Path, labs: Path = LABS) -> Examined:
    """Read a student's lab and mend it, in memory.

    Args:
        path: the student's notebook.
        labs: the released ones, as `<stage>.ipynb` or `<stage>/lab.ipynb`.

    Raises:
        CourseError: if it is no notebook, a quiz, or of no stage, or another one than it says.
    """
    cells, faults = read(path)
    if any(re.search(r"^from resumen\.quiz\b", cell.source, re.M) for cell in cells):
        raise CourseError(
            f"{path} is a quiz, not a lab: its own cells check your answers, and what is damaged is mended when it is graded."
        )
    stage = find_stage(path, cells, labs)
    released = released_lab(stage, labs)
    mended, more = mend(released, cells)
    return Examined(stage, released, mended, [*faults, *more])


def find_stage(path: Path, cells: list[Cell], labs: Path = LABS) -> str:
    """Return the stage whose lab this is: from its own `setup("…")`, or from the folder it lies in.

    Raises:
        CourseError: if neither names a stage that has a lab.
    """
    stages = {released.stem for released in labs.glob("*.ipynb")} | {
        released.parent.name for released in labs.glob(f"*/{LAB}")
    }
    for name in [*stages_named(cells), *reversed(path.resolve().parts)]:
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


def repair(path: Path, mended: nbformat.NotebookNode) -> Path:
    """Write the mended notebook in place of the student's, and return the backup of theirs: no backup is overwritten.

    The file is theirs until the new one is complete.

    Raises:
        CourseError: if a file cannot be written.
    """
    number = 1
    backup = path.with_name(f"{path.stem}.backup.ipynb")
    while backup.exists():
        number += 1
        backup = path.with_name(f"{path.stem}.backup-{number}.ipynb")
    try:
        write_bytes(backup, path.read_bytes())
        write_notebook(mended, path)
    except OSError as error:
        raise CourseError(f"{error.filename or path} cannot be written: {error.strerror}.") from None
    return backup


def is_attempted(notebook: nbformat.NotebookNode, released: nbformat.NotebookNode) -> bool:
    """Say whether a mended lab holds anything in an answer cell."""
    originals = {cell.id: plain(cell.source) for cell in released.cells if is_answer(cell)}
    return any(plain(cell.source) != originals[cell.id] for cell in notebook.cells if cell.id in originals)


def read_solution(stage: str, released: nbformat.NotebookNode, root: Path) -> nbformat.NotebookNode:
    """Return the notebook of `solutions/` that a lab or a starter was made from.

    Raises:
        CourseError: if it is not there, cannot be read, or has not the tasks of this lab.
    """
    path = root / "solutions" / stage / (PROJECT if stage in PROJECTS else LAB)
    solution = read_notebook(path)
    tasks, wanted = ({grading_of(cell).get("grade_id") for cell in one.cells} for one in (solution, released))
    if tasks != wanted:
        raise CourseError(f"{path} has other tasks than the released notebook: bring the repository up to date.")
    return solution


def with_hidden_tests(notebook: nbformat.NotebookNode, solution: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a mended lab whose test cells hold the hidden tests as well."""
    tests = {grading_of(cell)["grade_id"]: cell.source for cell in solution.cells if is_test(cell)}
    full = nbformat.from_dict(notebook)
    for cell in full.cells:
        cell.source = tests.get(grading_of(cell).get("grade_id"), cell.source)
    return full


def model_answers(solution: nbformat.NotebookNode) -> list[str]:
    """Return the model answers to the written tasks, each with its rubric, in Markdown."""
    written = [cell.source for cell in solution.cells if is_answer(cell) and grading_of(cell).get("grade")]
    return [re.sub(r"^### (?:BEGIN|END) SOLUTION$", "", source, flags=re.M).strip() for source in written]


def run(notebook: nbformat.NotebookNode, folder: Path, released: nbformat.NotebookNode) -> list[Row]:
    """Run a mended lab in `folder` to its end, whatever fails, and return what became of each task.

    Without an answer there is nothing to run.

    Args:
        notebook: the mended one, as it is or with its hidden tests.
        folder: where a lab runs; a project runs in an empty folder, as in grading.
        released: the notebook as students got it.

    Raises:
        CourseError: if there is no kernel to run it.
    """
    notebook = nbformat.from_dict(notebook)
    if not is_attempted(notebook, released):
        graded = [cell for cell in notebook.cells if grading_of(cell).get("grade")]
        return [_sized(Row(WRITTEN if is_answer(cell) else _task_name(cell), NOT_ATTEMPTED), cell) for cell in graded]
    died = False
    with tempfile.TemporaryDirectory() as empty:  # a project writes its hand-in where it runs: not over the student's
        place = Path(empty) if set(stages_named(released.cells)) & set(PROJECTS) else folder
        client = make_client(notebook, place, timeout=CELL_TIMEOUT, interrupt_on_timeout=True, allow_errors=True)
        try:
            client.execute()
        except DeadKernelError:
            died = True  # the tasks before this one have their outcomes
    originals = {grading_of(cell)["grade_id"]: cell for cell in released.cells if grading_of(cell)}
    rows, answer = [], None
    for place, cell in enumerate(notebook.cells):
        grading = grading_of(cell)
        if grading.get("grade") and grading.get("solution"):
            is_untouched = plain(cell.source) == plain(originals[grading["grade_id"]].source)
            rows.append(_sized(Row(WRITTEN, NOT_ATTEMPTED if is_untouched else ANSWERED), cell))
        elif grading.get("grade"):
            is_ended = not died or any(later.get("execution_count") for later in notebook.cells[place + 1 :])
            rows.append(_sized(_row(cell, answer, not is_ended), cell))
        elif grading.get("solution"):
            answer = cell
    return rows


def _row(tests: nbformat.NotebookNode, answer: nbformat.NotebookNode | None, died: bool) -> Row:
    name = _task_name(tests)
    failed, error = _error(answer) if answer else None, _error(tests)
    if failed:
        return Row(name, WRONG, f"The answer cell itself does not run: {failed[0]}: {failed[1]}")
    if error is None:
        # When the kernel dies, the cell that killed it may look like one that ran: only its own words tell.
        has_said = any(f": {RIGHT}." in output.get("text", "") for output in tests.outputs)
        is_run = not died or (has_said and "HIDDEN TESTS" not in tests.source)  # those come after the word
        return Row(name, RIGHT) if is_run else Row(name, WRONG, "Not run: the kernel died in this task or before it.")
    kind, message = error
    if kind == "NotImplementedError":
        return Row(name, NOT_ATTEMPTED)
    if kind == "KeyboardInterrupt":
        return Row(name, WRONG, f"It took more than {CELL_TIMEOUT} s: is there a loop that does not end?")
    why = message.removeprefix(f"{name}: {WRONG}. ") if kind == "AssertionError" else f"{kind}: {message}"
    # What the visible tests say comes first: with their word of success, it was a hidden one that failed.
    is_hidden = any(f"{name}: {RIGHT}." in output.get("text", "") for output in tests.outputs)
    return Row(name, WRONG, f"A hidden test: {why or 'it says no more'}" if is_hidden else why)


def _sized(row: Row, cell: nbformat.NotebookNode) -> Row:
    return replace(row, points=grading_of(cell).get("points", 0))


def _task_name(tests: nbformat.NotebookNode) -> str:
    title = re.search(r"\btask\(\s*[\"'](.+?)[\"']\s*\)", tests.source)
    return title[1] if title else grading_of(tests)["grade_id"]


def _error(cell: nbformat.NotebookNode) -> tuple[str, str] | None:
    return next(((one.ename, one.evalue) for one in cell.get("outputs", []) if one.output_type == "error"), None)
