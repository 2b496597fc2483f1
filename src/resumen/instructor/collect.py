"""From what an LMS gives to submissions: whose file is whose, which of two counts, and one sentence for each that is left out.

nbgrader's own plugins take one regular expression, stop the whole class at the first student with two files of one name, and
at the first archive that cannot be unpacked. `find_submissions` is for `resumen grade`; `LmsExtractor` and `LmsCollector` do the same
for `nbgrader zip_collect`.
"""

import gzip
import json
import os
import re
import shutil
import stat
import tarfile
import tempfile
import time
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from nbgrader.plugins import ExtractorPlugin, FileNameCollectorPlugin

from resumen.check.cells import MOST_BYTES
from resumen.errors import CourseError
from resumen.files import PROJECT, STARTER, read_csv
from resumen.instructor.release import NOTEBOOKS
from resumen.setup import PROJECTS, STAGES

MOODLE = re.compile(r"(?P<name>.*)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)(?:_(?P<file>.*))?")
"""`José Núñez_1234567_assignsubmission_file_/lab.ipynb`, or the same in one name. The number is new in each assignment."""

CANVAS = re.compile(r"_(?:LATE_)?(?P<user>\d+)_(?P<upload>\d+)_(?=.)")
"""`nunezjose_LATE_12345_678910_lab-1.ipynb`: the user's number stays the same, that of the upload grows.

A group's name comes in the place of a student's, and it may hold blanks as `_` and numbers of its own.
"""

CANVAS_ANONYMOUS = re.compile(r"(?:LATE_)?anon_(?:LATE_)?(?P<user>[A-Za-z0-9]+)_(?P<upload>\d+)_(?P<file>.+)")

NAMES = tuple(name.removesuffix(".ipynb") for name in NOTEBOOKS)
"""lab, quiz, project."""

WORD = re.compile(rf"(?<![^\W\d_])({'|'.join((*NAMES, STARTER.removesuffix('.ipynb')))})(?![^\W\d_])", re.IGNORECASE)
"""A notebook's name in a file's: browsers and LMSs make `lab-1.ipynb`, `Lab (2).ipynb` or `ana_lab.ipynb` of it."""

ENDINGS = (".ipynb", ".ipynb.txt", ".ipynb.json")
"""How a notebook's file ends; browsers append what they think it is."""

PASSED_BY = re.compile(
    r"\.ipynb_checkpoints|__MACOSX|\._.*|\.DS_Store|Thumbs\.db|desktop\.ini|~\$.*|timestamp\.txt|.*\.backup(-\d+)?\.ipynb|.*-checkpoint\.ipynb"
)
"""Files and folders that are nobody's work: what editors, file managers and `resumen check --repair` leave behind."""

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".gz", ".tar.bz2", ".tar.xz")

MOST_FILES = 50_000
"""Files that an archive may hold."""

MOST_UNPACKED = 4 * 2**30
"""Bytes that they may have together."""

MOST_DEEP = 4
"""Archives in archives."""

SAME_TIME = 60.0
"""Seconds between two files of which nothing says which is the later one: unpacking gives them times of its own."""


@dataclass(frozen=True)
class Submission:
    """A notebook that a student handed in: `path` holds it until this process ends."""

    student: str
    assignment: str
    notebook: str
    path: Path


@dataclass(frozen=True)
class File:
    """A file of a download: `parts` are the names of the folders and archives that it lies in, and its own."""

    parts: tuple[str, ...]
    path: Path

    @property
    def shown(self) -> str:
        return "/".join(self.parts)

    @property
    def is_notebook(self) -> bool:
        return self.parts[-1].lower().endswith(ENDINGS)


@dataclass(frozen=True)
class Handed:
    """A notebook, and what its names and its text say of it.

    Attributes:
        file: where it is.
        student: nbgrader's id of the student.
        number: of the student in this assignment (Moodle) or in the course (Canvas); "" if the LMS gives none.
        notebook: lab, quiz or project.
        assignment: a stage or a project; "" if nothing tells.
        upload: it grows from one upload to the next; None if the name does not tell.
        guess: a sentence about what was guessed.
    """

    file: File
    student: str
    number: str
    notebook: str
    assignment: str = ""
    upload: int | None = None
    guess: str = ""


