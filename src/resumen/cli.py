"""The command `resumen`: `resumen --help` lists what it can do."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from resumen import __version__
from resumen.errors import CourseError
from resumen.files import PROJECT, WORKSPACE, find_workspace, read_text
from resumen.profiles import is_hub_id
from resumen.setup import LESSONS, lecture_path

app = typer.Typer(no_args_is_help=True, add_completion=False)
quiz = typer.Typer(help="Check and build the quizzes (for instructors and contributors).", no_args_is_help=True)
app.add_typer(quiz, name="quiz")
instructor = typer.Typer(help="Grade a class with a course folder of your own.", no_args_is_help=True)
app.add_typer(instructor, name="instructor")
# A name such as :smile: is no emoji.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


def main() -> None:
    """Run a command. After a `CourseError`, print its sentence and exit with code 1, without a traceback."""
    # jsonschema imports the grammars of this package for a check that nobody asks for: seconds. It does without them.
    sys.modules.setdefault("rfc3987_syntax", None)
    for stream in (sys.stdout, sys.stderr):
        # A file may have a name, and a text characters, that the terminal cannot show.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if (folder := os.environ.get("RESUMEN_DATA")) and not is_hub_id(folder):
        # Notebooks run in folders of their own; the name was meant from here.
        os.environ["RESUMEN_DATA"] = os.path.abspath(os.path.expanduser(folder))
    try:
        app()
    except CourseError as error:
        _complain(str(error))
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        _complain(f"{error.filename} cannot be used: {error.strerror}.")
        sys.exit(1)


def _complain(message: str) -> None:
    """Print one line on stderr. Escaped: rich would take the brackets of `pip install '.[notebooks]'` for markup."""
    errors.print(f"[bold red]resumen:[/] {escape(message)}", highlight=False, soft_wrap=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.print(f"resumen {__version__}", highlight=False)
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Resumen: a course on bilingual review summarization."""


@app.command()
def doctor(
    full: Annotated[
        bool, typer.Option("--full", help="Also what a run of the full profile needs, before anything is downloaded.")
    ] = False,
) -> None:
    """Show versions, profile, device, sandbox, and what is missing. The exit code is 0 if nothing is."""
    from resumen.doctor import diagnose
    from resumen.instructor import sandbox

    table = Table("what", "state", "what to do", title="resumen doctor")
    rows = [*diagnose(), sandbox.row()]
    if full:
        from resumen.preflight import look_ahead
        from resumen.setup import quieten

        quieten()
        rows += look_ahead()
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
    if any(advice and not advice.startswith("instructors only") for _, _, advice in rows):
        raise typer.Exit(1)


@app.command()
def start(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Your folder; by default the one you are in, or my-course.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="The repository; by default the one that this runs from.")] = None,
) -> None:
    """Make a folder of your own with lectures, labs, quizzes and starters; run again, it brings what is new.

    What you wrote is never touched. A file that you did not change is replaced. A lab gets its new text around your answers, and a
    backup stays beside it. For any other file that you changed, the new one is laid beside yours.
    """
    from resumen.check import progress, workspace

    folder = directory or find_workspace(Path.cwd()) or Path(workspace.DEFAULT)
    is_new = not (folder / WORKSPACE).is_file()
    if not is_new:
        progress.look(folder, run=False)  # what was run of a lecture is remembered before a new one replaces it
    changes = workspace.start(folder, root)
    page = progress.write_page(folder, progress.look(folder, run=False))
    for change in changes:
        if not (is_new and change.news == workspace.NEW):
            console.print(str(change), markup=False, highlight=False, soft_wrap=True)
    told = f"{folder} is {'made' if is_new else 'up to date'}. Begin with {page}."
    console.print(told, markup=False, highlight=False, soft_wrap=True)


@app.command()
def progress(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Your folder; by default the one you are in, or my-course.")
    ] = None,
) -> None:
    """Show where you stand: tasks right, wrong and not attempted, self-checks, minutes left; and write it to progress.md.

    Labs whose answers changed are run, which takes up to a minute each.
    """
    from resumen.check import progress, workspace

    folder = workspace.find_own(directory)
    with errors.status("Looking …") as status:
        standings = progress.look(folder, on_run=lambda name: status.update(f"Running {escape(name)} …"))
    page = progress.write_page(folder, standings)
    table = Table(*progress.HEAD, title=f"Progress in {escape(str(folder))}", box=box.SIMPLE)
    for row in progress.table(standings):
        table.add_row(*map(escape, row))
    console.print(table)
    for sentence in (progress.summary(standings), progress.judged(standings)):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    for sentence in progress.troubles(standings):
        errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    console.print(f"{page} has the same with links and hints.", markup=False, highlight=False, soft_wrap=True)


