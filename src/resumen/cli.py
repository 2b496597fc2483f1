"""The command `resumen`: `resumen --help` lists what it can do."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from resumen.profiles import CourseError
from resumen.setup import STAGES, diagnose

app = typer.Typer(
    help="Resumen: a course on bilingual review summarization.", no_args_is_help=True, add_completion=False
)
console = Console()
errors = Console(stderr=True)

PROBE = """
import json as _json, resource as _resource, sys as _sys
_peak = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
print(_json.dumps({"results": globals().get("results", {}), "peak": _peak // (1024 if _sys.platform == "darwin" else 1)}))
"""


def main() -> None:
    """Run a command; a mistake of the reader's costs one sentence and exit code 1, not a traceback."""
    try:
        app()
    except CourseError as error:
        _complain(str(error))
        sys.exit(1)


def _complain(message: str) -> None:
    """Print one line on stderr. Escaped: rich would take the brackets of `pip install '.[notebooks]'` for markup."""
    errors.print(f"[bold red]resumen:[/] {escape(message)}", highlight=False, soft_wrap=True)


@app.command()
def doctor() -> None:
    """Show versions, profile, device, sandbox, and what is missing."""
    table = Table("what", "state", "what to do", title="resumen doctor")
    rows = diagnose()
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if any(advice and not advice.startswith("instructors only") for _, _, advice in rows):
        raise typer.Exit(1)


@app.command()
def course(
    output: Annotated[Path, typer.Option(help="Folder for the executed notebooks and summary.json.")] = Path(
        "var/course"
    ),
    root: Annotated[Path, typer.Option(help="The repository.")] = Path("."),
) -> None:
    """Execute the five lectures in order and print what was learned."""
    from resumen.execution import NotebookFailed, run_notebook, write_notebook

    lectures = {stage: root / "stages" / stage / "lecture.ipynb" for stage in STAGES}
    missing = [str(path) for path in lectures.values() if not path.is_file()]
    if missing:
        raise CourseError(f"{', '.join(missing)} not found: run this in the repository, or name it with --root.")
    rows: dict[str, dict] = {}
    summary: dict = {"stages": {}}
    failure = None
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("cell {task.completed} of {task.total}"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        for stage, path in lectures.items():
            task = progress.add_task(stage, total=None)
            started = time.perf_counter()
            try:
                notebook, answer = run_notebook(
                    path, lambda done, total, task=task: progress.update(task, completed=done, total=total), PROBE
                )
            except NotebookFailed as error:
                write_notebook(error.notebook, output / stage / "lecture.ipynb")
                failure = str(error)
                rows[stage] = {"seconds": time.perf_counter() - started, "status": "failed"}
                break
            write_notebook(notebook, output / stage / "lecture.ipynb")
            results = answer["results"]
            rows[stage] = {"seconds": time.perf_counter() - started, "status": "done", "peak": answer["peak"]}
            summary["stages"][stage] = {
                "seconds": round(rows[stage]["seconds"], 1),
                "peak_memory_mb": answer["peak"] // 1024,
            }
            if "fine_tuning_seconds" in results:
                summary["stages"][stage]["fine_tuning_seconds"] = round(results["fine_tuning_seconds"], 1)
            for part in ("in_domain", "out_of_template"):
                # Stage 4 gives the course's verdict; stage 5's own run of it is in its lecture.
                if part in results:
                    summary.setdefault(part, results[part])
    console.print(_stage_table(rows))
    for part, title in (
        ("in_domain", "composed test reviews"),
        ("out_of_template", "individually written test reviews"),
    ):
        if part in summary:
            console.print(_score_table(summary[part], title))
    if failure:
        _complain(f"{failure}. Its outputs so far: {output / stage / 'lecture.ipynb'}")
        raise typer.Exit(1)
    output.mkdir(parents=True, exist_ok=True)
    (output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    console.print(
        f"Executed notebooks: {output}/<stage>/lecture.ipynb · figures: {output / 'summary.json'}", markup=False
    )


def _stage_table(rows: dict[str, dict]) -> Table:
    table = Table("stage", "minutes", "peak memory (MB)", "status", title="The course")
    for stage, row in rows.items():
        table.add_row(stage, f"{row['seconds'] / 60:.1f}", str(row.get("peak", 0) // 1024 or ""), row["status"])
    table.add_section()
    table.add_row("all", f"{sum(row['seconds'] for row in rows.values()) / 60:.1f}", "", "")
    return table


def _score_table(part: dict, title: str) -> Table:
    table = Table(
        "language", "score", "lead-3", "fine-tuned", "difference [95 % interval]", title=f"ROUGE × 100, {title}"
    )
    for language, scores in part.items():
        for name, row in scores.items():
            difference = row["difference"]
            table.add_row(
                language,
                name,
                f"{row['lead3']:.2f}",
                f"{row['model']:.2f}",
                f"{difference['mean']:+.2f} [{difference['low']:+.2f}, {difference['high']:+.2f}]",
            )
        table.add_section()
    return table


@app.command()
def notebooks(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages to run; by default all.")] = None,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path("."),
) -> None:
    """Execute the lectures in place and normalise them (for contributors)."""
    from resumen.execution import normalize, run_notebook, write_notebook

    for stage in stages or STAGES:
        path = root / "stages" / stage / "lecture.ipynb"
        console.print(f"{path} …", markup=False)
        notebook, _ = run_notebook(path)
        write_notebook(normalize(notebook), path)


if __name__ == "__main__":
    main()
