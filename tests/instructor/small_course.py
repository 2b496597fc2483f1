"""A course of one small lab and a quiz, in which grading takes moments: no libraries, and answers of one line."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from resumen.errors import CourseError
from resumen.instructor.job import Job, finished, run_job, write_result
from resumen.instructor.release import release
from resumen.notebooks import is_answer, is_test

ROOT = Path(__file__).parents[2]
STAGE = "stage1_corpus"
RIGHT = {"double": "def double(x):\n    return 2 * x", "first": "def first(words):\n    return words[0]"}
WRONG = {"double": "def double(x):\n    return x * x", "first": "def first(words):\n    return words[-1]"}
HIDDEN = "assert double(31) == 62, 'twice 31 is 62'"


@dataclass(frozen=True)
class Handed:
    """A submission, as `collect.find_submissions` finds it."""

    student: str
    assignment: str
    notebook: str
    path: Path


def graded(name, source, kind=new_code_cell, **more):
    meta = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3, "grade_id": name}
    return kind(source, id=name, metadata={"nbgrader": meta | more})


def answer(name, stub, solution):
    return graded(name, f"{stub}\n    ### BEGIN SOLUTION\n    {solution}\n    ### END SOLUTION", solution=True)


def lab():
    """Return the source of a lab: two tasks of 4 and 6 points, and a written answer of 5."""
    seen = 'with task("Task 1 · double"):\n    expect(double(2), 4, hint="twice two")'
    other = 'with task("Task 2 · first"):\n    expect(first(["a", "b"]), "a", hint="the first word")'
    cells = [
        new_markdown_cell("# A small lab", id="title"),
        new_code_cell("from resumen.lab import expect, task", id="setup"),
        new_markdown_cell("## Task 1 · double", id="task-1"),
        answer("double", "def double(x):", "return 2 * x"),
        graded(
            "double-tests",
            f"{seen}\n### BEGIN HIDDEN TESTS\n{HIDDEN}\n### END HIDDEN TESTS",
            grade=True,
            locked=True,
            points=4,
        ),
        answer("first", "def first(words):", "return words[0]"),
        graded("first-tests", other, grade=True, locked=True, points=6),
        new_markdown_cell("## Task 3 · In your words", id="task-3"),
        graded("written", "Your answer here.", new_markdown_cell, grade=True, solution=True, points=5),
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return new_notebook(cells=cells, metadata=metadata)


def quiz():
    """Return the source of a quiz of one question, with partial credit."""
    cells = [
        new_markdown_cell("# A quiz", id="title"),
        new_markdown_cell("## 1 · Which letters?", id="question"),
        graded("letters", 'letters = ""\n### BEGIN SOLUTION\nletters = "AC"\n### END SOLUTION', solution=True),
        graded("q1", "round(2 * len(set(letters) & set('AC')) / 2, 2)", grade=True, locked=True, points=2),
    ]
    cells[2].metadata.tags = ["plain-answer"]
    return new_notebook(cells=cells, metadata=lab().metadata)


def make(folder: Path) -> Path:
    """Make the course, release its notebooks, and return its folder."""
    folder.mkdir(parents=True)
    shutil.copyfile(ROOT / "nbgrader_config.py", folder / "nbgrader_config.py")
    source = folder / "solutions" / STAGE
    source.mkdir(parents=True)
    nbformat.write(lab(), source / "lab.ipynb")
    nbformat.write(quiz(), source / "quiz.ipynb")
    release(folder)
    return folder


def hand_in(course: Path, student: str, answers: dict[str, str] | None = None, notebook: str = "lab") -> Handed:
    """Hand in a notebook with these answers by cell; the others are left as they were."""
    released = nbformat.read(course / "labs" / STAGE / f"{notebook}.ipynb", as_version=4)
    for cell in released.cells:
        cell.source = (answers or {}).get(cell.id, cell.source)
    return hand_in_bytes(course, student, nbformat.writes(released).encode(), notebook)


def hand_in_bytes(course: Path, student: str, data: bytes, notebook: str = "lab") -> Handed:
    """Hand in a file."""
    path = course / "download" / student / f"{notebook}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Handed(student, STAGE, notebook, path)


# Work without kernels: what a job does, and what may happen to it. Each says in a file that it was begun. -------------------------------


def quick(job: Job) -> None:
    """Write the result that a run would give: an answer is right if it is the reference's."""
    with open(job.course.root / "begun.txt", "a") as begun:
        begun.write(f"{job.student}\n")
    notebook = nbformat.read(job.course.submitted(*job.names), as_version=4)
    sources = {cell.id: cell.source for cell in notebook.cells}
    for cell in notebook.cells:
        if is_answer(cell):
            continue
        if is_test(cell) and sources.get(cell.id.removesuffix("-tests")) not in RIGHT.values():
            cell.outputs = [new_output("error", ename="AssertionError", evalue="Got 4, expected 2.", traceback=["no"])]
        elif is_test(cell):
            cell.outputs = [new_output("stream", text="right")]
    write_result(job, finished(job, notebook, "", [], 0.1))


def stormy(job: Job) -> None:
    """Run a submission for real; every fifth job is killed once before it, and every fifth finds the disk full once after it."""
    number = int(job.student[-3:])
    if number % 5 == 1 and not again(job, "killed"):
        os.kill(os.getpid(), 9)
    if number % 5 == 2 and not again(job, "full"):
        raise OSError(28, "No space left on device", str(job.path))
    run_job(job)


def slow(job: Job) -> None:
    time.sleep(0.5)
    quick(job)


def again(job: Job, what: str) -> bool:
    """Say whether this has happened to the student before."""
    path = job.course.root / f"{what}-{job.student}"
    known = path.exists()
    path.touch()
    return known


def faulty(job: Job) -> None:
    """Do what goes wrong in practice, by the student's name: once, or with `always` each time."""
    fault, _, rest = job.student.partition("-")
    if rest.startswith("always") or (fault in ("killed", "full", "none") and not again(job, fault)):
        if fault == "killed":
            os.kill(os.getpid(), 9)
        if fault == "none":
            raise CourseError("The kernel did not start: it died, or did not answer in time.")
        raise OSError(28, "No space left on device", str(job.path))
    quick(job)
