"""`resumen progress`: where a learner stands, for the terminal and as a page of the workspace.

A lecture counts by the cells that were run, a lab by its tasks, a self-check by the points that the learner kept. A lab is run again
only if its answers, its tests or the package changed.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from resumen import __version__
from resumen.check import notebook as lab
from resumen.check.cells import read_cells
from resumen.check.notebook import ANSWERED, WRITTEN, Examined, Row
from resumen.check.workspace import read_manifest
from resumen.errors import CourseError
from resumen.files import LAB, PROJECT, WORKSPACE, markdown_table, write_text
from resumen.lab import NOT_ATTEMPTED, RIGHT, WRONG
from resumen.quiz.score import Score, read_scores
from resumen.setup import PROJECTS, STAGES, lecture_path

PAGE = "progress.md"

RESULTS = WORKSPACE.with_name("results.json")
"""{"read": {lesson: largest share of the lecture's cells that were run}, "runs": {notebook: {"key": ..., "full": ..., "rows": ...}}}"""


@dataclass(frozen=True)
class Standing:
    """Where a learner stands in a lesson, or in a project.

    Attributes:
        name: its slug.
        notebook: the lab or the project's notebook, as a path in the workspace; "" if there is none.
        read: the share of the lecture's code cells that were run; None if there is no lecture.
        rows: what became of each task; None if the answers were not run yet, or cannot be.
        is_full: hidden tests were run too.
        trouble: why the notebook cannot be run, "" if it can.
        score: the points kept of the self-check, None if there are none.
        minutes: those of lecture, lab and quiz.
    """

    name: str
    notebook: str
    read: float | None
    rows: list[Row] | None
    is_full: bool
    trouble: str
    score: Score | None
    minutes: dict[str, int]

    def count(self, outcome: str) -> int:
        """Return how many tasks ended so; a written answer, which no program grades, is none of them."""
        return sum(row.outcome == outcome and row.task != WRITTEN for row in self.rows or ())

    @property
    def written(self) -> str:
        """What became of the written answer, "" if it is not known or there is none."""
        return next((row.outcome for row in self.rows or () if row.task == WRITTEN), "")

    @property
    def minutes_left(self) -> int:
        """The minutes of what is not run, not right and not scored."""
        done = sum(row.outcome in (RIGHT, ANSWERED) for row in self.rows or ())
        shares = {
            "lecture": self.read or 0,
            "lab": done / len(self.rows) if self.rows else 0,
            "quiz": self.score is not None,
        }
        return round(sum(minutes * (1 - shares[part]) for part, minutes in self.minutes.items()))


def look(folder: Path, run: bool = True, on_run: Callable[[str], None] = lambda name: None) -> list[Standing]:
    """Return where a learner stands in each lesson and in each project that was begun.

    Args:
        folder: the workspace.
        run: run the labs whose answers changed; without, their tasks are not known.
        on_run: called with the name of a notebook before it is run.

    Raises:
        CourseError: if the folder is no workspace, its manifest is damaged, or there is no kernel.
    """
    minutes, results, scores = read_manifest(folder)["minutes"], _read_results(folder), read_scores(folder)
    standings = []
    for lesson in minutes:
        results["read"][lesson] = max(_share_run(lecture_path(folder, lesson)), results["read"].get(lesson, 0))
    _write_results(folder, results)
    for lesson in minutes:
        read = results["read"][lesson]
        name = f"labs/{lesson}/{LAB}" if lesson in STAGES else ""
        rows, is_full, trouble = _tasks(folder, name, results["runs"], run, on_run)
        standings.append(Standing(lesson, name, read, rows, is_full, trouble, scores.get(lesson), minutes[lesson]))
    for project in PROJECTS:
        begun = sorted((folder / "capstone" / project).glob(f"*/{PROJECT}"))
        name = begun[0].relative_to(folder).as_posix() if begun else ""
        rows, is_full, trouble = _tasks(folder, name, results["runs"], run, on_run)
        standings.append(Standing(project, name, None, rows, is_full, trouble, None, {}))
    return standings


def keep_full(folder: Path, path: Path, examined: Examined, rows: list[Row]) -> None:
    """Keep what `resumen check --full` found of a lab in a workspace: it counts for as long as the answers stay the same."""
    name = path.resolve().relative_to(folder.resolve()).as_posix()
    _keep_run(folder, name, {"key": _key(examined), "full": True, "rows": list(map(asdict, rows))})


def _keep_run(folder: Path, name: str, run: dict) -> None:
    """Keep a result at once: neither a stop nor another terminal costs it. A full one of the same answers stays."""
    results = _read_results(folder)
    if run["full"] or results["runs"].get(name, {}).get("key") != run["key"]:
        results["runs"][name] = run
        _write_results(folder, results)


def _share_run(path: Path) -> float:
    """Return the share of a lecture's code cells that were run; 0 if it cannot be read."""
    try:
        cells = [cell for cell in read_cells(path.read_bytes())[0] if cell.kind == "code" and not cell.is_blank]
    except (OSError, CourseError):
        return 0
    return sum(cell.count is not None for cell in cells) / len(cells) if cells else 0


def _tasks(
    folder: Path, name: str, runs: dict, run: bool, on_run: Callable[[str], None]
) -> tuple[list[Row] | None, bool, str]:
    """Return what became of a notebook's tasks, whether hidden tests were among theirs, and why it is not known."""
    if not name:
        return None, False, ""
    path = folder / name
    if not path.exists():
        return None, False, f"{name} is missing: `resumen start` brings it back."
    try:
        examined = lab.examine(path, lab.LABS)
    except CourseError as error:
        return None, False, str(error)
    key = _key(examined)
    if runs.get(name, {}).get("key") == key:
        return [Row(**row) for row in runs[name]["rows"]], runs[name]["full"], ""
    is_attempted = lab.is_attempted(examined.mended, examined.released)
    if is_attempted and not run:
        return None, False, ""
    if is_attempted:
        on_run(name)
        os.environ.setdefault("RESUMEN_QUICK", "1")  # a project's fine-tunes take minutes; its tasks need none of them
    rows = lab.run(examined.mended, path.parent, examined.released)
    _keep_run(folder, name, {"key": key, "full": False, "rows": list(map(asdict, rows))})
    return rows, False, ""


def _key(examined: Examined) -> str:
    """Return what a result hangs on: answers, tests, and the package that they use."""
    cells = [(cell.id, cell.source) for cell in examined.mended.cells]
    return hashlib.sha256(json.dumps([__version__, cells]).encode()).hexdigest()


def _read_results(folder: Path) -> dict:
    """Return what was found before; nothing if it cannot be read: it is found again."""
    try:
        results = json.loads((folder / RESULTS).read_bytes())
        for run in results["runs"].values():
            _ = [Row(**row) for row in run["rows"]], run["key"], run["full"]
        return {"read": {lesson: float(share) for lesson, share in results["read"].items()}, "runs": results["runs"]}
    except (OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return {"read": {}, "runs": {}}


def _write_results(folder: Path, results: dict) -> None:
    write_text(folder / RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


# How it is told -----------------------------------------------------------------------------------------------------------

HEAD = ("lesson", "lecture", "right", "wrong", "not attempted", "written", "quiz", "minutes left")

EXPLAINED = """\
*Lecture* is the share of its code cells that you ran, and *quiz* the points that you kept below the self-check. *Written* is the written \
task, which no program judges. *Minutes left* counts what is not run, not right, not written and without points."""


def table(standings: list[Standing]) -> list[list[str]]:
    """Return the rows below `HEAD`."""
    return [
        [
            _label(standing.name),
            "" if standing.read is None else f"{standing.read:.0%}",
            *_counts(standing),
            {ANSWERED: "yes", NOT_ATTEMPTED: "no"}.get(standing.written, ""),
            "" if standing.score is None else str(standing.score),
            str(standing.minutes_left) if standing.minutes else "",
        ]
        for standing in standings
    ]


def _label(name: str) -> str:
    return f"stage {STAGES.index(name) + 1}" if name in STAGES else name


def _counts(standing: Standing) -> list[str]:
    if standing.rows is None:
        return ["?" if standing.notebook else ""] * 3
    return [str(standing.count(outcome)) for outcome in (RIGHT, WRONG, NOT_ATTEMPTED)]


def summary(standings: list[Standing]) -> str:
    """Return all of it in one line; projects have no minutes."""
    right, wrong, untouched = (
        sum(one.count(outcome) for one in standings) for outcome in (RIGHT, WRONG, NOT_ATTEMPTED)
    )
    left = sum(one.minutes_left for one in standings)
    return (
        f"{right} of {right + wrong + untouched} tasks right, {wrong} wrong, {untouched} not attempted. "
        f"{left // 60} h {left % 60} min left, without the projects."
    )


def judged(standings: list[Standing]) -> str:
    """Return which tests the outcomes come from."""
    full = [_label(one.name) for one in standings if one.is_full]
    told = f"Hidden tests judged {', '.join(full)}; the visible ones judged the rest." if full else ""
    return told or "The visible tests judged these. `resumen check LAB --full` runs the hidden ones as well."


def troubles(standings: list[Standing]) -> list[str]:
    """Return a sentence for each notebook of which nothing is known."""
    sentences = []
    for one in standings:
        if one.trouble:
            sentences.append(one.trouble)
        elif one.notebook and one.rows is None:
            sentences.append(f"{one.notebook} was not run since you changed it: `resumen progress` runs it.")
    return sentences


def write_page(folder: Path, standings: list[Standing]) -> Path:
    """Write the page of the workspace, with a link to everything there is to do, and return it."""
    rows = []
    for standing, (label, read, *tasks, score, left) in zip(standings, table(standings), strict=True):
        name, is_project = standing.name, standing.name in PROJECTS
        lecture = f"capstone/{name}/brief.md" if is_project else lecture_path(Path(), name).as_posix()
        notebook = f"[{'notebook' if is_project else 'lab'}]({quote(standing.notebook)})" if standing.notebook else ""
        quiz = "" if is_project else f"[{score or 'open'}](quizzes/{name}.ipynb)"
        rows.append([f"[{label}]({lecture})", read, notebook, *tasks, quiz, left])
    head = (*HEAD[:2], "lab", *HEAD[2:])
    wrong = [
        f"- [{_label(standing.name)}]({quote(standing.notebook)}), {_escaped(row.task)}: {_escaped(row.why)}"
        for standing in standings
        for row in standing.rows or ()
        if row.outcome == WRONG
    ]
    parts = [
        "# Your progress",
        "Begin with the [course map](stages/README.md). How this folder works: [your workspace](docs/workspace.md) · "
        "[tu carpeta de trabajo](docs/workspace.es.md).",
        f"**{summary(standings)}**",
        markdown_table(head, rows),
        judged(standings),
        EXPLAINED,
        *(["## Wrong so far", "\n".join(wrong)] if wrong else []),
        *map(_escaped, troubles(standings)),
        "Save your notebooks, then run `resumen progress` in a terminal (*File → New → Terminal*): it writes this page again.",
    ]
    write_text(folder / PAGE, "\n\n".join(parts) + "\n")
    return folder / PAGE


def _escaped(text: str) -> str:
    """Return a text in one line, in which no character means anything to Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|&$~])", r"\\\1", " ".join(text.split()))
