"""From solutions to labs and starters: `release` writes what students get, `leaks` says what is wrong with it."""

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from resumen.errors import CourseError, first_sentence
from resumen.files import DEMO, LAB, PROJECT, QUIZ, STARTER

NOTEBOOKS = (LAB, QUIZ, PROJECT)
"""All that a folder of solutions/ holds; those of a stage have the same names in labs/."""

REGION = re.compile(r"^[^\n]*BEGIN (SOLUTION|HIDDEN TESTS|MARK SCHEME)\b.*?(?:^[^\n]*END \1\b[^\n]*$|\Z)", re.S | re.M)
MARKER = re.compile(r"\b(?:BEGIN|END)[ _-]+(?:SOLUTION|HIDDEN|MARK)", re.IGNORECASE)
"""Any marker, misspelt ones too: nbgrader passes those by, and what they were to hide is released."""


def release(root: Path, stages: list[str] | None = None) -> list[Path]:
    """Generate labs/ and the projects' starters from solutions/, record the tests in the gradebook, and return what changed.

    Last, the copies: what the package carries of the labs, and the demo that students get.

    Nothing changes unless every notebook could be generated.

    Args:
        root: the course: solutions/, labs/, capstone/ and nbgrader_config.py.
        stages: the stages and projects to release; by default all that have a source.

    Raises:
        CourseError: if nbgrader or a stage is missing, a source notebook is faulty, or the gradebook cannot be made.
    """
    changed = []
    with tempfile.TemporaryDirectory() as folder:
        for path in _generate(root, _sources(root, stages), Path(folder), gradebook=True):
            released = released_path(root, path.relative_to(folder))
            if not released.is_file() or released.read_bytes() != path.read_bytes():
                released.parent.mkdir(parents=True, exist_ok=True)
                released.write_bytes(path.read_bytes())
                changed.append(released)
    for source, copy in _copies(root):
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
            changed.append(copy)
    return changed


def leaks(root: Path, stages: list[str] | None = None) -> list[str]:
    """Return one sentence for each fault of labs/ and the starters: a file that does not belong, a solution or hidden test, a stale
    notebook.

    Args:
        root: as for `release`.
        stages: the stages to look at; by default all, and whatever else lies in labs/.

    Raises:
        CourseError: as `release` does.
    """
    sources = _sources(root, stages)
    belong = {released_path(root, Path(stage, path.name)) for stage, paths in sources.items() for path in paths}
    # A file in labs/ itself, such as a README, is written there by hand.
    folders = [f"{stage}/**/*" for stage in stages] if stages else ["*/**/*"]
    found = {path for folder in folders for path in (root / "labs").glob(folder) if path.is_file()}
    strays = {path for path in found - belong if ".ipynb_checkpoints" not in path.parts}
    faults = [f"{_short(path, root)} has no source in solutions/: delete it." for path in sorted(strays)]
    with tempfile.TemporaryDirectory() as folder:
        for path in _generate(root, sources, Path(folder), gradebook=False):
            inside = path.relative_to(folder)
            released = released_path(root, inside)
            if not released.is_file():
                faults.append(f"{_short(released, root)} is missing: run `resumen release`.")
                continue
            if released.read_bytes() != path.read_bytes():
                faults.append(f"{_short(released, root)} differs from its source: run `resumen release`.")
            faults += [f"{_short(released, root)} {told}" for told in _secrets(root / "solutions" / inside, released)]
    for source, copy in _copies(root):
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            faults.append(f"{_short(copy, root)} differs from {_short(source, root)}: run `resumen release`.")
    return faults


def record(root: Path, stages: list[str]) -> None:
    """Record the tests of these stages in the gradebook, and write nothing else.

    Raises:
        CourseError: as `release` does.
    """
    with tempfile.TemporaryDirectory() as folder:
        _generate(root, _sources(root, stages), Path(folder), gradebook=True)


def all_but(*endings: str) -> list[str]:
    """Return globs that together match every file name but those with one of these endings.

    nbgrader has a list of what to ignore and none of what to copy. But a glob can say "any character other than these", so
    for each part of an ending (`b`, `nb`, `ynb` …) one glob refuses every character that does not continue it.
    """
    globs = {".*"}  # hidden files, which `*` does not match
    for part in {ending[start:] for ending in endings for start in range(1, len(ending) + 1)} - set(endings):
        continued = {ending[-len(part) - 1] for ending in endings if ending.endswith(part) and ending != part}
        globs |= {f"*[!{''.join(sorted(continued))}]{part}", part}
    return sorted(globs - {""})


def released_path(root: Path, inside: Path) -> Path:
    """Return where students find a notebook of solutions/, given its place in there."""
    if inside.name == PROJECT:
        return root / "capstone" / inside.parent / STARTER
    return root / "labs" / inside


