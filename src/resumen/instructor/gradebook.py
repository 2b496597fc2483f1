"""A course folder: where its files are, and what its gradebook holds. nbgrader's own settings and classes decide both."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from resumen.errors import CourseError, first_sentence
from resumen.notebooks import grading_of, read_notebook

WAIT = 60
"""Seconds to wait for a gradebook that another program, such as formgrader, is writing to."""


class Course:
    """The folder that an instructor grades in.

    Raises:
        CourseError: if there is no nbgrader_config.py in it, or nbgrader is missing.
    """

    def __init__(self, root: Path):
        try:
            from nbgrader.coursedir import CourseDirectory
        except ImportError:
            raise CourseError(
                "nbgrader is not installed: run `pip install -e '.[grading]' -c constraints.txt` in the repository."
            ) from None
        from traitlets.config import PyFileConfigLoader

        self.root = root.resolve()
        if not (self.root / "nbgrader_config.py").is_file():
            raise CourseError(
                f"{root / 'nbgrader_config.py'} not found: run this in the folder of your course, or name it with --root."
            )
        self.config = PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()
        self.directory = CourseDirectory(config=self.config)

    def __getstate__(self):  # how it travels to another process
        return self.root

    def __setstate__(self, root: Path):
        self.__init__(root)

    def source(self, assignment: str, notebook: str) -> Path:
        """Return the place of the instructor's notebook, with solutions and hidden tests."""
        return self._path(self.directory.source_directory, ".", assignment, f"{notebook}.ipynb")

    def released(self, assignment: str, notebook: str) -> Path:
        """Return the place of the notebook that students got."""
        from resumen.instructor.release import released_path

        return released_path(self.root, Path(assignment, f"{notebook}.ipynb"))

    def submitted(self, student: str, assignment: str, notebook: str) -> Path:
        """Return the place of what a student handed in, as it came."""
        return self._path(self.directory.submitted_directory, student, assignment, f"{notebook}.ipynb")

    def autograded(self, student: str, assignment: str, notebook: str) -> Path:
        """Return the place where formgrader looks for the notebook that was run."""
        return self._path(self.directory.autograded_directory, student, assignment, f"{notebook}.ipynb")

    def feedback(self, student: str, assignment: str, notebook: str) -> Path:
        """Return the place of the page for a student."""
        return self._path(self.directory.feedback_directory, student, assignment, f"{notebook}.html")

    @property
    def grading(self) -> Path:
        """The folder of what `resumen grade` keeps: a file for each graded notebook, and the lists."""
        return self.root / "var" / "grading"

    def result(self, student: str, assignment: str, notebook: str) -> Path:
        """Return the place of a notebook's result."""
        return self.grading / assignment / student / f"{notebook}.json"

    def _path(self, step: str, student: str, assignment: str, name: str) -> Path:
        return Path(self.directory.format_path(step, student, assignment), name)

    @cached_property
    def notebooks(self) -> dict[str, list[str]]:
        """The names of the notebooks that each assignment is graded by, from solutions/."""
        found: dict[str, list[str]] = {}
        for path in sorted(Path(self.root, self.directory.source_directory).glob("*/*.ipynb")):
            found.setdefault(path.parent.name, []).append(path.stem)
        return found

    @property
    def url(self) -> str:
        """The gradebook's address, for programs that can wait while another one writes."""
        url = self.directory.db_url
        return f"{url}?timeout={WAIT}" if url.startswith("sqlite:///") and "?" not in url else url

    @contextmanager
    def gradebook(self) -> Iterator:
        """Open the gradebook."""
        from nbgrader.api import Gradebook
        from sqlalchemy.exc import SAWarning

        warnings.simplefilter("ignore", SAWarning)  # nbgrader's own queries, each time a student is new
        with Gradebook(self.url, self.directory.course_id) as gradebook:
            try:
                yield gradebook
            finally:
                gradebook.engine.dispose()

    def record(self, assignments: list[str]) -> None:
        """Make sure that the gradebook knows the tests and points of these assignments as they stand in solutions/.

        Raises:
            CourseError: if it cannot learn them; nbgrader forgets no test that has a score.
        """
        from resumen.instructor.release import open_gradebook, record

        open_gradebook(self.directory.db_url, self.directory.course_id)
        with self.gradebook() as gradebook:
            stale = [name for name in assignments if _known(gradebook, name) != self._points(name)]
        if stale:
            record(self.root, stale)

    def _points(self, assignment: str) -> set[tuple[str, str, float]]:
        points = set()
        for notebook in self.notebooks[assignment]:
            for cell in read_notebook(self.source(assignment, notebook)).cells:
                meta = grading_of(cell)
                if meta.get("grade"):
                    points.add((notebook, meta["grade_id"], float(meta["points"])))
        return points


