"""Read the cells of a student's notebook, whatever an editor, a download or a merge has made of the file.

Nothing is trusted but the text of the cells and the names that they carry. What cannot be read costs one sentence.
"""

import json
import re
import unicodedata
from dataclasses import dataclass, field, replace

from resumen.errors import CourseError

MOST_BYTES = 100 * 2**20
"""Size of the largest file that is read. Outputs may make a notebook that large; they are dropped."""

MOST_TEXT = 5 * 2**20
"""Characters that the cells may hold together: a hundred times what a lab holds."""

KINDS_OF_FILE = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a compressed archive",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\xd0\xcf\x11\xe0": "an Office document",
    b"<": "a web page: the page that shows the notebook was saved, not the notebook",
}
"""How files begin that are handed in under the name of a notebook."""


@dataclass(frozen=True)
class Fault:
    """Something that happened to a notebook. Its text, `str(fault)`, tells the student what to do.

    Attributes:
        what: what is wrong, and where.
        remedy: what the student can do.
        done: what was done about it when the notebook was mended or graded.
    """

    what: str
    remedy: str
    done: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}."

    def told(self) -> str:
        """Return the sentence for somebody who cannot change the notebook any more: what was done."""
        return f"{self.what}: {self.done}."


REPAIR = "run this with --repair"


@dataclass(frozen=True)
class Cell:
    """A cell of the student's notebook.

    Attributes:
        number: its place on the screen, from 1.
        kind: code, markdown, raw, or what another program calls it.
        source: its text, with line feeds only and without halves of characters.
        ids: the names that it carries.
        grading: nbgrader's metadata: None if it has none, {} if they are no mapping.
        attachments: its pictures, as nbformat keeps them.
        outputs: what it showed.
        count: when it was run, as the kernel counts.
    """

    number: int
    kind: str
    source: str
    ids: frozenset[str] = frozenset()
    grading: dict | None = field(default=None, hash=False)
    attachments: dict = field(default_factory=dict, hash=False)
    outputs: list[dict] = field(default_factory=list, hash=False)
    count: int | None = None

    @property
    def is_blank(self) -> bool:
        return not self.source.strip()

    @property
    def grade_id(self) -> str | None:
        name = (self.grading or {}).get("grade_id")
        return name if isinstance(name, str) else None

    def piece(self, source: str, **changes) -> "Cell":
        """Return a part of this cell, or the whole with another text."""
        return replace(self, source=source, **changes)


def plain(text: str) -> str:
    """Return a text as it is compared: without blanks at the ends of lines, letters and accents together."""
    return "\n".join(line.rstrip() for line in unicodedata.normalize("NFC", text).strip().split("\n"))


def read_cells(data: bytes, name: str = "The file") -> tuple[list[Cell], list[Fault]]:
    """Return the cells of a notebook of any version, valid or not, and what is wrong with the file itself.

    Args:
        data: the file.
        name: what the sentences call it.

    Raises:
        CourseError: if it is not a notebook, or too large; the sentence says why, and what to do.
    """
    if len(data) > MOST_BYTES:
        raise CourseError(f"{name} is larger than {MOST_BYTES >> 20} MB: clear all outputs, save it, and try again.")
    notebook, faults = _read_json(data, name)
    cells = notebook.get("cells")
    if isinstance(notebook.get("worksheets"), list):  # the formats of before 2015
        sheets = [sheet for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in _list(sheet.get("cells"))]
        faults.append(Fault(f"{name} is in a format of before 2015", REPAIR, "it was brought into today's"))
    if not isinstance(cells, list) or not any(isinstance(cell, dict) for cell in cells):
        raise CourseError(f"{name} is JSON, but not a notebook: it has no cells, so take the right file.")
    read = []
    for number, cell in enumerate(cells, start=1):
        if isinstance(cell, dict):
            read.append(_read_cell(number, cell))
        else:
            faults.append(Fault(f"Cell {number} is no cell but {type(cell).__name__}", REPAIR, "it was passed by"))
    halved = [cell.number for cell in read if cell.source != _whole(cell.source)]
    if halved:
        numbers = " and ".join(map(str, halved))
        what = f"Cell {numbers} holds half a character, such as half an emoji, which no file can keep"
        faults.append(Fault(what, f"delete it, or {REPAIR}", "� stands in its place"))
        read = [cell.piece(_whole(cell.source)) for cell in read]
    size = sum(len(cell.source) for cell in read)
    if size > MOST_TEXT:
        raise CourseError(
            f"{name} has {size >> 20} MB of text in its cells: put data into files, keep the code, and try again."
        )
    if not faults and (why := _invalid(notebook)):
        faults.append(Fault(f"{name} is not as notebooks are: {why}", REPAIR, "it was put right"))
    return read, faults


