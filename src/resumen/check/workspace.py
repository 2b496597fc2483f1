"""`resumen start`: a folder of the learner's own, made from the repository and brought up to date without touching an answer.

The workspace remembers what it was given, cell by cell. So a file that nobody changed is replaced, a lab with answers is put
together again from the new lab and the answers, and for anything else that was changed the new file is laid beside it.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from resumen import __version__
from resumen.address import read_address
from resumen.check.cells import Cell, plain, read_cells
from resumen.check.match import mend
from resumen.check.notebook import repair
from resumen.errors import CourseError
from resumen.files import (
    LAB,
    LECTURE,
    STARTER,
    WORKSPACE,
    find_workspace,
    read_text,
    table_rows,
    write_bytes,
    write_text,
)
from resumen.notebooks import grading_of, read_notebook
from resumen.setup import LESSONS, PRIMER

FORM = 1
"""The form of workspace.json. Raise it when what is written there is read otherwise."""

DEFAULT = "my-course"

FOLDERS = ("stages", "labs", "quizzes", "capstone", "solutions")
"""By these the repository is known."""

PARTS = (
    "stages/README.md",
    f"stages/{PRIMER}.ipynb",
    "stages/*/README.md",
    f"stages/*/{LECTURE}",
    f"labs/*/{LAB}",
    "quizzes/*.ipynb",
    "capstone/README.md",
    "capstone/*/*.md",
    "capstone/*/*.py",
    f"capstone/*/{STARTER}",
    "docs/glossary.md",
    "docs/workspace*.md",
)
"""What a learner gets, at the same places as in the repository."""

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")
"""A link of a page to another file."""


@dataclass(frozen=True)
class Change:
    """What became of a file of the workspace; `news` goes on where the file's name ends a sentence's subject."""

    name: str
    news: str

    def __str__(self) -> str:
        return f"{self.name} {self.news}."


NEW, UPDATED = "is new", "is brought up to date"

Print = str | dict[str, str]
"""By what a file is known again: a hash; of a notebook, the hash of each cell by its id."""


def start(folder: Path, root: Path | None = None) -> list[Change]:
    """Make a workspace, or bring one up to date, and return what changed in it.

    Stopped at any moment, it goes on where it was when it is started again: a file is the old one or the new one.

    Args:
        folder: the workspace.
        root: the repository; by default the one that this package runs from, or else the folder one is in.

    Raises:
        CourseError: if there is no repository, the folder is something else, or a file cannot be read or written.
    """
    root = find_course(root)
    _refuse(folder, root)
    course = {name: _delivered(root, name) for name in _names(root)}
    course = {name: data if data is not None else _page(root, name, course) for name, data in course.items()}
    try:
        known = read_manifest(folder)["files"] if (folder / WORKSPACE).exists() else {}
        (folder / WORKSPACE).parent.mkdir(parents=True, exist_ok=True)
        changes = [change for name in course if (change := _bring(folder, name, course[name], known.get(name)))]
        changes += [Change(name, "is no longer part of the course, and stays") for name in known if name not in course]
        manifest = {
            "form": FORM,
            "version": __version__,
            "minutes": minutes(root),
            "files": {name: fingerprint(name, data) for name, data in course.items()},
        }
        write_text(folder / WORKSPACE, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise CourseError(f"{error.filename or folder} cannot be used: {error.strerror}.") from None
    return changes


def find_course(root: Path | None = None) -> Path:
    """Return the repository: the one that is named, or that this package runs from, or that one is in.

    Raises:
        CourseError: if there is none.
    """
    for place in [root] if root else [Path(__file__).resolve().parents[3], Path.cwd()]:
        if all((place / folder).is_dir() for folder in FOLDERS):
            return place
    if root:
        raise CourseError(f"{root} is not the course's repository: it lacks one of {', '.join(FOLDERS)}.")
    raise CourseError(
        "The installed package has no lectures, briefs, rubrics or solutions: clone the course's repository, and name it with --root."
    )


def find_own(folder: Path | None = None) -> Path:
    """Return the workspace that is named, or that one is in, or that lies here under its usual name.

    Raises:
        CourseError: if there is none.
    """
    found = folder or find_workspace(Path.cwd()) or Path(DEFAULT)
    if (found / WORKSPACE).is_file():
        return found
    if folder:
        raise CourseError(f"{folder} is no workspace: make one there with `resumen start {folder}`, or name another.")
    raise CourseError(f"There is no workspace here: go into yours, name it, or make {DEFAULT} with `resumen start`.")


def read_manifest(folder: Path) -> dict:
    """Return what a workspace was given: `files` with the print of each, and the `minutes` of the lessons.

    Raises:
        CourseError: if its manifest is damaged, or of another form.
    """
    path = folder / WORKSPACE
    data = path.read_bytes()
    try:
        manifest = json.loads(data)
        form = manifest["form"]
        is_sound = isinstance(form, int) and (form != FORM or _is_sound(manifest))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        is_sound = False
    if not is_sound:
        raise CourseError(
            f"{path} is damaged: delete it and run `resumen start {folder}`, which keeps every file that you changed."
        )
    if form > FORM:
        raise CourseError(
            f"{folder} was made by a later version of the course ({manifest.get('version')}): bring the repository up to date."
        )
    if form < FORM:
        raise CourseError(
            f"{folder} was made by an earlier version of the course: delete {path} and run `resumen start {folder}`, which keeps every "
            "file that you changed."
        )
    return manifest


def _is_sound(manifest: dict) -> bool:
    """Say whether a manifest of today's form holds what it should."""

    def is_print(value) -> bool:
        return isinstance(value, str) or (
            isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
        )

    def is_lesson(value) -> bool:
        return isinstance(value, dict) and all(isinstance(number, int) for number in value.values())

    files, lessons = manifest["files"], manifest["minutes"]
    return all(map(is_print, files.values())) and set(lessons) == set(LESSONS) and all(map(is_lesson, lessons.values()))


