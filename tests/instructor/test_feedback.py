"""The page for a student: tasks, points, messages and comments in two languages, and no word of a hidden test."""

import re

import nbformat
import pytest
from small_course import HIDDEN, RIGHT, STAGE, WRONG, hand_in
from test_grade import run

from resumen.instructor import feedback
from resumen.instructor.feedback import page, write_feedback
from resumen.instructor.gradebook import Course, standings
from resumen.instructor.job import Result, Task, read_result


@pytest.fixture(scope="module")
def course(shared):
    folder = shared
    answers = {**RIGHT, "first": WRONG["first"], "written": "Mine & <b>bold</b>."}
    run(folder, [hand_in(folder, "José Núñez", answers)])
    course = Course(folder)
    with course.gradebook() as book:
        written = book.find_grade("written", "lab", STAGE, "José Núñez")
        written.manual_score, written.needs_manual_grade = 3, False
        book.find_comment("written", "lab", STAGE, "José Núñez").manual_comment = "Good, & short."
        book.db.commit()
    return course


@pytest.fixture
def result(course) -> Result:
    return read_result(course.result("José Núñez", STAGE, "lab"))


def standing(course):
    return next(one for one in standings(course) if one.is_graded)


def test_a_page(course):
    (path,) = write_feedback(course)
    assert path == course.root / "var" / "feedback" / "José Núñez" / STAGE / "lab.html"
    html = path.read_text(encoding="utf-8")
    assert "<strong>7 of 15 points</strong>" in html
    assert "Got 4, expected 2." in html  # what the test said
    assert "Good, &amp; short." in html
    assert "Mine &amp; &lt;b&gt;bold&lt;/b&gt;." in html
    assert re.findall(r'class="outcome ([\w-]+)"', html) == ["right", "wrong", "read"]
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')


def test_in_spanish(course):
    (path,) = write_feedback(course, [STAGE], "es")
    html = path.read_text(encoding="utf-8")
    assert '<html lang="es">' in html
    assert "<strong>7 de 15 puntos</strong>" in html
    assert "Tus respuestas" in html
    assert feedback.ENGLISH.keys() == feedback.SPANISH.keys()


def test_reasons_and_damage_in_spanish(course, result):
    """What a test of the lab says stays as it is; the rest of the page is Spanish."""
    late = Task("double-tests", "Task 1 · double", 0.0, 4.0, "not run", "the kernel died: it crashed (SIGSEGV)")
    damage = ("Cell 3 (test cell double-tests) was changed: the original was put back.",)
    fields = vars(result) | {"tasks": (late, *result.tasks[1:]), "damage": damage, "reason": late.message}
    html = page(course, Result(**fields), standing(course), "es")
    assert html.count("el kernel se detuvo: falló (SIGSEGV)") == 2
    assert "La celda 3 (celda de prueba double-tests) se modificó: se restauró la original." in html
    assert "kernel died" not in html and "was changed" not in html
    assert "Got 4, expected 2." in html


def test_before_the_answers_are_read(course, result):
    waiting = next(one for one in standings(course) if one.is_graded)
    cells = tuple(
        type(cell)(cell.name, cell.score, cell.most, cell.written, cell.written, "") for cell in waiting.cells
    )
    html = page(course, result, type(waiting)(waiting.student, STAGE, "lab", cells))
    assert "<strong>4 of 15 points</strong>, so far" in html
    assert "– / 5" in html and "still to be read" in html


@pytest.mark.parametrize("told", [HIDDEN, f"Your code raised ValueError: {HIDDEN.replace(' ', chr(10))}"])
def test_no_hidden_test(course, result, told):
    """An answer that runs beside the tests can read them, and put them into its error."""
    spy = Task("double-tests", "Task 1 · double", 0.0, 4.0, "wrong", told)
    fields = vars(result) | {"tasks": (spy, *result.tasks[1:]), "damage": (told,), "reason": told}
    html = page(course, Result(**fields), standing(course))
    assert "62" not in html
    assert html.count("A check failed that is not in your notebook.") == 3


def test_no_traceback(course, result):
    """What nbgrader's own feedback shows: the cell with the hidden test, and the lines around the failure."""
    test = next(cell for cell in result.executed.cells if cell.id == "first-tests")
    test.outputs = [nbformat.v4.new_output("error", ename="E", evalue="no", traceback=["---> 7 assert hidden"])]
    html = page(course, result, standing(course))
    assert "assert" not in html and "--->" not in html


def test_damage_and_reason_are_told(course, result):
    fields = vars(result) | {"damage": ("Cell 3 was mended: it was joined.",), "reason": "the kernel died"}
    html = page(course, Result(**fields), standing(course))
    assert "Cell 3 was mended: it was joined." in html and "the kernel died" in html


def test_mistakes(course, course_error, folder):
    with course_error("'fr'", "--language es"):
        write_feedback(course, language="fr")
    with course_error("'stage9'", STAGE):
        write_feedback(course, ["stage9"])
    with course_error("`resumen grade` first"):
        write_feedback(Course(folder))