def _read_json(data: bytes, name: str) -> tuple[dict, list[Fault]]:
    """Return what a file in JSON holds, and what is wrong with its letters."""
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not data.strip(b"\xef\xbb\xbf \t\r\n\0"):
        raise CourseError(
            f"{name} is empty: take an earlier copy, or the released notebook, and write your answers in."
        )
    for beginning, kind in KINDS_OF_FILE.items():
        if start.startswith(beginning):
            raise CourseError(f"{name} is not a notebook but {kind}: take the .ipynb file itself.")
    faults = []
    encoding = json.detect_encoding(data)
    try:
        text = data.decode(encoding, "surrogatepass")
        if encoding != "utf-8":
            what = f"{name} begins with the mark of {encoding.upper().replace('-SIG', '')}, which notebooks lack"
            faults.append(Fault(what, REPAIR, "it was read all the same"))
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        letters = sum(character > "\x7f" and character != "�" for character in text)
        if text.count("�") > letters:  # not some spoilt letters, but another encoding
            text = data.decode("cp1252", "replace")
        faults.append(Fault(f"{name} is not in UTF-8", REPAIR, "some letters are guesses, so look at your accents"))
    if text.endswith("\0"):  # after a power cut
        faults.append(Fault(f"{name} ends in zeros", REPAIR, "they were cut off"))
    text = text.strip("\ufeff\0 \t\r\n")
    try:
        notebook = _loads(text, faults, name)
    except json.JSONDecodeError as error:
        if any(unicodedata.category(letter) in ("Cc", "Cn", "Co", "Cs") for letter in re.sub(r"\s", "", text[:1024])):
            raise CourseError(f"{name} is not a notebook but a binary file: take the .ipynb file itself.") from None
        cause = "the marks of a merge" if re.search(r"^(<{7}|>{7}) ", text, re.M) else "an unfinished download?"
        raise CourseError(
            f"{name} is not a notebook: it stops being JSON in line {error.lineno} ({cause}), so take an earlier copy, "
            "or the released notebook, and copy your answers into it."
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
        raise CourseError(f"{name} is JSON, but not a notebook: it nests or counts too far to be read.") from None
    if not isinstance(notebook, dict):
        raise CourseError(f"{name} is JSON, but not a notebook: it has no cells, so take the right file.")
    return notebook, faults


def _loads(text: str, faults: list[Fault], name: str):
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        try:
            loose = json.loads(text, strict=False)
        except json.JSONDecodeError:
            raise error from None
        faults.append(Fault(f"{name} has line breaks or tabs where JSON has none", REPAIR, "they were kept"))
        return loose


def _read_cell(number: int, cell: dict) -> Cell:
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    grading = metadata.get("nbgrader")
    kind = cell.get("cell_type")
    source = cell.get("source", cell.get("input", ""))  # before 2015 a code cell had an input
    text = "".join(map(str, source)) if isinstance(source, list) else "" if source is None else str(source)
    if kind == "heading":  # before 2015
        kind, text = "markdown", f"{'#' * (cell['level'] if cell.get('level') in range(1, 7) else 1)} {text}"
    # Colab keeps the cell's id in its metadata.
    ids = [cell.get("id"), metadata.get("id")]
    return Cell(
        number,
        kind if isinstance(kind, str) and re.fullmatch(r"[\w-]{1,20}", kind) else "raw",
        text.replace("\r\n", "\n").replace("\r", "\n"),
        frozenset(name for name in ids if isinstance(name, str)),
        None if "nbgrader" not in metadata else grading if isinstance(grading, dict) else {},
        _attachments(cell.get("attachments")),
        [output for output in _list(cell.get("outputs")) if isinstance(output, dict)],
        cell["execution_count"] if isinstance(cell.get("execution_count"), int) else None,
    )


def _list(value) -> list:
    return value if isinstance(value, list) else []


def _attachments(value) -> dict:
    """Return the pictures of a cell that are as nbformat wants them."""
    if not isinstance(value, dict):
        return {}
    pictures = {}
    for name, bundle in value.items():
        if isinstance(bundle, dict):
            parts = {
                _whole(mime): _whole("".join(map(str, data)) if isinstance(data, list) else data)
                for mime, data in bundle.items()
                if isinstance(data, (str, list))
            }
            pictures[_whole(name)] = parts
    return pictures


def _whole(text: str) -> str:
    """Return a text with the halves of characters put together, and � for a half whose other half is gone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _invalid(notebook: dict) -> str:
    """Return why nbgrader cannot read a notebook, "" if it can. Outputs and ids do not count: grading drops and mends them."""
    from nbformat.validator import iter_validate

    cells = []
    for number, cell in enumerate(notebook["cells"], start=1):
        lacking = [
            name for name, kind in (("metadata", dict), ("source", (str, list))) if not isinstance(cell.get(name), kind)
        ]
        if cell.get("cell_type") == "code" and not isinstance(cell.get("outputs"), list):
            lacking.append("outputs")
        if cell.get("cell_type") not in ("code", "markdown", "raw"):
            lacking.append("known type")
        if lacking:
            return f"cell {number} has no {' and no '.join(lacking)}"
        outputs = {"outputs": []} if "outputs" in cell else {}
        cells.append({**cell, **outputs, "id": f"cell-{number}"})
    try:
        is_valid = not any(iter_validate({**notebook, "cells": cells}, relax_add_props=True))
    except Exception:  # nbformat lets KeyError and others through when the version itself is damaged
        is_valid = False
    return "" if is_valid else "its version or its metadata are damaged"
