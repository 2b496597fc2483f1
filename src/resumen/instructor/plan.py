"""What of a notebook has to be run to grade it: what the tests' kernel needs (`Plan`), and what no kernel does (`left_out`).

Between the tasks of a lab stand cells that show what the answers are good for: tables over the whole corpus, a short training.
They take most of the time of grading, and no score depends on them. The instructor's notebook marks them with the tag `STORY`.
"""

import builtins
import re

import nbformat

from resumen.instructor.rebuild import STUDENT
from resumen.notebooks import is_answer, is_test, names

LEFT_OUT = "This cell was not run: nothing that is graded depends on it."
"""Stands below such a cell in the notebook that was run."""

STORY = "story"
"""Tag of an instructor's code cell that only shows something: no other cell reads what it binds."""

LOOKS = re.compile(r"globals|locals|vars|dir|eval|exec|compile|get_ipython|In|Out|_+|_i*\d*|_[iod]h")
"""Names by which a student's cell reads the others without naming them: every magic is `get_ipython` to `names`."""

LOOKS_AROUND = re.compile(
    r"\b(__main__|__globals__|__builtins__|__import__|builtins|modules|inspect|_getframe|gc|ctypes|user_ns|IPython|doctest|import \*)"
)
"""The same as a module, an attribute or a text."""


def left_out(notebook: nbformat.NotebookNode) -> set[int]:
    """Return the places of the story cells: they need not be run. If another cell may read what they bind, none is left out.

    That may be a student's cell (an answer, a cell of their own, a story that they changed), or one of the instructor's where the tag
    is not true. The tags are those of the instructor's source: a rebuilt notebook takes none from a student.
    """
    code = {
        place: cell for place, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()
    }
    theirs = {place for place, cell in code.items() if is_answer(cell) or STUDENT in cell.metadata.get("tags", [])}
    story = {place for place, cell in code.items() if STORY in cell.metadata.get("tags", [])} - theirs
    bound = set().union(*(names(code[place].source)[1] for place in story))
    for place in code.keys() - story:
        source, (reads, binds) = code[place].source, names(code[place].source)
        mentions = reads - binds
        if place in theirs:
            if LOOKS_AROUND.search(source) or any(map(LOOKS.fullmatch, mentions)):
                return set()
            mentions = reads.union(re.findall(r"@(\w+)", source))  # `@name` in a query of pandas
        if mentions & bound:
            return set()
    return story


# What a test cell needs -----------------------------------------------------------------------------------------------


class Plan:
    """Which of the instructor's cells the tests need, and which names they have to ask the answers for."""

    def __init__(self, source: nbformat.NotebookNode):
        skipped = left_out(source)
        cells = [cell for place, cell in enumerate(source.cells) if place not in skipped]
        self.cells = [cell for cell in cells if cell.cell_type == "code" and not is_answer(cell)]
        self.done: set[str] = set()

    def _before(self, test) -> list:
        name = test.metadata.nbgrader.grade_id
        place = next(
            (
                number
                for number, cell in enumerate(self.cells)
                if is_test(cell) and cell.metadata.nbgrader.grade_id == name
            ),
            len(self.cells),
        )
        return [cell for cell in self.cells[:place] if not is_test(cell)]

    def needed_by(self, test) -> list:
        """Return the instructor's cells before a test that bind what it reads, directly or not, and that were not returned before."""
        before = self._before(test)
        wanted, _ = names(test.source)
        needed = []
        for cell in reversed(before):
            reads, binds = names(cell.source)
            if binds & wanted or "setup(" in cell.source:
                needed.append(cell)
                wanted = wanted | reads
        new = [cell for cell in reversed(needed) if cell.source not in self.done]
        self.done |= {cell.source for cell in new}
        return new

    def asked_by(self, test) -> list[str]:
        """Return the names that a test reads and that no cell of the instructor binds: the answers."""
        reads, binds = names(test.source)
        known = set(dir(builtins)) | {"display", "get_ipython"}
        for cell in self._before(test):
            known |= names(cell.source)[1]
        return sorted(reads - binds - known)
