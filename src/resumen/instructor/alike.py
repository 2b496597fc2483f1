"""Pairs of submissions whose answers are alike beyond what everybody was given. A reason to look, never a verdict:

short answers to one contract look alike by themselves, and a copied reference is like every right answer.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz import fuzz, process

from resumen.instructor.gradebook import Course
from resumen.instructor.job import Result
from resumen.notebooks import is_answer, read_notebook

LEAST = 80
"""Characters of an answer beyond the stub: shorter ones are alike by themselves."""

ALIKE = 90.0
"""Of 100: how alike two texts are that are named."""


@dataclass(frozen=True)
class Pair:
    """Two students whose answers are alike in `cells`, out of `compared` that both wrote; `likeness` is the mean, of 100."""

    assignment: str
    notebook: str
    one: str
    other: str
    cells: tuple[str, ...]
    compared: int
    likeness: float


def pairs(course: Course, results: Iterable[Result]) -> list[Pair]:
    """Return the pairs with a cell that is alike, those with the most cells first."""
    by_notebook: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        by_notebook[result.assignment, result.notebook].append(result)
    found = []
    for (assignment, notebook), several in by_notebook.items():
        stubs = {
            cell.id: set(_lines(cell.source))
            for cell in read_notebook(course.released(assignment, notebook)).cells
            if is_answer(cell)
        }
        alike, compared = defaultdict(dict), defaultdict(int)
        for name, stub in stubs.items():
            texts = {result.student: _beyond(result, name, stub) for result in several}
            texts = {student: text for student, text in texts.items() if len(text) >= LEAST}
            students, written = list(texts), list(texts.values())
            likeness = process.cdist(written, written, scorer=fuzz.ratio)
            for i, one in enumerate(students):
                for j in range(i):
                    compared[students[j], one] += 1
                    if likeness[i, j] >= ALIKE:
                        alike[students[j], one][name] = float(likeness[i, j])
        for (one, other), cells in alike.items():
            mean = sum(cells.values()) / len(cells)
            found.append(Pair(assignment, notebook, one, other, tuple(cells), compared[one, other], round(mean, 1)))
    return sorted(found, key=lambda pair: (-len(pair.cells), -pair.likeness, pair.one, pair.other))


def _lines(source: str) -> list[str]:
    return [line.strip() for line in source.splitlines() if line.strip()]


def _beyond(result: Result, name: str, stub: set[str]) -> str:
    """Return the lines of an answer that were not given."""
    source = next((cell.source for cell in result.executed.cells if cell.id == name), "")
    return "\n".join(line for line in _lines(source) if line not in stub)
