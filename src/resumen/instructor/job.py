"""One submission, from the file that was handed in to the notebook that was run: a job that any process can do, on any machine.

The result is one file, and it is there only when it is whole: so a job that is stopped at any moment was done or was not.
"""

import copy
import hashlib
import json
import os
import re
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient.exceptions import DeadKernelError
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import Execute, IgnorePattern, LimitOutput
from nbgrader.utils import determine_grade, is_grade, is_solution

from resumen.errors import CourseError, first_sentence
from resumen.instructor.gradebook import Course
from resumen.instructor.hidden import NOT_RUN as NOT_RUN_ERROR
from resumen.instructor.hidden import SingleProcessExecute, TwoProcessExecute
from resumen.instructor.provisioner import SANDBOX as SANDBOX_KERNEL
from resumen.instructor.provisioner import WARM as WARM_KERNEL
from resumen.instructor.provisioner import kernelspecs
from resumen.instructor.rebuild import rebuild, refused
from resumen.instructor.sandbox import Policy
from resumen.notebooks import is_test, read_notebook

STOCK, COLD, WARM, SANDBOX, TWO_PROCESS = MODES = ("stock", "cold", "warm", "sandbox", "two-process")
"""How a notebook is run.

`stock`: by nbgrader's own Execute. `cold`: in a kernel that is started anew. `warm`: in a fork of a server that has the libraries
loaded. `sandbox`: in such a fork, shut in. `two-process`: the same for the answers, and the tests in another kernel.

The first two run every cell: whoever doubts the others compares. The others leave out the stories (`resumen.instructor.plan`).
"""

SANDBOXED = (SANDBOX, TWO_PROCESS)
FORKED = (WARM, *SANDBOXED)

FORMAT = 1
"""Grows when results of before can no longer be read."""


@dataclass(frozen=True)
class Job:
    """A notebook that a student handed in, and how to run it."""

    course: Course
    student: str
    assignment: str
    notebook: str
    key: str
    """Of the two files that decide the score, the student's and the instructor's: other files, another key."""

    mode: str = TWO_PROCESS

    @property
    def names(self) -> tuple[str, str, str]:
        return self.student, self.assignment, self.notebook

    @property
    def path(self) -> Path:
        """Where its result is, once it is there."""
        return self.course.result(*self.names)

    def __str__(self) -> str:
        return f"{self.student}, {self.assignment}/{self.notebook}"


RIGHT, PARTLY, WRONG, NOT_ATTEMPTED, NOT_RUN, TO_READ = (
    "right",
    "partly",
    "wrong",
    "not attempted",
    "not run",
    "to read",
)


@dataclass(frozen=True)
class Task:
    """What a graded cell came to."""

    id: str
    name: str
    points: float | None
    """None where a person has to read an answer."""

    most: float
    outcome: str
    """`RIGHT`, `PARTLY`, `WRONG`, `NOT_ATTEMPTED`, `NOT_RUN` or `TO_READ`."""

    message: str = ""
    """What the test said of an answer that is not right; no traceback."""

    written: bool = False
    """It is a person's to read, and only an untouched one is nbgrader's to score."""


@dataclass(frozen=True)
class Result:
    """What is kept of a job: the tasks, and the notebook that was run, as nbgrader would keep it."""

    student: str
    assignment: str
    notebook: str
    key: str
    mode: str
    reason: str
    """Why the notebook was not run, or not to its end; "" if it was."""

    damage: tuple[str, ...]
    """What was mended before it was run, one sentence each."""

    seconds: float
    tasks: tuple[Task, ...]
    executed: NotebookNode

    @property
    def names(self) -> tuple[str, str, str]:
        return self.student, self.assignment, self.notebook

    @property
    def points(self) -> float:
        """The automatic points."""
        return sum(task.points for task in self.tasks if not task.written)

    @property
    def most(self) -> float:
        """The automatic points that could be had."""
        return sum(task.most for task in self.tasks if not task.written)


def key_of(submitted: bytes, source: bytes) -> str:
    """Return what a result is known by: it holds as long as neither the submission nor the tests change."""
    digest = hashlib.sha256(f"{FORMAT}\n{len(submitted)}\n".encode())
    digest.update(submitted)
    digest.update(source)
    return digest.hexdigest()


