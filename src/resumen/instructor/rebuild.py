"""The instructor's notebook with the student's answers in it: what is graded, whatever came back from the student.

Setup, tests, metadata, kernel and order are the instructor's. The answers, the prose and the cells that the student added are
the student's; none of these carries points.
"""

import copy
import json
from functools import lru_cache
from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, NbGraderPreprocessor

from resumen.check.cells import read_cells
from resumen.check.match import mend
from resumen.errors import CourseError
from resumen.instructor.preprocessors import WITHOUT_GRADEBOOK
from resumen.notebooks import is_answer, is_test, read_notebook

STUDENT = "student"
"""Tag of a cell outside the answers that holds a student's text: it is no part of the tests, and no tests trust it."""

SET_ASIDE = """\
## Set aside for grading

These texts were not run: a second answer to the same task, or a change of a cell that is not an answer.
"""

REFUSED = "refused"
"""Id of the cell that says why a submission was not graded."""


def rebuild(source: NotebookNode, submitted: bytes) -> tuple[NotebookNode, list[str]]:
    """Put a student's answers into the instructor's notebook.

    Args:
        source: the notebook with solutions and hidden tests, from solutions/.
        submitted: the student's file as it came.

    Returns:
        The notebook to grade, with hidden tests and without outputs, and one plain sentence for each thing that was damaged,
        guessed or put aside. An answer that is not there is the stub. Cells with a student's text are the answers (nbgrader's
        `solution`) and those with the tag `STUDENT`; all others are the instructor's, letter by letter.

    Raises:
        CourseError: if the file is no notebook, or another one; the sentence says why.
    """
    tests, released = _prepared(json.dumps(source, sort_keys=True))
    cells, faults = read_cells(submitted)
    notebook, more = mend(released, cells, SET_ASIDE)
    _finish(notebook, tests, released)
    return notebook, [fault.told() for fault in (*faults, *more)]


def refused(source: NotebookNode, reason: str) -> NotebookNode:
    """Return the instructor's notebook without any answer, with the reason at its top: it scores 0, and says why."""
    tests, released = _prepared(json.dumps(source, sort_keys=True))
    notebook = copy.deepcopy(released)
    _finish(notebook, tests, released)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(f"**Not graded.** {reason}", id=REFUSED))
    return notebook


def _finish(notebook: NotebookNode, tests: dict[str, NotebookNode], released: NotebookNode) -> None:
    """Put the hidden tests in, and mark what is the student's."""
    originals = {cell.id: cell for cell in released.cells}
    for cell in notebook.cells:
        original = originals.get(cell.id)
        if original is None or (not is_answer(cell) and cell.source != original.source):
            cell.metadata.tags = sorted({*cell.metadata.get("tags", []), STUDENT})
        if cell.id in tests:
            cell.source = tests[cell.id].source
            cell.metadata = copy.deepcopy(tests[cell.id].metadata)


@lru_cache(maxsize=32)
def _prepared(source: str) -> tuple[dict[str, NotebookNode], NotebookNode]:
    """Return the test cells with their hidden tests, by id, and the notebook as it was released. Nobody may change them."""
    notebook = nbformat.from_dict(json.loads(source))
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    resources = ResourcesDict(language="python", metadata={}, nbgrader={})
    tests = {}
    for step in WITHOUT_GRADEBOOK:
        if step is ClearHiddenTests:
            tests = {cell.id: copy.deepcopy(cell) for cell in notebook.cells if is_test(cell)}
        notebook, resources = step().preprocess(notebook, resources)
    return tests, notebook


class Rebuild(NbGraderPreprocessor):
    """The first step of `nbgrader autograde`: it goes back to the file that was submitted, and rebuilds it.

    A file that cannot be graded becomes the notebook without answers: it scores 0, with the reason at its top, and the class goes on.
    """

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        course, names = self.parent.parent.coursedir, resources["nbgrader"]
        folder = course.format_path(course.source_directory, ".", names["assignment"])
        source = read_notebook(Path(folder, f"{names['notebook']}.ipynb"))
        submitted = Path(resources["metadata"]["path"], f"{names['notebook']}.ipynb")
        try:
            notebook, sentences = rebuild(source, submitted.read_bytes())
        except CourseError as error:
            notebook, sentences = refused(source, str(error)), [str(error)]
        for sentence in sentences:
            self.log.warning("%s, %s: %s", names["student"], names["notebook"], sentence)
        return notebook, resources


class TolerantExporter(NotebookExporter):
    """nbgrader's reader and writer of notebooks; of a file that it cannot read, it leaves the reading to `Rebuild`."""

    def from_file(self, file_stream, resources: ResourcesDict | None = None, **options) -> tuple[str, ResourcesDict]:
        try:
            notebook = nbformat.read(file_stream, as_version=4)
            _ = notebook.metadata, notebook.cells
        except Exception:  # nbformat lets AttributeError, KeyError and TypeError through for what is no notebook
            notebook = nbformat.v4.new_notebook()
        return self.from_notebook_node(notebook, resources, **options)
