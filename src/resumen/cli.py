"""The command `resumen`: `resumen --help` lists what it can do."""

import json
import os
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
quiz = typer.Typer(help="Check and build the quizzes (for instructors and contributors).", no_args_is_help=True)
app.add_typer(quiz, name="quiz")
instructor = typer.Typer(help="Grade a class with a course folder of your own.", no_args_is_help=True)
app.add_typer(instructor, name="instructor")
console = Console()
errors = Console(stderr=True)

PROBE = """
import json as _json, resource as _resource, sys as _sys
_peak = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
print(_json.dumps({"results": globals().get("results", {}), "peak": _peak // (1024 if _sys.platform == "darwin" else 1)}))
"""


def main() -> None:
    """Run a command; a mistake of the reader's costs one sentence and exit code 1, not a traceback."""
    # jsonschema imports the grammars of this package for a check that nobody asks for: seconds. It does without them.
    sys.modules.setdefault("rfc3987_syntax", None)
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
    # Figures of an earlier run beside the notebooks of a failed one would pass for its own.
    (output / "summary.json").unlink(missing_ok=True)
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
    for stage in STAGES:
        if stage not in rows:
            table.add_row(stage, "", "", "not run")
            continue
        row = rows[stage]
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


@quiz.command("check")
def quiz_check(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE", help="Quizzes, such as quizzes/stage1_corpus.yaml.")],
) -> None:
    """Say what is wrong with a quiz, one sentence per fault, with its line.

    Keys are computed: this runs the Python in the file's `code` and `check`, so check only files that you trust.
    """
    from resumen.quiz.checks import faults

    found = {path: faults(path) for path in paths}
    for path, sentences in found.items():
        for sentence in sentences:
            errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
        if not sentences:
            console.print(f"{path}: no faults", markup=False, highlight=False, soft_wrap=True)
    if any(found.values()):
        raise typer.Exit(1)


@quiz.command("build")
def quiz_build(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages to build; by default all.")] = None,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path("."),
) -> None:
    """Write the self-check notebooks, the questions that the package carries for them, and the graded quizzes in solutions/."""
    from resumen.quiz.notebooks import build

    for path in build(root, stages or STAGES):
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)


@quiz.command("export")
def quiz_export(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE", help="Quizzes, such as quizzes/stage1_corpus.yaml.")],
    format: Annotated[str, typer.Option(help="gift (Moodle), qti (Canvas, needs the extra `qti`) or jupyterquiz.")],
    language: Annotated[str, typer.Option(help="en or es.")] = "en",
    output: Annotated[Path | None, typer.Option(help="File to write; by default standard output.")] = None,
    pool: Annotated[str, typer.Option(help="self, graded (keep the file to yourself) or all.")] = "self",
) -> None:
    """Write quizzes in the format of another system."""
    from resumen.quiz import load_quiz
    from resumen.quiz.exports import export, select

    data = export([select(load_quiz(path), pool) for path in paths], format, language)
    if output is None:
        sys.stdout.buffer.write(data)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(data)
    except OSError as error:
        raise CourseError(f"{output} cannot be written: {error.strerror}.") from None
    console.print(str(output), markup=False, highlight=False, soft_wrap=True)