def run_job(job: Job) -> None:
    """Rebuild a submission, run it and write the result. Whatever the student's file does, there is one.

    Raises:
        CourseError: if no kernel starts: nothing of the student's has run by then.
        OSError: if the result cannot be written, or a file cannot be read.
    """
    began = time.monotonic()
    source = read_notebook(job.course.source(job.assignment, job.notebook))
    submitted = job.course.submitted(*job.names).read_bytes()
    damage: list[str] = []
    try:
        notebook, damage = rebuild(source, submitted)
    except CourseError as error:
        notebook, reason = refused(source, str(error)), str(error)
        stop(notebook, reason)
    else:
        notebook, reason = _executed(notebook, job, source)
    write_result(job, finished(job, notebook, reason, damage, time.monotonic() - began))


def give_up(job: Job, reason: str) -> None:
    """Write the result of a submission that could not be run at all: 0 for what runs, with the reason."""
    source = read_notebook(job.course.source(job.assignment, job.notebook))
    notebook = refused(source, reason)
    stop(notebook, reason)
    write_result(job, finished(job, notebook, reason, [], 0.0))


# Running --------------------------------------------------------------------------------------------------------------


@contextmanager
def kernels(course: Course, mode: str):
    """Have the kernels that a mode needs, within the block."""
    if mode not in FORKED:
        yield
        return
    timeout = course.config.Execute.get("timeout", 30)
    with kernelspecs(Policy(cell=timeout), hidden=[course.root]):
        yield


def _executed(notebook: NotebookNode, job: Job, source: NotebookNode) -> tuple[NotebookNode, str]:
    """Return the notebook with its outputs, and "" or why it was not run to its end."""
    os.environ["NBGRADER_EXECUTION"] = "autograde"
    for _ in range(2):  # a kernel that something outside killed costs the student nothing
        executed, reason, accident = copy.deepcopy(notebook), "", False
        with tempfile.TemporaryDirectory(prefix="resumen-job-") as folder:  # nothing lies beside the notebook
            resources = ResourcesDict(metadata={"path": folder}, nbgrader=dict(zip(NAMES, job.names, strict=True)))
            try:
                _preprocessor(job, source).preprocess(executed, resources)
                told = resources.get("resumen", {})
                reason, accident = told.get("reason", ""), told.get("accident", False)
            except (CourseError, OSError):
                raise
            except DeadKernelError as error:  # in stock mode
                reason, accident = f"the kernel died: {first_sentence(str(error))}", True
                stop(executed, reason)
            except Exception as error:  # nbclient's, nbgrader's and ours
                reason = f"{type(error).__name__}: {first_sentence(str(error))}"
                stop(executed, reason)
        if not accident:
            break
    return executed, reason


NAMES = ("student", "assignment", "notebook")


def _preprocessor(job: Job, source: NotebookNode):
    """Return the step that runs a notebook."""
    config = job.course.config
    timeout = {"timeout": config.Execute.get("timeout", 30)}
    if job.mode == STOCK:
        return Execute(config=config, kernel_name="python3")
    if job.mode == TWO_PROCESS:
        return TwoProcessExecute(
            source=source, answer_kernel=SANDBOX_KERNEL, test_kernel=WARM_KERNEL, config=config, **timeout
        )
    kernel = {COLD: "python3", WARM: WARM_KERNEL, SANDBOX: SANDBOX_KERNEL}[job.mode]
    return SingleProcessExecute(kernel_name=kernel, whole=job.mode == COLD, config=config, **timeout)


def stop(notebook: NotebookNode, reason: str) -> None:
    """Give every test without a result an error with this reason: nbgrader takes a test that is silent for passed."""
    for cell in notebook.cells:
        if is_test(cell) and cell.cell_type == "code" and not cell.get("outputs") and not cell.get("execution_count"):
            fail(cell, reason)


def fail(cell: NotebookNode, reason: str) -> None:
    """Give a cell an error with this reason in place of what it shows."""
    cell.outputs = [nbformat.v4.new_output("error", ename=NOT_RUN_ERROR, evalue=reason, traceback=[reason])]


# Scores ---------------------------------------------------------------------------------------------------------------


