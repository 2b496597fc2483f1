"""What an instructor reads and an LMS imports: what was not graded is empty, never 0."""

import csv
import json

import pytest
from rich.console import Console
from small_course import RIGHT, STAGE, WRONG, faulty, hand_in
from test_grade import run

from resumen.instructor import alike, report
from resumen.instructor.gradebook import Course

LONG = "\n".join(f"    step_{number} = x + {number}" for number in range(12))
COPIED = {"double": f"def double(x):\n{LONG}\n    return step_0 + x"}
RENAMED = {"double": COPIED["double"].replace("step_3", "stage_3")}
OTHER = {
    "double": "def double(x):\n    # "
    + "Twice a number is the number and the number again. " * 4
    + "\n    return x + x"
}


@pytest.fixture(scope="module")
def graded(shared):
    """A class: one has everything, one waits for a reader, one has nothing, one could not be graded, one handed in nothing."""
    folder = shared
    found = [
        hand_in(folder, "Ana_12345", {**RIGHT, "written": "Mine."}),
        hand_in(folder, "Ana_12345", {"letters": 'letters = "AC"'}, "quiz"),
        hand_in(folder, "José Núñez", {**RIGHT, "first": WRONG["first"], "written": "Mine."}),
        hand_in(folder, "Li, Wei", {}),
        hand_in(folder, "full-always", RIGHT),
    ]
    course = Course(folder)
    with course.gradebook() as book:
        book.add_student("=absent", first_name="Eva", last_name="Absent", email="eva@example.org")
    graded = run(folder, found, faulty)
    with course.gradebook() as book:
        written = book.find_grade("written", "lab", STAGE, "Ana_12345")
        written.manual_score, written.extra_credit, written.needs_manual_grade = 4, 0.5, False
        book.db.commit()
    report.write_lists(course, graded)
    return course, graded


def rows(course, name):
    with open(course.root / "var" / "scores" / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_scores(graded):
    found = {(row["student_id"], row["notebook"]): row for row in rows(graded[0], "scores.csv")}
    some = ("automatic", "written", "score", "state")
    assert {names: [row[name] for name in some] for names, row in found.items()} == {
        ("Ana_12345", "lab"): ["10", "4.5", "14.5", "graded"],
        ("Ana_12345", "quiz"): ["0", "", "0", "graded"],
        ("José Núñez", "lab"): ["4", "", "", "1 to read"],
        ("José Núñez", "quiz"): ["", "", "", "not handed in"],
        ("Li, Wei", "lab"): ["0", "0", "0", "graded"],
        ("Li, Wei", "quiz"): ["", "", "", "not handed in"],
        ("'=absent", ""): ["", "", "", "not handed in"],
    }


def test_what_an_lms_imports(graded):
    moodle = {row["Student"]: row for row in rows(graded[0], "moodle.csv")}
    assert {name: row[STAGE] for name, row in moodle.items()} == {
        "Ana_12345": "14.5",
        "José Núñez": "",
        "Li, Wei": "0",
        "'=absent": "",
    }
    assert moodle["'=absent"]["Email address"] == "eva@example.org"
    most, *canvas = rows(graded[0], "canvas.csv")
    assert (most["Student"], most[STAGE]) == ("    Points Possible", "17")
    assert {(row["ID"], row[STAGE]) for row in canvas} == {("12345", "14.5"), ("", "0"), ("", "")}


def test_nbgrader_export(graded, tmp_path):
    """nbgrader's own plugin writes 0.0 for work that was never graded, and a comma in a name breaks its rows."""
    course, target = graded[0], tmp_path / "grades.csv"
    plugin = report.NbgraderExport(to=str(target))
    with course.gradebook() as book:
        plugin.export(book)
    with open(target, encoding="utf-8", newline="") as file:
        found = {row["student_id"]: (row["score"], row["max_score"]) for row in csv.DictReader(file)}
    assert found == {
        "Ana_12345": ("14.5", "17"),
        "José Núñez": ("4", "17"),
        "Li, Wei": ("0", "17"),
        "'=absent": ("", "17"),
    }
    assert course.config.ExportApp.plugin_class == "resumen.instructor.report.NbgraderExport"


def test_json_lines(graded):
    lines = [
        json.loads(line) for line in (graded[0].root / "var" / "scores" / "results.jsonl").read_text().splitlines()
    ]
    by_names = {(line["student"], line["notebook"]): line for line in lines}
    assert len(by_names) == len(lines) == 5
    jose = by_names["José Núñez", "lab"]
    assert (jose["points"], jose["most"], jose["reason"]) == (4, 10, "")
    assert [task["outcome"] for task in jose["tasks"]] == ["right", "wrong", "to read"]
    assert by_names["full-always", "lab"]["points"] is None


def test_table(graded):
    console = Console(width=120)
    with console.capture() as capture:
        for table in report.tables(graded[1]):
            console.print(table)
    text = capture.get()
    assert "stage1_corpus/lab: n = 3, mean 4.7 of 10 automatic points" in text
    assert [line for line in text.splitlines() if "double" in line and "2 (67%)" in line]
    assert [line for line in text.splitlines() if "In your words" in line and "2 to read" in line]
    (sentence,) = report.failures(graded[1])
    assert sentence == "Not graded, as the disk is full: full-always (stage1_corpus/lab)."


def test_alike(folder):
    answers = {"Ana": COPIED, "José": RENAMED, "Li": OTHER, "Eva": {}}
    done = run(folder, [hand_in(folder, name, each) for name, each in answers.items()])
    (pair,) = alike.pairs(Course(folder), done.results)
    assert (pair.one, pair.other, pair.cells, pair.compared) == ("Ana", "José", ("double",), 1)
    assert 90 < pair.likeness < 100