@app.command()
def course(
    output: Annotated[Path, typer.Option(help="Folder for the executed notebooks and summary.json.")] = Path(
        "var/course"
    ),
    root: Annotated[Path, typer.Option(help="The repository.")] = Path("."),
) -> None:
    """Execute the five lectures, two at a time, and print what was learned."""
    from resumen.course import run_course

    run_course(root, output, console)


@app.command()
def notebooks(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages to run, or primer; by default all.")] = None,
    badges: Annotated[
        bool,
        typer.Option("--badges", help="Execute nothing: write the address in pyproject.toml wherever it is repeated."),
    ] = False,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path("."),
) -> None:
    """Execute the lectures in place and normalise them (for contributors)."""
    from resumen.notebooks import normalize, run_notebook, write_notebook

    if badges:
        from resumen.address import write_address

        for path in write_address(root):
            console.print(str(path), markup=False, highlight=False, soft_wrap=True)
        return
    for stage in stages or LESSONS:
        path = lecture_path(root, stage)
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
    stages: Annotated[list[str] | None, typer.Argument(help="Stages to build, or primer; by default all.")] = None,
    root: Annotated[Path, typer.Option(help="The repository.")] = Path("."),
) -> None:
    """Write the self-check notebooks, the questions that the package carries for them, and the graded quizzes in solutions/."""
    from resumen.quiz.notebooks import build

    for path in build(root, stages or LESSONS):
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
    from resumen.quiz.checks import form_faults
    from resumen.quiz.exports import export, select

    for fault in (fault for path in paths for fault in form_faults(path)):
        raise CourseError(fault.rstrip("."))
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
    full: Annotated[
        bool, typer.Option("--full", help="Run the hidden tests too, and show the model answer once you wrote one.")
    ] = False,
    labs: Annotated[Path | None, typer.Option(help="Released labs to compare with; by default the course's.")] = None,
    root: Annotated[
        Path | None, typer.Option(help="The repository, for --full; by default the one that this runs from.")
    ] = None,
) -> None:
    """Run a lab and show what became of each task: not attempted, wrong (with the hint) or right.

    Says which cells were damaged on the way through other programs, and how to repair them. It runs the code in the file, unless
    --no-run says otherwise; the tasks of a project's notebook run with a part of its data.

    Of a folder, the checklist of a project's hand-in is shown: files, figures recomputed from the predictions, model card, report.
    Its notebook takes minutes and is run from top to bottom with --run only.

    With --full the hidden tests run as well, for a learner without a teacher. They come from solutions/ in the repository.

    Exit code 0: every task that was run is right and nothing is damaged, or the hand-in is complete. 1: anything else. 2: an option
    that does not exist.
    """
    if full and (run is False or path.is_dir()):
        raise CourseError("--full runs a notebook with its hidden tests: name the notebook, and leave out --no-run.")
    if path.is_dir():
        _check_project(path, run is True)
        return
    from resumen.check import notebook as lab
    from resumen.lab import RIGHT

    examined = lab.examine(path, labs or lab.LABS)
    tests, faults = examined.mended, examined.faults
    if full:
        from resumen.check.workspace import find_course

        solution = lab.read_solution(examined.stage, examined.released, find_course(root))
        tests = lab.with_hidden_tests(examined.mended, solution)
    for fault in faults:
        errors.print(str(fault), markup=False, highlight=False, soft_wrap=True)
    if faults and repair:
        backup = lab.repair(path, examined.mended)
        console.print(f"{path} is mended; as it was: {backup}", markup=False, highlight=False, soft_wrap=True)
    elif repair:
        console.print("Nothing to repair.")
    rows = []
    if run is not False:
        # A project's fine-tunes take minutes; its tasks need none of them.
        os.environ.setdefault("RESUMEN_QUICK", "1")
        with errors.status("Running the lab …"):
            rows = lab.run(tests, path.parent, examined.released)
        table = Table("task", "outcome", "why")
        for row in rows:
            table.add_row(*(escape(text) for text in (row.task, row.outcome, row.why)))
        console.print(table)
        if full:
            _tell_in_full(path, examined, rows, lab.model_answers(solution))
    if (faults and not repair) or any(row.outcome not in (RIGHT, lab.ANSWERED) for row in rows):
        raise typer.Exit(1)