def finished(job: Job, notebook: NotebookNode, reason: str, damage: list[str], seconds: float) -> Result:
    """Return the result of a notebook that was run: its outputs cut as nbgrader cuts them, each task scored by nbgrader."""
    notebook = nbformat.from_dict(_without_halves(notebook))
    for step in (IgnorePattern(config=job.course.config), LimitOutput(config=job.course.config)):
        if getattr(step, "enabled", True):
            notebook, _ = step.preprocess(notebook, ResourcesDict())
    notebook.metadata["resumen"] = {"key": job.key}
    tasks = tuple(_task(notebook, cell) for cell in notebook.cells if is_grade(cell))
    return Result(*job.names, job.key, job.mode, reason, tuple(damage), round(seconds, 3), tasks, notebook)


def _task(notebook: NotebookNode, cell: NotebookNode) -> Task:
    try:
        points, most = determine_grade(cell)
    except Exception as error:  # what a cell shows may be more than its points, or no number at all
        fail(cell, f"Its last line is no number of points: {first_sentence(str(error))}.")
        points, most = determine_grade(cell)
    name, outcome = name_of(notebook, cell), _outcome(cell, points, most)
    message = "" if outcome in (RIGHT, TO_READ) else message_of(cell, name)
    return Task(cell.metadata.nbgrader.grade_id, name, points, most, outcome, message, is_solution(cell))


def _outcome(cell: NotebookNode, points: float | None, most: float) -> str:
    if points is None:
        return TO_READ
    if points:
        return RIGHT if points == most else PARTLY
    errors = {output.ename for output in cell.get("outputs", []) if output.output_type == "error"}
    if NOT_RUN_ERROR in errors:
        return NOT_RUN
    return NOT_ATTEMPTED if "NotImplementedError" in errors or cell.cell_type != "code" else WRONG


def name_of(notebook: NotebookNode, cell: NotebookNode) -> str:
    """Return what students know a graded cell by: what its `task(…)` says, or the heading above it."""
    told = re.search(r"\btask\(\s*[\"'](.+?)[\"']\s*\)", cell.source)
    if told and not is_solution(cell):
        return told[1]
    before = notebook.cells[: notebook.cells.index(cell)]
    headings = [re.search(r"^#+ +(.+)", one.source, re.M) for one in before if one.cell_type == "markdown"]
    return next((found[1] for found in reversed(headings) if found), cell.metadata.nbgrader.grade_id)


def message_of(cell: NotebookNode, name: str) -> str:
    """Return what a test said: its error's message, what it printed, and what cost the points on stderr; no traceback."""
    printed, warned, failed = [], [], []
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            failed.append(output.evalue or f"A check failed: {output.ename}.")
        elif output.output_type == "stream" and output.name == "stderr":
            warned.append(output.text)
        elif output.output_type == "stream":
            # Its visible checks passed, and it said so before another one failed.
            printed.append(output.text.replace(f"{name}: {RIGHT}.", ""))
    if warned and not failed:
        last = "".join(warned).strip().rpartition("\n")[2]
        failed.append(f"Your code wrote to the error stream, which costs the points: {last}")
    said = (ANSI.sub("", part).strip() for part in (*printed, *failed))
    return "\n".join(part for part in said if part)[:MOST_MESSAGE]


ANSI = re.compile(r"\x1b\[[0-9;]*m")

MOST_MESSAGE = 4000
"""Characters of a message that are kept."""


def _without_halves(value):
    """Return JSON without halves of characters, which no file can keep."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_without_halves(name): _without_halves(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_halves(one) for one in value]
    return value


# Files ----------------------------------------------------------------------------------------------------------------


def write_result(job: Job, result: Result) -> None:
    """Write a result where it belongs.

    Raises:
        OSError: if the disk is full, or the folder cannot be written.
    """
    fields = vars(result) | {"tasks": [vars(task) for task in result.tasks]}
    write_whole(job.path, json.dumps(fields, ensure_ascii=False))


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that is there with all that is in it or not at all, even if the power goes.

    Raises:
        OSError: if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_result(path: Path, key: str | None = None) -> Result | None:
    """Return a result; None if there is none, it cannot be read, or it has another key than the one that is asked for."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if key and fields["key"] != key:
            return None
        fields["tasks"] = tuple(Task(**task) for task in fields["tasks"])
        fields["damage"] = tuple(fields["damage"])
        fields["executed"] = nbformat.from_dict(fields["executed"])
        return Result(**fields)
    except (OSError, ValueError, TypeError, KeyError):
        return None
