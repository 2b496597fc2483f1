"""Print how many submissions a minute each way of grading does, side by side, in one run on this machine:

    python benchmarks/autograde.py [--submissions 20] [--jobs 1 2] [--stage stage2_tokenization]
    python benchmarks/autograde.py --memory [--submissions 8]

The first table is of a small lab whose setup imports torch and transformers: the first three tasks of stage 2, with all their tests, and
no story. With `--stage` a second table is of that lab as it is handed out, its stories included.
`stock` is the command `nbgrader autograde`, one process for each job; the others are `resumen grade` in its modes, each with a folder of
its own, the start of everything included. The scores of all are compared. What has to be reached is in `BARS`, of the small lab.

`--memory` prints the peak of what four jobs at a time use: the sum of the processes' proportional shares (PSS).
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil

from resumen.instructor import forkserver, sandbox

if sys.argv[1:2] == ["--one"] and sys.argv[3] != "cold":
    forkserver.start()  # before nbgrader is loaded, as `resumen grade` does

from resumen.instructor import report
from resumen.instructor.collect import find_submissions
from resumen.instructor.grade import grade
from resumen.instructor.gradebook import Course, standings
from resumen.instructor.job import COLD, SANDBOX, STOCK, TWO_PROCESS, WARM
from resumen.instructor.plan import left_out
from resumen.notebooks import is_answer, is_test

ROOT = Path(__file__).parents[1]
SMALL, FROM = "small", "stage2_tokenization"

BARS = {SANDBOX: 10, TWO_PROCESS: 8}
"""How many times the submissions a minute of stock."""

MOST_MEMORY = 1.5e9

# nbgrader as it comes: its own steps, its own exporter of notebooks.
PLAIN = "c.Autograde.sanitize_preprocessors", "c.Autograde.exporter_class"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=20)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--stage", help="a lab, for a second table")
    parser.add_argument("--modes", nargs="+", default=[STOCK, COLD, WARM, SANDBOX, TWO_PROCESS])
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if missing := sandbox.available():
        sys.exit(missing)
    if options.memory:
        fits = [memory(mode, options.submissions) for mode in BARS]
        sys.exit(not all(fits))
    fine = [table(SMALL, options)]
    if options.stage:
        fine.append(table(options.stage, options))
    sys.exit(not all(fine))


def table(stage: str, options: argparse.Namespace) -> bool:
    """Print the table of a lab, and return whether scores agree and, of the small lab, the bars are met."""
    print(f"\n{options.submissions} submissions of {stage}, submissions a minute (times stock)\n")
    print("| jobs |", " | ".join(options.modes), "|")
    print("|---" * (len(options.modes) + 1) + "|")
    scores, fine = {}, True
    with tempfile.TemporaryDirectory() as folder:
        made = make(Path(folder, "made"), stage, options.submissions)
        for jobs in options.jobs:
            rates = {}
            for mode in options.modes:
                course = Path(shutil.copytree(made, Path(folder, f"{mode}-{jobs}")))
                began = time.monotonic()
                (stock if mode == STOCK else ours)(course, mode, jobs)
                rates[mode] = 60 * options.submissions / (time.monotonic() - began)
                scores[mode, jobs] = read(course)
                shutil.rmtree(course)
            base = rates.get(STOCK)
            shown = [f"{rate:.1f}" + (f" ({rate / base:.1f})" if base else "") for rate in rates.values()]
            print(f"| {jobs} |", " | ".join(shown), "|", flush=True)
            for mode, times in BARS.items() if stage == SMALL else ():
                if base and mode in rates and rates[mode] < times * base:
                    fine = False
                    print(f"{mode} with {jobs} jobs is below its bar: {times} times stock.")
    different = [names for names, each in scores.items() if each != next(iter(scores.values()))]
    print("\nAll scores are the same." if not different else f"\nThe scores differ: {different}")
    return fine and not different


def memory(mode: str, count: int) -> bool:
    """Print what grading with four jobs at a time uses, and return whether it is within `MOST_MEMORY`."""
    with tempfile.TemporaryDirectory() as folder:
        course, peak = make(Path(folder, "made"), "stage2_tokenization", count), 0
        run = subprocess.Popen([sys.executable, __file__, "--one", str(course), mode, "4"])
        while run.poll() is None:
            peak = max(peak, shares(psutil.Process(run.pid)))
            time.sleep(0.2)
    print(
        f"{mode}: four jobs use {peak / 1e9:.2f} GB at most, everything included (bar: {MOST_MEMORY / 1e9} GB)",
        flush=True,
    )
    return peak <= MOST_MEMORY


def shares(process: psutil.Process) -> int:
    """Return the proportional shares of a process and all its descendants, in bytes."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error, OSError):
                rollup = Path(f"/proc/{one.pid}/smaps_rollup").read_text()
                total += 1024 * int(re.search(r"^Pss: +(\d+)", rollup, re.M)[1])
    return total


