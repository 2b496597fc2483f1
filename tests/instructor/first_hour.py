"""What a rehearsal of the first hour needs besides its commands: students, and somebody who reads their written answers.

Run by first_hour.sh in the folder of a course: `python first_hour.py submissions FOLDER`, then `python first_hour.py written`.
"""

import re
import sys
import zipfile
from pathlib import Path

import nbformat

STAGE = "stage1_corpus"

TWO_WORDS_DO = '''def has_min_words(title: str, min_words: int = 3) -> bool:
    """José forgot that a token of punctuation is not a word."""
    return len(title.split()) >= min_words'''

WRITTEN = """With `min_words=3` the English test falls from 561 to 370 reviews, and the Spanish one from 539 to 273. What stays is easier to copy from
the review, so a system that copies scores higher and has not changed. I filter all splits, because *Genial* is no summary. The card says so, with the counts. I
do not take the mirror: its licence forbade republishing."""


def answered(name: str, instead: dict[str, str]) -> nbformat.NotebookNode:
    """Return a released notebook with the reference's answers, and other ones for some cells."""
    released = nbformat.read(Path("labs", STAGE, name), as_version=4)
    source = nbformat.read(Path("solutions", STAGE, name), as_version=4)
    for cell, original in zip(released.cells, source.cells, strict=True):
        grading = cell.metadata.get("nbgrader", {})
        if grading.get("solution"):
            is_written = grading["grade"]
            right = (
                WRITTEN
                if is_written
                else re.sub(r"^[ \t]*### (BEGIN|END) SOLUTION\n?", "", original.source, flags=re.M)
            )
            cell.source = instead.get(cell.id, right)
    return released


def damage(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Do what other programs do to a notebook: no ids, no nbgrader metadata, a test cell deleted."""
    notebook.cells = [cell for cell in notebook.cells if cell.id != "length-stats-tests"]
    for cell in notebook.cells:
        cell.pop("id")
        cell.metadata.pop("nbgrader", None)
    notebook.nbformat_minor = 4
    return notebook


def write_submissions(folder: str) -> None:
    """Write the downloads into a new folder: José's from Moodle, with one task wrong; Ana's from Canvas, twice, the second damaged; nobody's."""
    wrong = answered("lab.ipynb", {"has-min-words": TWO_WORDS_DO})
    archive, student = Path(folder), "José Núñez_1234567_assignsubmission_file_"
    archive.mkdir()
    with zipfile.ZipFile(archive / "CS101-Lab 1-4711.zip", "w") as download:
        download.writestr(f"{student}/lab.ipynb", nbformat.writes(wrong))
        download.writestr(f"{student}/quiz.ipynb", nbformat.writes(answered("quiz.ipynb", {})))
    empty = Path("labs", STAGE, "lab.ipynb").read_text(encoding="utf-8")
    damaged = damage(answered("lab.ipynb", {"deduplicate": "def deduplicate(dataset):\n    return dataset"}))
    for name, text in (
        ("garcialopezana_12345_678900_lab.ipynb", empty),
        ("garcialopezana_LATE_12345_678910_lab-1.ipynb", nbformat.writes(damaged)),
        ("notes.ipynb", empty),
    ):
        (archive / name).write_text(text, encoding="utf-8")


def grade_written_answers() -> None:
    """Give points and a comment to each written answer, as a person does in formgrader."""
    from nbgrader.api import Gradebook

    with Gradebook("sqlite:///var/gradebook.db", "resumen") as gradebook:
        for submission in gradebook.assignment_submissions(STAGE):
            answer = gradebook.find_grade("written", "lab", STAGE, submission.student.id)
            answer.manual_score, answer.needs_manual_grade = 7, False
            comment = gradebook.find_comment("written", "lab", STAGE, submission.student.id)
            comment.manual_comment = "Good on the test split. A second reason against the mirror is missing."
        gradebook.db.commit()


if __name__ == "__main__":
    {"submissions": write_submissions, "written": grade_written_answers}[sys.argv[1]](*sys.argv[2:])