def find_submissions(
    path: Path, roster: Path | None = None, stages: Sequence[str] = ()
) -> tuple[list[Submission], list[str]]:
    """Find what was handed in: nbgrader's folders, a flat folder, or an LMS's zip or zips, unpacked or not.

    Args:
        path: a folder or an archive.
        roster: a CSV whose column `student` holds nbgrader's ids, and whose other columns hold names that may stand for them in
            the download: a full name, a number, a login.
        stages: the stages and projects that are graded; by default all.

    Returns:
        One submission for each student, assignment and notebook, and a sentence for each file that is none.

    Raises:
        CourseError: if there is no such folder or archive, or the roster cannot be read.
    """
    if not path.exists():
        raise CourseError(f"{path} not found: name the folder or the zip with what was handed in.")
    known = _Roster(roster)
    sentences: list[str] = []
    files = list(walk(path, sentences.append))
    handed, more = choose(files, known, stages)
    submissions = [Submission(one.student, one.assignment, one.notebook, one.file.path) for one in handed]
    return submissions, [*sentences, *more]


# Folders and archives -----------------------------------------------------------------------------------------------------


_unpacked: list[tempfile.TemporaryDirectory] = []
"""Folders that archives were unpacked into: they go when this process ends."""


class _TooMuch(Exception):
    """An archive holds more than anybody hands in."""


def walk(path: Path, say: Callable[[str], None]) -> Iterator[File]:
    """Yield the files below a folder or in an archive, those in archives in it as well.

    Nothing is written but into a temporary folder, under names that are safe there. Links are not followed.

    Args:
        path: a folder or an archive.
        say: called with a sentence for each archive, or file in one, that cannot be unpacked.
    """
    if path.is_dir():
        yield from _walk_folder(path, (), say, 0)
    elif path.name.lower().endswith(ARCHIVES):
        yield from _walk_archive(path, (), path.name, say, 0)
    else:
        yield File((path.name,), path)


def _walk_folder(folder: Path, parts: tuple[str, ...], say: Callable[[str], None], depth: int) -> Iterator[File]:
    for path in sorted(folder.iterdir()):
        inside = (*parts, unicodedata.normalize("NFC", path.name))
        if path.is_symlink():
            say(f"{'/'.join(inside)} was left out: it is a link.")
        elif path.is_dir():
            yield from _walk_folder(path, inside, say, depth)
        elif path.name.lower().endswith(ARCHIVES) and not _is_passed_by(inside):
            stem = path.name[: -len(next(end for end in ARCHIVES if path.name.lower().endswith(end)))]
            yield from _walk_archive(path, (*parts, stem), "/".join(inside), say, depth)
        elif path.is_file():
            yield File(inside, path)


def _walk_archive(
    archive: Path, parts: tuple[str, ...], shown: str, say: Callable[[str], None], depth: int
) -> Iterator[File]:
    if depth == MOST_DEEP:
        say(f"{shown} was left out: it is an archive in an archive in an archive, and so on.")
        return
    _unpacked.append(tempfile.TemporaryDirectory(prefix="resumen-", ignore_cleanup_errors=True))
    folder, files, size = Path(_unpacked[-1].name), 0, 0
    try:
        for name, written, content in _members(archive):
            files += 1
            size += _unpack_one(name, written, content, folder, shown, say)
            if files > MOST_FILES or size > MOST_UNPACKED:
                raise _TooMuch
    except _TooMuch:
        _unpacked.pop().cleanup()
        say(f"{shown} was left out: it holds more than {MOST_FILES:,} files or {MOST_UNPACKED >> 30} GB.")
        return
    except Exception as error:  # zipfile, tarfile and zlib have errors of their own
        is_locked = "encrypted" in str(error) or "password" in str(error)
        cause, advice = ("it needs a password", "without one") if is_locked else ("it is damaged", "again")
        say(f"{shown} cannot be unpacked: {cause}, so ask for it {advice}.")
    yield from _walk_folder(folder, parts, say, depth + 1)


def _members(archive: Path) -> Iterator[tuple[str, float, BinaryIO]]:
    """Yield name, time and content of the files in an archive."""
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                if not member.is_dir() and not stat.S_ISLNK(member.external_attr >> 16):
                    with file.open(member) as content:
                        yield _zip_name(member), time.mktime((*member.date_time, 0, 0, -1)), content
        return
    if not tarfile.is_tarfile(archive):  # one file, compressed
        with gzip.open(archive) as content:
            yield archive.stem, archive.stat().st_mtime, content
        return
    with tarfile.open(archive) as file:
        for member in file:
            if member.isfile():
                yield member.name, member.mtime, file.extractfile(member)