def make(course: Path, stage: str, count: int) -> Path:
    """Make a course in which every student has some answers right, some untouched and one wrong, in turn."""
    name = FROM if stage == SMALL else stage
    for kind in ("solutions", "labs"):
        path = course / kind / name / "lab.ipynb"
        path.parent.mkdir(parents=True)
        notebook = nbformat.read(ROOT / kind / name / "lab.ipynb", as_version=4)
        nbformat.write(shortened(notebook) if stage == SMALL else notebook, path)
    shutil.copyfile(ROOT / "nbgrader_config.py", course / "nbgrader_config.py")
    Course(course).record([name])
    source = nbformat.read(course / "solutions" / name / "lab.ipynb", as_version=4)
    for student in range(count):
        notebook = nbformat.read(course / "labs" / name / "lab.ipynb", as_version=4)
        answers = [pair for pair in zip(notebook.cells, source.cells, strict=True) if is_answer(pair[0])]
        for number, (cell, original) in enumerate(answers):
            turn = (number + student) % 5
            if cell.cell_type == "code" and turn:
                cell.source = re.sub(r"^[ \t]*### (BEGIN|END) SOLUTION\n?", "", original.source, flags=re.M)
            if cell.cell_type == "code" and turn == 1:
                cell.source += "\nraise ValueError('not like this')"
        place = course / "var" / "submitted" / f"student{student:03d}" / name
        place.mkdir(parents=True)
        nbformat.write(notebook, place / "lab.ipynb")
    return course


def shortened(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a lab's first three tasks."""
    tests = [place for place, cell in enumerate(notebook.cells) if is_test(cell)]
    notebook.cells = notebook.cells[: tests[2] + 1]
    skipped = left_out(notebook)
    notebook.cells = [cell for place, cell in enumerate(notebook.cells) if place not in skipped]
    return notebook


def stock(course: Path, mode: str, jobs: int) -> None:
    """Grade with `nbgrader autograde`, each process its share of the students."""
    config = course / "nbgrader_config.py"
    lines = config.read_text().splitlines()
    config.write_text("\n".join(line for line in lines if not line.startswith(PLAIN)) + "\n")
    students = sorted(path.name for path in (course / "var" / "submitted").iterdir())
    shares = [students[number::jobs] for number in range(jobs)]
    (stage,) = (path.name for path in (course / "solutions").iterdir())
    command = [sys.executable, "-m", "nbgrader", "autograde", stage]
    url = f"sqlite:///{course / 'var' / 'gradebook.db'}?timeout=60"
    processes = []
    for share in shares:
        others = ",".join(set(students) - set(share))
        line = [*command, f"--CourseDirectory.db_url={url}", f"--CourseDirectory.student_id_exclude={others}"]
        processes.append(subprocess.Popen(line, cwd=course, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    for process in processes:
        if process.wait():
            sys.exit("nbgrader autograde failed.")


def ours(course: Path, mode: str, jobs: int) -> None:
    """Grade with `resumen grade`, in a process of its own, as on the command line."""
    subprocess.run([sys.executable, __file__, "--one", str(course), mode, str(jobs)], check=True)


def one(course: Path, mode: str, jobs: int) -> None:
    found, _ = find_submissions(course / "var" / "submitted")
    graded = grade(Course(course), found, mode=mode, jobs=jobs)
    assert len(graded.results) == len(found) > 0, graded.ungraded
    report.write_lists(Course(course), graded)


def read(course: Path) -> dict:
    """Return every automatic score of a gradebook."""
    every = standings(Course(course))
    return {(one.student, cell.name): cell.score for one in every for cell in one.cells}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main()