@app.command()
def check(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="Your lab, such as labs/stage1_corpus/lab.ipynb, or the folder of a project's hand-in."
        ),
    ],
    repair: Annotated[bool, typer.Option("--repair", help="Mend the notebook; a backup stays beside it.")] = False,
    run: Annotated[
        bool | None,
        typer.Option(
            "--run/--no-run", help="Run a lab or look at its cells only; run a project's notebook, too, in a copy."
        ),
    ] = None,
    labs: Annotated[Path | None, typer.Option(help="Released labs to compare with; by default the course's.")] = None,
) -> None:
    """Run a lab and show what became of each task: not attempted, wrong (with the hint) or right.

    Says which cells were damaged on the way through other programs, and how to repair them. It runs the code in the file, unless
    --no-run says otherwise; the tasks of a project's notebook run with a part of its data.

    Of a folder, the checklist of a project's hand-in is shown: files, figures recomputed from the predictions, model card, report.
    Its notebook takes minutes and is run from top to bottom with --run only.

    Exit code 0: every task that was run is right and nothing is damaged, or the hand-in is complete. 1: anything else. 2: an option
    that does not exist.
    """
    if path.is_dir():
        _check_project(path, run is True)
        return
    from resumen.grading import check as checks
    from resumen.lab import RIGHT

    cells = checks.read(path)
    released = checks.released_lab(checks.find_stage(path, cells, labs or checks.LABS), labs or checks.LABS)
    mended, faults = checks.mend(released, cells)
    for sentence in faults:
        errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    if faults and repair:
        backup = checks.repair(path, mended)
        console.print(f"{path} is mended; as it was: {backup}", markup=False, highlight=False, soft_wrap=True)
    elif repair:
        console.print("Nothing to repair.")
    rows = []
    if run is not False:
        # A project's fine-tunes take minutes; its tasks need none of them.
        os.environ.setdefault("RESUMEN_QUICK", "1")
        with errors.status("Running the lab …"):
            rows = checks.run(mended, path.parent, released)
        table = Table("task", "outcome", "why")
        for row in rows:
            table.add_row(*(escape(text) for text in (row.task, row.outcome, row.why)))
        console.print(table)
    if (faults and not repair) or any(row.outcome not in (RIGHT, checks.ANSWERED) for row in rows):
        raise typer.Exit(1)


def _check_project(folder: Path, run: bool) -> None:
    """Print the checklist of a project's hand-in; exit code 1 unless every line is ok."""
    from resumen.grading.projects import checklist

    with errors.status("Checking the hand-in …"):
        lines = checklist(folder, run)
    table = Table("", "what is checked", "what is wrong, where, what to do", title=f"Hand-in {escape(str(folder))}")
    for line in lines:
        table.add_row("wrong" if line.faults else "ok", escape(line.what), escape("\n".join(line.faults)))
    if not run:
        table.add_row("not run", "project.ipynb runs from top to bottom", "Minutes: add --run before you hand in.")
    console.print(table)
    if any(line.faults for line in lines):
        raise typer.Exit(1)


@app.command()
def corpus(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE", help="Your corpus, .jsonl or .parquet files.")],
    card: Annotated[Path, typer.Option(help="Its data card.")],
) -> None:
    """Check a corpus against the capstone's data contract: every rule is ok, look (read those rows) or refused.

    Exit code 0: nothing is refused. 1: something is.
    """
    from resumen.grading.contract import REFUSED, check_corpus, read_corpus
    from resumen.grading.projects import read_text

    lines = check_corpus(read_corpus(paths), read_text(card))
    table = Table("rule", "state", "what", "what to do", title="The data contract")
    for line in lines:
        table.add_row(*(escape(text) for text in (line.name, line.state, line.what, line.remedy)))
    console.print(table)
    if any(line.state == REFUSED for line in lines):
        raise typer.Exit(1)


@app.command()
def release(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages and projects to release; by default all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; say what is wrong with it.")] = False,
    root: Annotated[Path, typer.Option(help="The course.")] = Path("."),
) -> None:
    """Generate labs/ and the projects' starters from solutions/, without solutions and hidden tests (for instructors and contributors)."""
    from resumen.grading.check import pack
    from resumen.grading.release import leaks
    from resumen.grading.release import release as generate

    if not check:
        for path in [*generate(root, stages), *pack(root)]:
            console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    faults = leaks(root, stages)
    for sentence in faults:
        errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    if faults:
        raise typer.Exit(1)
    console.print("labs/ is in step with solutions/ and holds no solution.")


@instructor.command("init")
def instructor_init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make, outside the public course.")],
    root: Annotated[Path, typer.Option(help="The checkout of the public course.")] = Path("."),
) -> None:
    """Make a private course: settings, sources with hidden tests drawn for you alone, and a README about them."""
    from resumen.grading.course import init

    with errors.status("Drawing your hidden tests …"):
        init(directory, root)
    console.print(
        f"{directory} is your course. Read its README.md, then: resumen release --root {directory}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