def _tell_in_full(path: Path, examined, rows: list, models: list[str]) -> None:
    """Print the points, and the model answer to what was written; keep the rows for `resumen progress`."""
    from rich.markdown import Markdown

    from resumen.check import notebook as lab
    from resumen.check.progress import keep_full
    from resumen.lab import RIGHT

    tasks = [row for row in rows if row.task != lab.WRITTEN]
    got, of = sum(row.points for row in tasks if row.outcome == RIGHT), sum(row.points for row in tasks)
    console.print(f"{got:g} of {of:g} points, hidden tests included.", highlight=False)
    for row, model in zip((row for row in rows if row.task == lab.WRITTEN), models, strict=True):
        if row.outcome == lab.ANSWERED:
            console.rule("Your written answer", align="left")
            console.print(f"{row.points:g} points, which you give yourself: compare your text with these.\n")
            console.print(Markdown(model))
        else:
            console.print(
                "The model answer and the rubric of the written task are shown once you wrote something.",
                soft_wrap=True,
            )
    if folder := find_workspace(path.resolve().parent):
        keep_full(folder, path, examined, rows)


def _check_project(folder: Path, run: bool) -> None:
    """Print the checklist of a project's hand-in; exit code 1 unless every line is ok."""
    from resumen.check.hand_in import checklist

    with errors.status("Checking the hand-in …"):
        lines = checklist(folder, run)
    table = Table("", "what is checked", "what is wrong, where, what to do", title=f"Hand-in {escape(str(folder))}")
    for line in lines:
        table.add_row("wrong" if line.faults else "ok", escape(line.what), escape("\n".join(line.faults)))
    if not run:
        table.add_row("not run", f"{PROJECT} runs from top to bottom", "Minutes: add --run before you hand in.")
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
    from resumen.projects.capstone.contract import REFUSED, check_corpus, read_corpus

    lines = check_corpus(read_corpus(paths), read_text(card))
    table = Table("rule", "state", "what", "what to do", title="The data contract")
    for line in lines:
        table.add_row(*(escape(text) for text in (line.name, line.state, line.what, line.remedy)))
    console.print(table)
    if any(line.state == REFUSED for line in lines):
        raise typer.Exit(1)


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A checkpoint with its model card, README.md.")],
    to: Annotated[str, typer.Option(help="The repository on the Hub, such as ana/mt5-review-titles.")],
    push: Annotated[
        bool, typer.Option("--push", help="Upload; without it the command says what would be sent.")
    ] = False,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see a repository that is made now.")] = False,
) -> None:
    """Publish a checkpoint folder on the Hub: weights, configs, tokenizer, metrics.json and model card, nothing else.

    It checks the folder, the head of the card and your token first. With --push it makes the repository, private unless you say otherwise,
    and uploads. Stopped at any moment, the same command goes on: a file that has arrived is not sent again.
    """
    from resumen import hub

    for path in hub.files_to_publish(folder):
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        console.print(f"{path.name}  {size}", markup=False, highlight=False, soft_wrap=True)
    if not push:
        name = hub.repository_name(to)
        console.print(f"Nothing was sent to {name} yet: add --push.", markup=False, highlight=False, soft_wrap=True)
        return
    try:
        address = hub.publish(folder, to, public=public)
    except KeyboardInterrupt:
        raise CourseError(
            "Stopped: run the same again to go on, and a file that has arrived is not sent twice."
        ) from None
    console.print(address, markup=False, highlight=False, soft_wrap=True)


@app.command()
def record(
    folder: Annotated[Path, typer.Option(help="Where the bundle goes, or goes on.")] = Path("var/recorded"),
    rehearse: Annotated[
        bool,
        typer.Option("--rehearse", help="Let a tiny checkpoint and a few reviews stand in: seconds, on any machine."),
    ] = False,
) -> None:
    """Fine-tune mT5-small with three seeds on your reviews and record what it writes for the embedded texts (for contributors).

    It needs a GPU, the Hub, and RESUMEN_DATA. Stopped at any moment, the same command goes on with the seeds that are missing. The bundle
    has at most 1 MB; in src/resumen/data/recorded it becomes part of the package, unless a stand-in made it.
    """
    from resumen.authoring.record import record as run
    from resumen.experiment import bundle_fault

    with errors.status("Preparing the reviews …") as status:
        run(folder, rehearse, on_seed=lambda seed: status.update(f"Seed {seed} …"))
    console.print(
        bundle_fault(folder) or f"{folder} can become part of the package.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def release(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages and projects to release; by default all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; say what is wrong with it.")] = False,
    root: Annotated[Path, typer.Option(help="The course.")] = Path("."),
) -> None:
    """Generate labs/ and the projects' starters from solutions/, without solutions and hidden tests (for instructors and contributors)."""
    from resumen.instructor.release import leaks
    from resumen.instructor.release import release as generate

    if not check:
        for path in generate(root, stages):
            console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    faults = leaks(root, stages)
    for sentence in faults:
        errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    if faults:
        raise typer.Exit(1)
    console.print("labs/ is in step with solutions/ and holds no solution.")