def minutes(root: Path) -> dict[str, dict[str, int]]:
    """Return the minutes of the syllabus: `{"stage1_corpus": {"lecture": 70, "lab": 75, "quiz": 15}}`; none for what there is not.

    Raises:
        CourseError: if the syllabus lacks a lesson.
    """
    page, found = root / "stages" / "README.md", {}
    for row in table_rows(read_text(page)):
        link = re.search(r"\]\((\w+)(?:/README\.md|\.ipynb)\)", " ".join(row))
        if link and link[1] in LESSONS and len(row) >= 5:
            parts = zip(("lecture", "lab", "quiz"), row[2:5], strict=True)
            found[link[1]] = {part: int(number) for part, number in parts if number.isdecimal()}
    if lacking := [lesson for lesson in LESSONS if lesson not in found]:
        raise CourseError(f"{page} has no row with the minutes of {', '.join(lacking)}.")
    return found


# What a learner gets ------------------------------------------------------------------------------------------------------


def _names(root: Path) -> list[str]:
    """Return the files that a workspace has, from the beginning of the course to its end."""
    return [path.relative_to(root).as_posix() for part in PARTS for path in sorted(root.glob(part)) if path.is_file()]


def _delivered(root: Path, name: str) -> bytes | None:
    """Return a notebook without outputs, or another file as it is; None for a page, whose links have to be looked at."""
    path = root / name
    if path.suffix == ".md":
        return None
    if path.suffix != ".ipynb":
        return path.read_bytes()
    notebook = read_notebook(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return (nbformat.writes(notebook) + "\n").encode("utf-8")


def _page(root: Path, name: str, course: dict) -> bytes:
    """Return a page; a link to what the workspace has not leads to the published repository, or says where it is in there."""
    folders = {parent.as_posix() for other in course for parent in Path(other).parents}
    address = read_address(root)

    def link(match: re.Match) -> str:
        text, target = match[1], os.path.normpath(Path(name).parent / match[2]).replace(os.sep, "/")
        if target in course or target in folders:
            return match[0]
        if address.published:
            return f"[{text}]({address.url}/blob/{address.tag}/{target})"
        return (
            f"`{target}` in the repository" if text.strip("`") == match[2] else f"{text} (`{target}` in the repository)"
        )

    return LINK.sub(link, read_text(root / name)).encode("utf-8")


def _refuse(folder: Path, root: Path) -> None:
    """Raise CourseError if a folder cannot be a workspace: it is in use for something else."""
    if folder.exists() and not folder.is_dir():
        raise CourseError(f"{folder} is a file: name a folder that is new or empty.")
    if folder.resolve() == root.resolve() or all((folder / name).is_dir() for name in FOLDERS):
        raise CourseError(f"{folder} is the repository itself: name a new folder, such as {DEFAULT}.")
    inside = folder.resolve().parts[len(root.resolve().parts) :] if root.resolve() in folder.resolve().parents else ()
    if inside and inside[0] in (*FOLDERS, "docs", "src", "tests"):
        raise CourseError(
            f"{folder} lies among the repository's own files: go to its root, or name a folder elsewhere."
        )
    around = find_workspace(folder.resolve().parent)
    if around:
        raise CourseError(f"{folder} lies in the workspace {around}: go there, and run `resumen start` without a name.")
    try:
        # A workspace whose manifest was deleted, or whose making was stopped, still has the manifest's folder.
        is_free = not folder.exists() or (folder / WORKSPACE).parent.is_dir() or not any(folder.iterdir())
    except OSError as error:
        raise CourseError(f"{folder} cannot be used: {error.strerror}.") from None
    if not is_free:
        raise CourseError(f"{folder} holds other files and is no workspace: name a folder that is new or empty.")


# What became of it --------------------------------------------------------------------------------------------------------


def fingerprint(name: str, data: bytes) -> Print:
    """Return by what a file is known again: outputs, blank cells and line ends do not count.

    Raises:
        CourseError: if it should be a notebook and is none.
    """
    if not name.endswith(".ipynb"):
        return _hash("file", data.decode("utf-8", "replace").replace("\r\n", "\n"))
    hashes: dict[str, str] = {}
    for cell in read_cells(data, "it")[0]:
        if not cell.is_blank:
            known = next((one for one in sorted(cell.ids) if one not in hashes), None)
            hashes[known or f"cell {cell.number}"] = _hash_cell(cell)
    return hashes


def _hash_cell(cell: Cell) -> str:
    pictures = json.dumps(cell.attachments, sort_keys=True) if cell.attachments else ""
    return _hash(cell.kind, plain(cell.source) + pictures)


def _hash(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()[:16]


def _alike(one: Print | None, other: Print | None) -> bool:
    """Say whether two files hold the same; the names of cells, which programs change, do not count."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one.values()) == list(other.values())
    return one == other


def _bring(folder: Path, name: str, data: bytes, known: Print | None) -> Change | None:
    """Write what is new of one file, and say what became of it; None if nothing did."""
    path, new = folder / name, fingerprint(name, data)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
        return Change(name, NEW)
    if known == new:
        return None
    try:
        mine = fingerprint(name, path.read_bytes())
        if _alike(mine, new):
            return None
        if _alike(mine, known):
            write_bytes(path, data)
            return Change(name, UPDATED)
        if path.name in (LAB, STARTER):
            return _merge(path, name, data, known)
        why = "you changed it"
    except CourseError as error:
        why = str(error).rstrip(".")
    return _lay_beside(path, name, data, known, why)


def _merge(path: Path, name: str, data: bytes, known: Print | None) -> Change | None:
    """Put the answers of a lab into the new one.

    Raises:
        CourseError: if the file is no notebook, or none of this lab.
    """
    released = nbformat.reads(data.decode("utf-8"), as_version=4)
    cells, _ = read_cells(path.read_bytes(), "it")
    mended, _ = mend(released, _renewed(cells, known if isinstance(known, dict) else {}, released))
    if _alike(fingerprint(name, nbformat.writes(mended).encode("utf-8")), fingerprint(name, path.read_bytes())):
        return None
    backup = repair(path, mended)
    return Change(name, f"{UPDATED}, with your answers; as it was: {backup.name}")


def _renewed(cells: list[Cell], known: dict[str, str], released: nbformat.NotebookNode) -> list[Cell]:
    """Return a learner's cells, with the new text in those that are as they were given.

    What the course has taken out goes. A change of a text that the course changed too becomes a cell of the learner's own.
    """
    new = {cell.id: cell for cell in released.cells}
    given = _as_given(cells, known)
    renewed = []
    for index, cell in enumerate(cells):
        if index in given:
            if original := new.get(given[index]):
                grading = dict(grading_of(original)) or None
                known_again = {"ids": frozenset({original.id}), "grading": grading, "attachments": {}}
                renewed.append(cell.piece(original.source, kind=original.cell_type, **known_again))
            continue
        original = next((new[name] for name in cell.ids if name in known and name in new), None)
        if original is not None and not grading_of(original):
            is_changed_twice = known[original.id] != _hash(original.cell_type, plain(original.source))
            cell = cell.piece(cell.source, ids=frozenset()) if is_changed_twice else cell
        renewed.append(cell)
    return renewed


def _as_given(cells: list[Cell], known: dict[str, str]) -> dict[int, str]:
    """Return which of a learner's cells are as they were given: for the number of each, its name in the manifest."""
    hashes, given = [_hash_cell(cell) for cell in cells], {}
    for index, cell in enumerate(cells):
        names = {*cell.ids, cell.grade_id} & known.keys() - set(given.values())
        if name := next((name for name in names if known[name] == hashes[index]), None):
            given[index] = name
    left = {name: known[name] for name in known if name not in given.values()}
    for index, own in enumerate(hashes):  # where a program took the names away, the text tells
        name = next((name for name in left if left[name] == own), None)
        if index not in given and name is not None:
            given[index] = name
            del left[name]
    return given


def _lay_beside(path: Path, name: str, data: bytes, known: Print | None, why: str) -> Change:
    """Write the new file beside one that stays; an earlier one there is replaced unless it was changed."""
    number, beside, new = 1, path.with_name(f"{path.stem}.new{path.suffix}"), fingerprint(name, data)
    while beside.exists() and not _is_one_of(beside, new, known):
        number += 1
        beside = path.with_name(f"{path.stem}.new-{number}{path.suffix}")
    write_bytes(beside, data)
    return Change(name, f"stays as it is ({why}); the new one is {beside.name}")


def _is_one_of(path: Path, *prints: Print | None) -> bool:
    try:
        own = fingerprint(path.name, path.read_bytes())
    except CourseError:
        return False
    return any(_alike(own, one) for one in prints)