def _known(gradebook, assignment: str) -> set[tuple[str, str, float]]:
    from nbgrader.api import MissingEntry

    try:
        found = gradebook.find_assignment(assignment)
    except MissingEntry:
        return set()
    return {(notebook.name, cell.name, cell.max_score) for notebook in found.notebooks for cell in notebook.grade_cells}


@dataclass(frozen=True)
class Points:
    """What a graded cell is worth. `score` is None until it is graded; `to_read`: a person has to, and has not."""

    name: str
    score: float | None
    most: float
    written: bool
    to_read: bool
    comment: str = ""


@dataclass(frozen=True)
class Standing:
    """What the gradebook says of a student's notebook."""

    student: str
    assignment: str
    notebook: str
    cells: tuple[Points, ...]
    penalty: float = 0.0

    @property
    def is_graded(self) -> bool:
        """Whether it was run: a notebook that was not handed in has cells without a score."""
        return any(cell.score is not None for cell in self.cells)

    @property
    def to_read(self) -> int:
        """How many answers a person has still to read."""
        return sum(cell.to_read for cell in self.cells) if self.is_graded else 0

    @property
    def most(self) -> float:
        return sum(cell.most for cell in self.cells)

    @property
    def score(self) -> float | None:
        """All points, less nbgrader's penalty for lateness; None unless every cell is graded."""
        if not self.is_graded or self.to_read or any(cell.score is None for cell in self.cells):
            return None
        return max(0.0, sum(cell.score for cell in self.cells) - self.penalty)

    def part(self, written: bool) -> float | None:
        """Return the points of the written answers, or of all others; None unless each of them is graded."""
        scores = [None if cell.to_read else cell.score for cell in self.cells if cell.written == written]
        return sum(scores) if scores and None not in scores else None


def standings(course: Course, assignments: list[str] | None = None) -> list[Standing]:
    """Return what the gradebook holds of these assignments, or of all, by assignment, student and notebook."""
    found = []
    with course.gradebook() as gradebook:
        for assignment in gradebook.assignments:
            if assignments and assignment.name not in assignments:
                continue
            for submission in assignment.submissions:
                for notebook in submission.notebooks:
                    names = (submission.student.id, assignment.name, notebook.name)
                    found.append(Standing(*names, _cells(notebook), notebook.late_submission_penalty or 0.0))
    return sorted(found, key=lambda one: (one.assignment, one.student, one.notebook))


def _cells(notebook) -> tuple[Points, ...]:
    comments = {comment.cell.name: comment.manual_comment or "" for comment in notebook.comments}
    answers = {cell.name for cell in notebook.notebook.solution_cells}
    cells = []
    for grade in notebook.grades:
        given = grade.auto_score if grade.manual_score is None else grade.manual_score
        score = None if given is None else given + (grade.extra_credit or 0.0)
        name = grade.cell.name
        to_read = bool(grade.needs_manual_grade)
        cells.append(Points(name, score, grade.cell.max_score, name in answers, to_read, comments.get(name, "")))
    return tuple(cells)


def reason_of(error: Exception) -> str:
    """Return what SQLAlchemy says went wrong, without its statement and its link."""
    return first_sentence(str(getattr(error, "orig", None) or error))
