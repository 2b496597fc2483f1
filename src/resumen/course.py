"""`resumen course`: run the lectures, two at a time, and print what was learned.

A lecture says itself what the closing tables need, in one of its last cells:

    from resumen.course import summary

    summary.tell(fine_tuning_seconds=61.3)
"""

import json
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from resumen.errors import CourseError
from resumen.experiment import SYSTEMS
from resumen.files import LECTURE, SUMMARY, write_text
from resumen.setup import STAGES, lecture_path

# Stage 4 gives the course's verdict: stage 5 trains the same model again, and its scores are in its lecture.
TOLD_BY = {
    "stage4_trainer": ("fine_tuning_seconds", "seeds", "systems", "differences"),
    "stage5_accelerate": ("fine_tuning_seconds",),
}
"""The figures that each lecture has to tell. `systems` and `differences` are {part: what experiment.compare returns}."""

VERDICT = ("seeds", "systems", "differences")
"""Figures of the whole course, as told; the others belong to their stage."""

AT_A_TIME = 2
"""Lectures: no lecture needs another one, and one of them is content with one core."""

SHOWN = ("rouge1", "rougeL")
"""The scores in the closing tables; summary.json has all."""

PROBE = """
import json as _json, resource as _resource, sys as _sys
from resumen.course import summary as _summary
_peak = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
print(_json.dumps({"told": _summary.told, "peak": _peak // (1024**2 if _sys.platform == "darwin" else 1024)}))
"""


class Summary:
    """What is told of a run of the course: minutes and memory of each stage, and the figures of its lecture.

    Attributes:
        stages: a row per stage that ran to its end: seconds, peak_memory_mb, and the lecture's own fine_tuning_seconds.
        told: the figures of the lecture that is running, by name; of the whole course, those of `VERDICT`.
    """

    def __init__(self) -> None:
        self.stages: dict[str, dict] = {}
        self.told: dict = {}

    def tell(self, **figures) -> None:
        """Tell figures of a lecture, by name.

        Raises:
            CourseError: if nobody asks for a figure of that name.
        """
        asked = {name for names in TOLD_BY.values() for name in names}
        for name in figures:
            if name not in asked:
                raise CourseError(
                    f"No table of the course has a figure {name!r}: tell one of {', '.join(sorted(asked))}."
                )
        self.told |= figures

    def add(self, stage: str, seconds: float, peak: int, told: dict) -> None:
        """Take in what a stage took and what its lecture told.

        Raises:
            CourseError: if the lecture did not tell a figure that it has to.
        """
        missing = [name for name in TOLD_BY.get(stage, ()) if name not in told]
        if missing:
            raise CourseError(
                f"{stage}/{LECTURE} did not tell {' and '.join(missing)}: one of its last cells must call "
                f"`summary.tell({', '.join(f'{name}=…' for name in missing)})`."
            )
        self.stages[stage] = {"seconds": round(seconds, 1), "peak_memory_mb": peak}
        if "fine_tuning_seconds" in told:
            self.stages[stage]["fine_tuning_seconds"] = round(told["fine_tuning_seconds"], 1)
        self.told |= {name: told[name] for name in VERDICT if name in told}

    def tables(self, seconds: float, failed: Collection[str] = ()) -> list[Table]:
        """Return the closing tables: one row per stage, then the scores that were told, one table for each kind of text.

        Args:
            seconds: what all of it took. Stages run side by side, so it is less than their sum.
            failed: the stages whose lecture did not run to its end.
        """
        table = Table("stage", "minutes", "peak memory (MB)", "status", title="The course")
        for stage in STAGES:
            row = self.stages.get(stage)
            if row:
                table.add_row(stage, f"{row['seconds'] / 60:.1f}", str(row["peak_memory_mb"]), "done")
            else:
                table.add_row(stage, "", "", "failed" if stage in failed else "not run")
        table.add_section()
        table.add_row("all", f"{seconds / 60:.1f}", "", "")
        return [table, *(self._scores(part) for part in self.told.get("systems", ()))]

    def _scores(self, part: str) -> Table:
        """Return the table of one kind of text: each system's scores, and fine-tuned minus the system."""
        seeds = self.told["seeds"]
        table = Table(
            "",
            "system",
            *(column for score in SHOWN for column in (score, "fine-tuned minus it")),
            title=f"ROUGE × 100 on {part}, {seeds} seed{'s' * (seeds > 1)}; differences with 95 % intervals",
        )
        for language, systems in self.told["systems"][part].items():
            for name in sorted(systems, key=SYSTEMS.index):
                gaps = self.told["differences"][part][language].get(name, {})
                cells = [(f"{systems[name][score]:.1f}", _interval(gaps.get(score))) for score in SHOWN]
                table.add_row(language, name, *(text for cell in cells for text in cell))
            table.add_section()
        return table

    def write(self, path: Path) -> None:
        """Write all of it as JSON."""
        write_text(
            path,
            json.dumps(
                {"stages": {stage: self.stages[stage] for stage in STAGES if stage in self.stages}, **self.told},
                indent=2,
            )
            + "\n",
        )


summary = Summary()
"""The figures of the lecture that runs in this process."""


def run_course(root: Path, output: Path, console: Console) -> None:
    """Execute the five lectures into `output`, `AT_A_TIME`, print the closing tables, and write summary.json.

    Raises:
        CourseError: if a lecture is missing, fails, or does not tell what the tables need; what ran is printed first. No lecture is begun after that.
    """
    from resumen.notebooks import (  # here: the lectures' kernels need none of it
        NotebookFailed,
        run_notebook,
        write_notebook,
    )

    lectures = {stage: lecture_path(root, stage) for stage in STAGES}
    missing = [str(path) for path in lectures.values() if not path.is_file()]
    if missing:
        raise CourseError(f"{', '.join(missing)} not found: run this in the repository, or name it with --root.")
    # Figures of an earlier run beside the notebooks of a failed one would pass for its own.
    (output / SUMMARY).unlink(missing_ok=True)
    course, failures, begun = Summary(), {}, time.perf_counter()

    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn()
    counts = TextColumn("cell {task.completed} of {task.total}"), TimeElapsedColumn()
    with Progress(*columns, *counts, console=console) as progress:

        def run(stage: str) -> None:
            if failures:
                return
            task, started, executed = (
                progress.add_task(stage, total=None),
                time.perf_counter(),
                output / stage / LECTURE,
            )
            try:
                notebook, answer = run_notebook(
                    lectures[stage], lambda done, total: progress.update(task, completed=done, total=total), PROBE
                )
                write_notebook(notebook, executed)
                course.add(stage, time.perf_counter() - started, answer["peak"], answer["told"])
            except CourseError as error:
                if isinstance(error, NotebookFailed):
                    write_notebook(error.notebook, executed)
                failures[stage] = f"{str(error).rstrip('.')}. Its outputs so far: {executed}"

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(run, STAGES))
    for table in course.tables(time.perf_counter() - begun, failures):
        console.print(table)
    if failures:
        raise CourseError("; ".join(failures[stage] for stage in STAGES if stage in failures))
    course.write(output / SUMMARY)
    console.print(f"Executed notebooks: {output}/<stage>/{LECTURE} · figures: {output / SUMMARY}", markup=False)


def _interval(gap: dict | None) -> str:
    return f"{gap['mean']:+.1f} [{gap['low']:+.1f}, {gap['high']:+.1f}]" if gap else ""
