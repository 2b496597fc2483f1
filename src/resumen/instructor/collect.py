"""Plugins for `nbgrader zip_collect`: the file names of Moodle and Canvas, and one sentence for each file that is left out.

nbgrader's own plugins take one regular expression, stop the whole class at the first student with two files of one name, and
at the first archive that cannot be unpacked.
"""

import re
import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from nbgrader.plugins import ExtractorPlugin, FileNameCollectorPlugin
from nbgrader.utils import unzip

from resumen.instructor.release import NOTEBOOKS

MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_file(?:_(?P<file>.*))?")
"""`José Núñez_1234567_assignsubmission_file_/lab.ipynb`, or the same in one name. The number is new in each assignment."""

CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<user>\d+)_(?P<upload>\d+)_(?P<file>.+)")
"""`nunezjose_LATE_12345_678910_lab-1.ipynb`: the user's number stays the same, that of the upload grows."""


@dataclass(frozen=True)
class Handed:
    """A notebook that a student handed in. `upload` grows from one upload to the next; None if the name does not tell."""

    path: Path
    student: str
    number: str
    notebook: str
    upload: int | None

    def shown(self, folder: Path) -> str:
        return str(self.path.relative_to(folder))


class LmsExtractor(ExtractorPlugin):
    """Unpacks archives, and archives in archives; for one that cannot be unpacked there is a sentence, and the rest goes on."""

    def extract(self, archive_path: str, extracted_path: str) -> None:
        shutil.copytree(archive_path, extracted_path, dirs_exist_ok=True)
        seen: set[Path] = set()
        while True:
            archives = {path for path in Path(extracted_path).rglob("*") if path.suffix.lower() in self.zip_ext} - seen
            if not archives:
                return
            seen |= archives
            for archive in sorted(path for path in archives if path.is_file()):
                try:
                    unzip(str(archive), str(archive.parent), zip_ext=[archive.suffix], create_own_folder=True)
                except Exception:  # zipfile, tarfile, setuptools and the file system have errors of their own
                    name = archive.relative_to(extracted_path)
                    self.log.warning("%s cannot be unpacked: it is damaged, so ask for it again.", name)
                else:
                    archive.unlink()  # it lies in the archive directory still


class LmsCollector(FileNameCollectorPlugin):
    """Finds student and notebook in the names that Moodle and Canvas give to downloads."""

    _chosen: dict[str, dict] | None = None

    def collect(self, submitted_file: str) -> dict | None:
        if self._chosen is None:  # which of a student's files counts is known only from all of them
            app = self.parent
            names = {"downloaded": app.downloaded_directory, "assignment_id": app.coursedir.assignment_id}
            folder = app.collect_directory_structure.format(collect_step=app.extracted_directory, **names)
            folder = Path(app.coursedir.root, folder)
            chosen, sentences = choose(folder)
            for sentence in sentences:
                self.log.warning(sentence)
            self._chosen = {
                str(one.path): {"student_id": one.student, "file_id": f"{one.notebook}.ipynb"} for one in chosen
            }
        return self._chosen.get(submitted_file)


def choose(folder: Path) -> tuple[list[Handed], list[str]]:
    """Return one file for each student and notebook in a folder of downloads, and a sentence for each that is left out."""
    found: dict[tuple[str, str], list[Handed]] = {}
    numbers: dict[str, set[str]] = {}
    sentences = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if path.suffix.lower() in (".zip", ".gz") or any(part.startswith(("._", "__MACOSX")) for part in name.parts):
            continue  # what could not be unpacked was said; what macOS adds to its archives is nobody's work
        handed = recognise(path, folder)
        if isinstance(handed, str):
            sentences.append(f"{name} was left out: {handed}")
            continue
        found.setdefault((handed.student, handed.notebook), []).append(handed)
        numbers.setdefault(handed.student, set()).add(handed.number)
    chosen = []
    for (student, notebook), some in found.items():
        shown = " and ".join(one.shown(folder) for one in some)
        last = max(some, key=lambda one: one.upload or 0)
        if len(numbers[student]) > 1:
            sentences.append(
                f"{shown} left out: several participants are called {student}; rename their folders in the download, such "
                f"as {student} 2, and collect again."
            )
        elif len(some) == 1 or len({one.path.read_bytes() for one in some}) == 1:
            chosen.append(last)
        elif all(one.upload is not None for one in some) and len({one.upload for one in some}) == len(some):
            chosen.append(last)
            left = " and ".join(one.shown(folder) for one in some if one is not last)
            sentences.append(f"{left} was left out: {last.shown(folder)} of the same student was uploaded later.")
        else:
            sentences.append(
                f"{shown} were left out: {student} handed in {len(some)} different files for {notebook}.ipynb, and nothing "
                "says which counts; delete the others from the download and collect again."
            )
    return sorted(chosen, key=lambda one: str(one.path)), sentences


def recognise(path: Path, folder: Path) -> Handed | str:
    """Return the student and the notebook that a downloaded file belongs to, or why it belongs to none."""
    parts = [unicodedata.normalize("NFC", part) for part in path.relative_to(folder).parts]
    matches = ((part, MOODLE.fullmatch(part), CANVAS.fullmatch(part)) for part in parts)
    # What students put inside their folder or archive may be called anything: the first name that fits is the LMS's.
    part, moodle, canvas = next((one for one in matches if any(one[1:])), ("", None, None))
    if moodle:
        student, number, upload = _id(moodle["name"]), moodle["number"], None
    elif canvas:
        student, number, upload = f"{_id(canvas['name'])}_{canvas['user']}", canvas["user"], int(canvas["upload"])
    else:
        return "its name is neither Moodle's nor Canvas's, so nobody knows whose it is."
    file = (moodle or canvas)["file"] if part is parts[-1] else parts[-1]
    if path.suffix.lower() != ".ipynb":
        return f"it is no notebook; {student} has to hand in an .ipynb file."
    names = "|".join(name.removesuffix(".ipynb") for name in NOTEBOOKS)
    # Browsers and LMSs number what they have seen before: lab-1.ipynb, lab (2).ipynb.
    match = re.match(rf"({names})(?![^\W\d_])", file, flags=re.IGNORECASE)
    if not match:
        return f"{student} has to call it {', '.join(NOTEBOOKS[:-1])} or {NOTEBOOKS[-1]}."
    return Handed(path, student, number, match[1].lower(), upload)


def _id(name: str) -> str:
    """Return a name as nbgrader's id: no comma, which would break its CSV, and nothing that a glob would read."""
    return " ".join(re.sub(r"[^\w\s.'’-]", " ", name).split())