def _zip_name(member: zipfile.ZipInfo) -> str:
    """Return a member's name. macOS writes UTF-8 and does not say so, and zipfile then takes it for the letters of DOS."""
    if not member.flag_bits & 0x800:
        try:
            return member.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return member.filename


def _unpack_one(
    name: str, written: float, content: BinaryIO, folder: Path, shown: str, say: Callable[[str], None]
) -> int:
    """Write a member of an archive below a folder, wherever its name points to, and return its size in bytes."""
    parts = [_safe(part) for part in re.split(r"[/\\]+", name) if part not in ("", ".")]
    if not parts or ".." in parts or re.match(r"[/\\]|[A-Za-z]:", name):
        say(f"{name!r} in {shown} was left out: its name leads out of the archive.")
        return 0
    size = 0
    try:
        place = _free(folder.joinpath(*parts))
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            while size <= MOST_BYTES and (chunk := content.read(2**20)):
                size += len(chunk)
                file.write(chunk)
        os.utime(place, (written, written))
        if size > MOST_BYTES:
            place.unlink()
            say(f"{name!r} in {shown} was left out: it is larger than {MOST_BYTES >> 20} MB.")
    except OSError as error:
        say(f"{name!r} in {shown} was left out: {error.strerror or error}.")
    return size


def _free(place: Path) -> Path:
    """Return the place of a file, or one beside it if an archive has two of one name."""
    number = 1
    free = place
    while free.exists():
        number += 1
        free = place.with_name(f"{place.stem} ({number}){place.suffix}")
    return free


def _safe(part: str) -> str:
    """Return a name that every file system takes, with its ending."""
    part = "".join("_" if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in part)
    part = unicodedata.normalize("NFC", part)
    while len(part.encode()) > 200:
        middle = len(part) // 2
        part = part[:middle] + part[middle + 1 :]
    return part


def _is_passed_by(parts: Sequence[str]) -> bool:
    """Say whether a file is nobody's work. A student's folder may be called anything, and an LMS's name is a student's."""
    return any(PASSED_BY.fullmatch(part) and not MOODLE.fullmatch(part) for part in parts)


# Whose is it, and what ----------------------------------------------------------------------------------------------------


def choose(
    files: Sequence[File], roster: "_Roster | None" = None, stages: Sequence[str] = (), assignment: str = ""
) -> tuple[list[Handed], list[str]]:
    """Return one file for each student, assignment and notebook, and a sentence for each that is left out.

    Args:
        files: those of a download.
        roster: who is who.
        stages: what is graded; by default everything.
        assignment: what all the files belong to, if that is known.
    """
    roster = roster or _Roster(None)
    sentences: list[str] = []
    found: list[Handed] = []
    others: dict[str, list[File]] = defaultdict(list)
    passed_by: list[tuple[str, File]] = []
    folders = _Folders([file for file in files if file.is_notebook and not _is_passed_by(file.parts)])
    for file in files:
        handed = recognise(file, folders, assignment)
        student = handed.student if isinstance(handed, Handed) else ""
        if _is_passed_by(file.parts):
            passed_by.append((student, file))
        elif isinstance(handed, str):
            sentences.append(f"{file.shown} was left out: {handed}")
        elif not file.is_notebook:
            others[student].append(file)
        else:
            found.append(handed)
    sentences += [one.guess for one in found if one.guess]
    found = [replace(one, student=roster.student(one)) for one in found]
    found = _with_assignments(found, stages, assignment, sentences)
    kept = _one_each(found, sentences)
    handed_in = {one.student for one in found}
    for student, some in others.items():
        names = ", ".join(file.parts[-1] for file in some[:3]) + (f" and {len(some) - 3} more" if len(some) > 3 else "")
        if student in handed_in or roster.renamed.get(student) in handed_in:
            sentences.append(f"{student} handed in {names} as well: only notebooks are graded.")
        else:
            sentences.append(
                f"{some[0].shown} was left out: it is no notebook; {student} has to hand in an .ipynb file."
            )
    for student, file in passed_by:
        if student and file.is_notebook and student not in handed_in and roster.renamed.get(student) not in handed_in:
            sentences.append(
                f"{file.shown} was left out: it is an autosave or a backup, and {student} handed in no other."
            )
    sentences += roster.said()
    return sorted(kept, key=lambda one: one.file.parts), sentences