def _copies(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield (source, copy) of what is the same in two places: the demo of the exemplar, and the labs that the package carries."""
    demo = root / "solutions" / "capstone" / "hand-in" / DEMO
    if demo.is_file():
        yield demo, root / "capstone" / "capstone" / DEMO
    package = root / "src" / "resumen"
    if package.is_dir():  # a private course has none
        for path in [*sorted(root.glob(f"labs/*/{LAB}")), *sorted(root.glob(f"capstone/*/{STARTER}"))]:
            yield path, package / "data" / "labs" / f"{path.parent.name}.ipynb"


def _short(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _sources(root: Path, stages: list[str] | None = None) -> dict[str, list[Path]]:
    """Return the source notebooks of each stage, or of these ones."""
    if not (root / "nbgrader_config.py").is_file():
        raise CourseError(
            f"{root / 'nbgrader_config.py'} not found: run this in the repository, or name it with --root."
        )
    sources = {}
    for path in sorted(path for name in NOTEBOOKS for path in (root / "solutions").glob(f"*/{name}")):
        sources.setdefault(path.parent.name, []).append(path)
    for stage in stages or ():
        if stage not in sources:
            raise CourseError(
                f"There is no stage {stage!r} to release: solutions/ holds {', '.join(sources) or 'no notebook'}."
            )
    for stage in sources:
        unlisted = set((root / "solutions" / stage).glob("*.ipynb")) - set(sources[stage])
        if unlisted:
            raise CourseError(
                f"{_short(min(unlisted), root)} would be released too, but a stage has {' and '.join(NOTEBOOKS)} only: "
                "move it elsewhere."
            )
    return {stage: paths for stage, paths in sources.items() if not stages or stage in stages}


def _secrets(source: Path, released: Path) -> Iterator[str]:
    """Yield what a released notebook tells that it should not."""
    import nbformat

    private, public = set(), set()
    for cell in nbformat.read(source, as_version=4).cells:
        regions = [match[0].splitlines()[1:] for match in REGION.finditer(cell.source)]
        private |= {line.strip() for lines in regions for line in lines}
        public |= {line.strip() for line in REGION.sub("", cell.source).splitlines()}
    private -= public | {""}
    try:
        cells = nbformat.read(released, as_version=4).cells
    except Exception:  # nbformat lets AttributeError and TypeError through for JSON that is no notebook
        yield "is not a notebook that can be read: run `resumen release`."
        return
    for cell in cells:
        lines = [line.strip() for line in cell.source.splitlines()]
        if any(MARKER.search(line) for line in lines):
            yield f"holds a marker of a solution or hidden test in cell {cell.id}: correct it in the source."
        for line in lines:
            if line in private:
                yield f"tells a line of a solution or hidden test in cell {cell.id}: {line!r}."
        if cell.get("outputs"):
            yield f"holds outputs in cell {cell.id}: run `resumen release`."


def _generate(root: Path, sources: dict[str, list[Path]], folder: Path, gradebook: bool) -> list[Path]:
    """Have nbgrader write the students' notebooks into `folder`, and return them."""
    try:
        from nbgrader.apps import NbGraderAPI
    except ImportError:
        raise CourseError(
            "nbgrader is not installed: run `pip install -e '.[grading]' -c constraints.txt` in the repository."
        ) from None
    from traitlets.config import PyFileConfigLoader

    from resumen.instructor.preprocessors import WITHOUT_GRADEBOOK

    config = PyFileConfigLoader("nbgrader_config.py", path=str(root.resolve())).load_config()
    config.CourseDirectory.release_directory = str(folder.resolve())
    if gradebook:
        open_gradebook(config.CourseDirectory.db_url, config.CourseDirectory.course_id)
    else:
        config.GenerateAssignment.no_database = True
        config.GenerateAssignment.preprocessors = WITHOUT_GRADEBOOK
    api = NbGraderAPI(config=config)
    for stage in sources:
        result = api.generate_assignment(stage)
        if not result["success"]:
            raise CourseError(_fault(result.get("log", "") + result["error"], stage))
    return [folder / stage / path.name for stage, paths in sources.items() for path in paths]


def _fault(log: str, stage: str) -> str:
    """Return the sentence that says which notebook nbgrader could not release, and why, out of its log."""
    notebooks = re.findall(r"Converting notebook .*?([\w.-]+\.ipynb)$", log, flags=re.MULTILINE)
    # The first error is the cause. Those after it say that there was one.
    reason = re.search(r"^\s*[\w.]*(?:Error|Exception): (.+)", log, flags=re.MULTILINE)
    where = f"solutions/{stage}/{notebooks[-1]}" if notebooks else f"solutions/{stage}"
    return f"{where} cannot be released: {first_sentence(reason[1] if reason else log)}."


def open_gradebook(url: str, course: str) -> None:
    """Make the gradebook if there is none. nbgrader does so too, but leaves half a gradebook behind if it fails."""
    from nbgrader import api

    path = Path(url.removeprefix("sqlite:///"))
    is_new = not path.exists()
    try:
        # nbgrader would start the command `alembic` for this, which takes seconds, and has to be on the path.
        api.get_alembic_version = _newest_form
        api.Gradebook(url, course).close()
        with sqlite3.connect(path) as database:
            database.execute("SELECT version_num FROM alembic_version")
    except Exception as error:  # SQLAlchemy and alembic have errors of their own
        if is_new:
            path.unlink(missing_ok=True)
        advice = "" if is_new else " Move it away and run this again: a new one is made."
        raise CourseError(
            f"The gradebook {path} could not be {'made' if is_new else 'read'}: {first_sentence(str(error))}.{advice}"
        ) from None


def _newest_form() -> str:
    """Return the version of the gradebook's tables, as nbgrader's migrations count them."""
    import nbgrader
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(nbgrader.__file__).parent / "alembic")).get_current_head()