@app.command()
def grade(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages and projects to grade; by default all.")] = None,
    submissions: Annotated[
        Path | None,
        typer.Option(help="What the LMS gave: a folder or a zip, as it is; by default what is in var/submitted/."),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="A CSV: in `student` the ids, in other columns the names to look for.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Notebooks at a time; by default one for each core.")] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Start each kernel anew, as nbgrader does; slow.")] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Run students' code with your rights where there is no sandbox.")
    ] = False,
    scheduler: Annotated[
        str | None, typer.Option(help="Send the jobs to this Dask scheduler, such as tcp://10.0.0.5:8786.")
    ] = None,
    alike: Annotated[
        bool, typer.Option("--alike", help="List answers that are alike, in var/scores/alike.csv: no verdict.")
    ] = False,
    root: Annotated[Path, typer.Option(help="Your course.")] = Path("."),
) -> None:
    """Grade what students handed in: labs, graded quizzes, projects (for instructors).

    Each notebook is mended where it is damaged, and run in a sandbox, with the hidden tests in a process of their own. Scores go into
    nbgrader's gradebook and into lists in var/scores/. Stopped at any moment, the same command goes on where it was.

    Exit code 0: everything that was handed in has a score. 1: something has not, or a mistake. 3: no sandbox.
    """
    from resumen.instructor.gradebook import Course

    course = Course(root)  # says so if nbgrader is missing, which all that follows needs
    if sys.platform == "linux" and not cold and not scheduler:
        from resumen.instructor import forkserver

        forkserver.start()  # it loads torch while this process loads nbgrader, and ends with it
    from resumen.instructor import collect, report
    from resumen.instructor.grade import NoSandbox, choose_mode
    from resumen.instructor.grade import grade as run

    try:
        mode = choose_mode(cold, unsafe)
    except NoSandbox as error:
        _complain(str(error))
        raise typer.Exit(3) from None
    try:
        found, left_out = collect.find_submissions(
            submissions or course.root / "var" / "submitted", names, stages or ()
        )
        with report.progress(errors) as on_progress:
            graded = run(
                course, found, mode=mode, jobs=jobs, scheduler=scheduler, stages=stages, on_progress=on_progress
            )
        written = report.write_lists(course, graded, alike)
    except OSError as error:
        raise CourseError(
            f"{error.filename or course.root} cannot be read or written: {error.strerror}. What is graded is kept: mend that, and run "
            "the same command again."
        ) from None
    except KeyboardInterrupt:
        raise CourseError("Stopped. What is graded is kept: run the same command again to go on.") from None
    for table in report.tables(graded):
        console.print(table)
    for sentence in [*left_out, *graded.unmatched, *report.failures(graded)]:
        errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    for path in written:
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    if graded.ungraded:
        _complain(f"{len(graded.ungraded)} notebooks have no score yet: run the same command again to go on.")
        raise typer.Exit(1)


@app.command()
def feedback(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages and projects; by default all.")] = None,
    language: Annotated[str, typer.Option(help="en or es.")] = "en",
    root: Annotated[Path, typer.Option(help="Your course.")] = Path("."),
) -> None:
    """Write a page for each graded notebook, for its student: tasks, points, messages, comments; no hidden tests."""
    from resumen.instructor.feedback import write_feedback
    from resumen.instructor.gradebook import Course

    for path in write_feedback(Course(root), stages, language):
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)


@instructor.command("init")
def instructor_init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make, outside the public course.")],
    root: Annotated[Path, typer.Option(help="The checkout of the public course.")] = Path("."),
) -> None:
    """Make a private course: settings, sources with hidden tests drawn for you alone, and a README about them."""
    from resumen.instructor.init import init

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