def recognise(file: File, folders: "_Folders", assignment: str = "") -> Handed | str:
    """Return the student and the notebook that a file belongs to, or why it belongs to none. What is no notebook has no `notebook`."""
    parts = file.parts
    whose = _whose(parts, folders)
    if whose is None:
        return "its name is neither Moodle's nor Canvas's, so nobody knows whose it is."
    student, number, name, upload, stage = whose
    if not file.is_notebook:
        return Handed(file, student, number, "", stage, upload)
    told_stage, told_notebook = _told(file.path)
    named = WORD.search(name)
    named = named[1].lower() if named else ""
    notebook = PROJECT.removesuffix(".ipynb") if named and named not in NAMES else named
    if stage:  # in nbgrader's folders, the names decide
        if notebook + ".ipynb" != name:
            return f"{student} has to call it {', '.join(NOTEBOOKS[:-1])} or {NOTEBOOKS[-1]}."
        return Handed(file, student, number, notebook, stage, upload)
    if not (told_notebook or notebook):
        return f"{student} has to call it {', '.join(NOTEBOOKS[:-1])} or {NOTEBOOKS[-1]}."
    is_misnamed = bool(notebook and told_notebook and notebook != told_notebook)
    guess = (
        f"{file.shown} is called {notebook} and was taken for the {told_notebook} that it is." if is_misnamed else ""
    )
    return Handed(file, student, number, told_notebook or notebook, assignment or told_stage, upload, guess)


def _whose(parts: tuple[str, ...], folders: "_Folders") -> tuple[str, str, str, int | None, str] | None:
    """Return student, number, name of the file, upload and, in nbgrader's folders, assignment."""
    # What students put inside their folder or archive may be called anything: the first name that fits is the LMS's.
    for place, part in enumerate(parts):
        is_file = place == len(parts) - 1
        if moodle := MOODLE.fullmatch(part):
            name = (moodle["file"] or "") if is_file else parts[-1]
            return _moodle_student(moodle["name"], moodle["number"]), moodle["number"], name, None, ""
        if anonymous := CANVAS_ANONYMOUS.fullmatch(part):
            name = anonymous["file"] if is_file else parts[-1]
            return f"anon_{anonymous['user']}", anonymous["user"], name, int(anonymous["upload"]), ""
        canvas = _canvas(part)
        if canvas and student_id(part[: canvas.start()]):
            name = part[canvas.end() :] if is_file else parts[-1]
            student = f"{student_id(part[: canvas.start()])}_{canvas['user']}"
            return student, canvas["user"], name, int(canvas["upload"]), ""
    if len(parts) >= 3 and parts[-2] in (*STAGES, *PROJECTS):
        return parts[-3], "", parts[-1], None, parts[-2]
    student, name = folders.student(parts), parts[-1]
    return (student, "", name, None, "") if student else None


def _moodle_student(name: str, number: str) -> str:
    """Return a student's id. Where marking is anonymous, Moodle calls everybody the same, and only the number tells."""
    student = student_id(name)
    return f"Participant {number}" if student.casefold() in ("", "participant", "participante") else student


def _canvas(part: str) -> re.Match | None:
    """Return where Canvas's numbers are in a name. A group's name may have numbers as well: a file's name rarely begins with one."""
    matches = [match for at in range(len(part)) if (match := CANVAS.match(part, at))]
    named = [match for match in matches if WORD.match(part, match.end())]
    return next(iter(named or matches), None)


class _Folders:
    """Whose files are whose in a folder that no LMS has named: a folder for each student, or a file called after each."""

    def __init__(self, files: Sequence[File]):
        self.depth = 0
        folders = [_without_stages(file.parts)[:-1] for file in files]
        while (
            folders
            and len({parts[: self.depth + 1] for parts in folders}) == 1
            and len({parts[: self.depth + 2] for parts in folders}) > 1
        ):
            self.depth += 1  # all of it lies in one folder

    def student(self, parts: tuple[str, ...]) -> str:
        """Return a student's id, "" if nothing tells."""
        parts = _without_stages(parts)[self.depth :]
        if len(parts) > 1:
            return student_id(parts[0])
        stem = re.sub(r"( *\(\d+\)| - [Cc]op(y|ia))*$", "", re.sub(r"\.ipynb(\.\w+)?$", "", parts[-1], flags=re.I))
        before, word, after = _around(stem)
        return student_id(re.sub(r"^[\s_.-]+|[\s_.-]+$", "", before or after)) if word else ""


