"""What came of a class: a table for each notebook, one line of JSON for each submission, and the lists that an LMS imports.

What was not graded is empty everywhere. nbgrader's own export writes 0.0 there; `NbgraderExport` writes what it should.
"""

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins import ExportPlugin
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from resumen.instructor.alike import pairs
from resumen.instructor.grade import Graded
from resumen.instructor.gradebook import Course, Standing, standings
from resumen.instructor.job import RIGHT, TO_READ, Result, write_whole

NAMED = 5
"""How many students a table names for one reason."""


@contextmanager
def progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show how far a run is, how many a minute it does, and the time left; what it yields is called with (done, total)."""
    columns = [TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}")]
    with Progress(*columns, TimeRemainingColumn(), TextColumn("left"), console=console) as bar:
        shown = bar.add_task("", total=None, rate="")
        first: list[int] = []

        def on_progress(done: int, total: int) -> None:
            if not first:  # done by an earlier run: no part of this one's rate
                first.append(done)
                bar.reset(shown, total=total - done)
            minutes = (bar.tasks[0].elapsed or 0) / 60
            rate = f"{(done - first[0]) / minutes:.1f} a minute" if minutes else ""
            bar.update(shown, completed=done - first[0], rate=rate)

        yield on_progress


def tables(graded: Graded) -> list[Table]:
    """Return a table for each notebook: how many, the mean, each task's success, and why submissions were not run to their end."""
    by_notebook: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in graded.results:
        by_notebook[result.assignment, result.notebook].append(result)
    return [_table(*names, results) for names, results in sorted(by_notebook.items())]


def _table(assignment: str, notebook: str, results: list[Result]) -> Table:
    mean = sum(result.points for result in results) / len(results)
    most = max(result.most for result in results)
    title = f"{assignment}/{notebook}: n = {len(results)}, mean {mean:.1f} of {most:g} automatic points"
    table = Table("task", "points", "all points", "some", "none", title=escape(title), title_justify="left")
    tasks: dict[str, list] = defaultdict(list)
    for result in results:
        for task in result.tasks:
            tasks[task.id].append(task)
    for several in tasks.values():
        if any(task.written for task in several):
            waiting = sum(task.outcome == TO_READ for task in several)
            table.add_row(escape(several[0].name), f"{several[0].most:g}", f"{waiting} to read", "", "")
            continue
        right = sum(task.outcome == RIGHT for task in several)
        none = sum(not task.points for task in several)
        share = f"{right} ({right / len(several):.0%})"
        table.add_row(
            escape(several[0].name), f"{several[0].most:g}", share, str(len(several) - right - none), str(none)
        )
    return table


def failures(graded: Graded) -> list[str]:
    """Return a sentence for each reason for which submissions were not run, or not to their end, with who it was."""
    who: dict[str, list[str]] = defaultdict(list)
    for result in graded.results:
        if result.reason:
            who[f"Not run to the end, as {_lowered(result.reason)}"].append(_shown(result.names))
    for names, reason in graded.ungraded.items():
        who[f"Not graded, as {_lowered(reason)}"].append(_shown(names))
    sentences = []
    for reason, names in sorted(who.items(), key=lambda one: -len(one[1])):
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        sentences.append(f"{reason.rstrip('.')}: {', '.join(names[:NAMED])}{more}.")
    return sentences


def _shown(names: tuple[str, str, str]) -> str:
    student, assignment, notebook = names
    return f"{student} ({assignment}/{notebook})"


def _lowered(text: str) -> str:
    first, _, rest = text.partition(" ")
    return f"{first.lower()} {rest}" if first.istitle() else text


def json_lines(graded: Graded) -> str:
    """Return one line of JSON for each submission: points (null if it was not graded), tasks, reason, what was mended."""
    lines = []
    for result in graded.results:
        tasks = [
            {name: value for name, value in vars(task).items() if value != "" and value is not False}
            for task in result.tasks
        ]
        lines.append(
            _keys(result.names)
            | {"points": result.points, "most": result.most, "reason": result.reason, "damage": list(result.damage)}
            | {"mode": result.mode, "seconds": result.seconds, "tasks": tasks}
        )
    for names, reason in graded.ungraded.items():
        lines.append(_keys(names) | {"points": None, "reason": reason})
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _keys(names: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("student", "assignment", "notebook"), names, strict=True))


# Lists ----------------------------------------------------------------------------------------------------------------


def write_lists(course: Course, graded: Graded, alike: bool = False) -> list[Path]:
    """Write the lists into var/scores/, from the gradebook as it is now, and return them.

    Args:
        course: the instructor's folder.
        graded: what `results.jsonl` and `alike.csv` are about.
        alike: write `alike.csv` as well.
    """
    every = standings(course)
    with course.gradebook() as gradebook:
        people = {one.id: (one.last_name, one.first_name, one.email, one.lms_user_id) for one in gradebook.students}
    folder = course.root / "var" / "scores"
    texts = {
        "results.jsonl": json_lines(graded),
        "scores.csv": _csv(_scores(course, every, people)),
        "moodle.csv": _csv(_moodle(course, every, people)),
        "canvas.csv": _csv(_canvas(course, every, people)),
    }
    if alike:
        texts["alike.csv"] = _csv(_alike(course, graded))
    for name, text in texts.items():
        write_whole(folder / name, text)
    return [folder / name for name in texts]