def _around(stem: str) -> tuple[str, str, str]:
    match = WORD.search(stem)
    return (stem[: match.start()], match[0], stem[match.end() :]) if match else (stem, "", "")


def _without_stages(parts: tuple[str, ...]) -> tuple[str, ...]:
    return (*(part for part in parts[:-1] if part not in (*STAGES, *PROJECTS)), parts[-1])


def student_id(name: str) -> str:
    """Return a name as nbgrader's id, in any script: no comma, which would break its CSV, nothing that a glob would read, no path."""
    joiners = "\u200c\u200d"  # Persian and Indian scripts are written with them
    letters = [
        letter if unicodedata.category(letter)[0] in "LMN" or letter in f" _.'’-@+{joiners}" else " "
        for letter in unicodedata.normalize("NFC", name)
    ]
    return " ".join("".join(letters).split()).strip(f" .{joiners}")[:80].rstrip(" .")


_SETUP = re.compile(rb"\bsetup\(\s*\\?[\"'](\w+)")
_BADGE = re.compile(rb"/(?:labs|capstone)/(\w+)/(\w+)\.ipynb")


def _told(path: Path) -> tuple[str, str]:
    """Return the assignment and the notebook that a file says that it is: from its setup cell, or from its link to Colab."""
    if path.stat().st_size > MOST_BYTES:
        return "", ""
    data = path.read_bytes()
    if (encoding := json.detect_encoding(data)).startswith("utf-16"):
        data = data.decode(encoding, "replace").encode("utf-8", "replace")
    slugs = (*STAGES, *PROJECTS)
    for match in _SETUP.finditer(data):
        if (slug := match[1].decode(errors="replace")) in slugs:
            return slug, "project" if slug in PROJECTS else "lab"
    for match in _BADGE.finditer(data):
        slug, name = (part.decode(errors="replace") for part in match.groups())
        if slug in slugs:
            return slug, "project" if slug in PROJECTS else name if name in NAMES else ""
    return "", ""


def _with_assignments(
    found: list[Handed], stages: Sequence[str], assignment: str, sentences: list[str]
) -> list[Handed]:
    """Return the files with their assignments. A download belongs to one as a rule: that helps with a file that does not tell."""
    if assignment:
        return [replace(one, assignment=assignment) for one in found]
    told = Counter(one.assignment for one in found if one.assignment)
    usual = stages[0] if len(stages) == 1 else told.most_common(1)[0][0] if len(told) == 1 else ""
    kept = []
    for one in found:
        stage = one.assignment or usual
        if not stage:
            sentences.append(
                f"{one.file.shown} was left out: nothing in it says which stage it belongs to, so name the stage that you grade."
            )
        elif stages and stage not in stages:
            if one.number or one.file.parts[-2:-1] != (stage,):  # nbgrader's folders hold all stages, and may
                sentences.append(f"{one.file.shown} was left out: it is of {stage}, which is not graded now.")
        else:
            kept.append(replace(one, assignment=stage))
    return kept


def _one_each(found: list[Handed], sentences: list[str]) -> list[Handed]:
    """Return the file that counts for each student, assignment and notebook."""
    same: dict[tuple[str, str, str], list[Handed]] = defaultdict(list)
    for one in found:
        same[one.student, one.assignment, one.notebook].append(one)
    doubtful = _namesakes(found)
    kept = []
    for (student, _, notebook), some in same.items():
        shown = " and ".join(one.file.shown for one in some)
        last = max(some, key=lambda one: (one.upload or 0, one.file.path.stat().st_mtime))
        left = " and ".join(one.file.shown for one in some if one is not last)
        numbers = {one.number for one in some}
        if len(numbers) > 1 or student in doubtful:
            sentences.append(
                f"{shown} left out: several participants are called {student}; rename their folders in the download, such "
                f"as {student} 2, and collect again."
            )
        elif len(some) == 1 or len({one.file.path.read_bytes() for one in some}) == 1:
            kept.append(some[0])
        elif all(one.upload is not None for one in some) and len({one.upload for one in some}) == len(some):
            kept.append(last)
            sentences.append(f"{left} was left out: {last.file.shown} of the same student was uploaded later.")
        elif _is_latest(last, some):
            kept.append(last)
            sentences.append(f"{left} was left out: {last.file.shown} of the same student is newer.")
        else:
            sentences.append(
                f"{shown} were left out: {student} handed in {len(some)} different files for {notebook}.ipynb, and nothing "
                "says which counts; delete the others from the download and collect again."
            )
    return kept