def _csv(rows: Iterable[list]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value) -> str:
    if isinstance(value, float):
        return f"{round(value, 4):g}"
    text = "" if value is None else str(value)
    # A spreadsheet takes these for formulas, and students choose their names.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def state_of(course: Course, one: Standing) -> str:
    """Return in words where a notebook stands."""
    if one.is_graded:
        return f"{one.to_read} to read" if one.to_read else "graded"
    return "not graded" if course.submitted(one.student, one.assignment, one.notebook).is_file() else "not handed in"


def totals(course: Course, every: list[Standing]) -> dict[tuple[str, str], float | None]:
    """Return the score of each (student, assignment): of the notebooks that were handed in; None unless all of these are graded."""
    parts: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    for one in every:
        own = parts[one.student, one.assignment]
        if state_of(course, one) != "not handed in":
            own.append(one.score)
    return {names: sum(scores) if scores and None not in scores else None for names, scores in parts.items()}


def _scores(course: Course, every: list[Standing], people: dict) -> Iterable[list]:
    who = ("student_id", "last_name", "first_name", "assignment", "notebook")
    yield [*who, "automatic", "written", "penalty", "score", "max_score", "state"]
    for one in every:
        last, first, _, _ = people[one.student]
        penalty = one.penalty or None
        parts = [one.part(written=False), one.part(written=True), penalty, one.score, one.most, state_of(course, one)]
        yield [one.student, last, first, one.assignment, one.notebook, *parts]
    for student in sorted(people.keys() - {one.student for one in every}):
        last, first, _, _ = people[student]
        yield [student, last, first, *[None] * 7, "not handed in"]


def _moodle(course: Course, every: list[Standing], people: dict) -> Iterable[list]:
    """Yield what Moodle imports under *Grades → Import → CSV file*, where each column is mapped by hand."""
    scores, assignments = totals(course, every), sorted({one.assignment for one in every})
    yield ["Student", "First name", "Last name", "Email address", *assignments]
    for student, (last, first, email, _) in sorted(people.items()):
        yield [student, first, last, email, *(scores.get((student, name)) for name in assignments)]


def _canvas(course: Course, every: list[Standing], people: dict) -> Iterable[list]:
    """Yield what Canvas imports under *Grades → Import*. It finds a student by the number that ends the id of a download."""
    scores, assignments = totals(course, every), sorted({one.assignment for one in every})
    most = Counter()
    for one in {(one.assignment, one.notebook): one for one in every}.values():
        most[one.assignment] += one.most
    yield ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *assignments]
    yield ["    Points Possible", "", "", "", "", *(float(most[name]) for name in assignments)]
    for student, (last, first, _, user) in sorted(people.items()):
        number = user or (student.rpartition("_")[2] if student.rpartition("_")[2].isdigit() else "")
        name = f"{last}, {first}" if last and first else student
        yield [name, number, "", "", "", *(scores.get((student, one)) for one in assignments)]


def _alike(course: Course, graded: Graded) -> Iterable[list]:
    yield ["assignment", "notebook", "student", "other student", "alike", "compared", "likeness", "cells"]
    for pair in pairs(course, graded.results):
        cells = [len(pair.cells), pair.compared, pair.likeness, " ".join(pair.cells)]
        yield [pair.assignment, pair.notebook, pair.one, pair.other, *cells]


class NbgraderExport(ExportPlugin):
    """`nbgrader export`: its own columns, in quotes where they need them, and empty where nothing was graded."""

    def export(self, gradebook: Gradebook) -> None:
        """Write one row for each assignment and student."""
        chosen = {"assignment": set(map(str, self.assignment)), "student": set(map(str, self.student))}
        people = ("last_name", "first_name", "email")
        scores = ("raw_score", "late_submission_penalty", "score")
        rows = [["assignment", "duedate", "timestamp", "student_id", *people, *scores, "max_score"]]
        for assignment in gradebook.assignments:
            for student in gradebook.students:
                if chosen["assignment"] and assignment.name not in chosen["assignment"]:
                    continue
                if chosen["student"] and student.id not in chosen["student"]:
                    continue
                try:
                    submission = gradebook.find_submission(assignment.name, student.id)
                except MissingEntry:
                    submission = None
                person = [getattr(student, name) for name in people]
                stamp = submission.timestamp if submission else None
                row = [assignment.name, assignment.duedate, stamp, student.id, *person]
                rows.append([*row, *_points(submission), float(assignment.max_score)])
        target = Path(self.to or "grades.csv")
        self.log.info("Exporting grades to %s", target)
        write_whole(target, _csv(rows))


def _points(submission) -> list[float | None]:
    """Return points, penalty and score; None for a submission of which nothing was graded."""
    grades = [grade for notebook in submission.notebooks for grade in notebook.grades] if submission else []
    if all(grade.auto_score is None and grade.manual_score is None for grade in grades):
        return [None, None, None]
    penalty = submission.late_submission_penalty or 0.0
    return [submission.score, penalty, max(0.0, submission.score - penalty)]