def _is_latest(last: Handed, some: list[Handed]) -> bool:
    times = sorted(one.file.path.stat().st_mtime for one in some)
    return times[-1] == last.file.path.stat().st_mtime and times[-1] - times[-2] > SAME_TIME


def _namesakes(found: list[Handed]) -> set[str]:
    """Return the students of whom there are two, though their files have different names.

    In Moodle each assignment gives a student another number. So two numbers in one download are two people, unless lab and quiz are
    two assignments whose files were put together: then no number has both.
    """
    notebooks: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
    numbers: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
    for one in found:
        if one.upload is None and one.number:
            place = next(place for place, part in enumerate(one.file.parts) if MOODLE.fullmatch(part))
            folder = one.file.parts[:place]
            notebooks[folder, one.number].add(one.notebook)
            numbers[folder, one.student].add(one.number)
    mixed = {folder for (folder, _), some in notebooks.items() if len(some) > 1}
    return {student for (folder, student), some in numbers.items() if folder in mixed and len(some) > 1}


@dataclass
class _Roster:
    """Who is who, from a CSV.

    Attributes:
        path: the file; None if there is none.
        ids: nbgrader's ids by name; None if two students have that name.
        renamed: ids as the download has them, to those of the roster.
        unknown: who is in the download only.
    """

    path: Path | None
    ids: dict[str, str | None] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def __post_init__(self):
        if self.path is None:
            return
        table = read_csv(self.path, ["student"], more=True)
        for row in table.to_dict("records"):
            student = row["student"].strip()
            if not student:
                continue
            if student != student_id(student):
                raise CourseError(
                    f"{self.path}: {student!r} cannot be a student's id: use letters, digits, blanks and _.'-@+ only."
                )
            for name in filter(None, map(_key, row.values())):
                self.ids[name] = student if self.ids.get(name, student) == student else None

    def student(self, one: Handed) -> str:
        """Return nbgrader's id of whoever handed this in."""
        if self.path is None:
            return one.student
        # Canvas's name and number may stand in the roster together, or either alone.
        name = one.student.removesuffix(f"_{one.number}")
        is_canvas = one.upload is not None
        keys = [one.student, *([one.number, name] if is_canvas else [])]
        known = next((self.ids[_key(key)] for key in keys if self.ids.get(_key(key))), None)
        if known is None:
            self.unknown.add(one.student)
            return one.student
        self.renamed[one.student] = known
        return known

    def said(self) -> list[str]:
        return [
            f"{name} is not in {self.path.name}, or there twice: graded under that name."
            for name in sorted(self.unknown)
        ]


def _key(name: str) -> str:
    """Return a name as names are compared: Canvas writes `nunezjose` for `Núñez, José`."""
    return "".join(
        letter for letter in unicodedata.normalize("NFC", name).casefold() if unicodedata.category(letter)[0] in "LMN"
    )


# For `nbgrader zip_collect` -----------------------------------------------------------------------------------------------


class LmsExtractor(ExtractorPlugin):
    """Unpacks archives, and archives in archives; for one that cannot be unpacked there is a sentence, and the rest goes on."""

    def extract(self, archive_path: str, extracted_path: str) -> None:
        for file in walk(Path(archive_path), self.log.warning):
            place = Path(extracted_path, *file.parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file.path, place)


class LmsCollector(FileNameCollectorPlugin):
    """Finds student and notebook in the names that Moodle and Canvas give to downloads."""

    _chosen: dict[str, dict] | None = None

    def collect(self, submitted_file: str) -> dict | None:
        if self._chosen is None:  # which of a student's files counts is known only from all of them
            app = self.parent
            assignment = app.coursedir.assignment_id
            names = {"downloaded": app.downloaded_directory, "assignment_id": assignment}
            folder = app.collect_directory_structure.format(collect_step=app.extracted_directory, **names)
            files = list(walk(Path(app.coursedir.root, folder), self.log.warning))
            chosen, sentences = choose(files, assignment=assignment)
            for sentence in sentences:
                self.log.warning(sentence)
            self._chosen = {
                str(one.file.path): {"student_id": one.student, "file_id": f"{one.notebook}.ipynb"} for one in chosen
            }
        return self._chosen.get(submitted_file)
