"""`resumen grade`: from what an LMS gives to scores in nbgrader's gradebook.

Every notebook of every student is a job (`job`), done by a process of its own or by a cluster (`workers`). This process alone
writes to the gradebook, with nbgrader's own steps, and it can be stopped at any moment: a job that is done has a file, and a file
that was merged has left its key in the notebook for formgrader. What has neither is done, or merged, by the next run.
"""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbgrader.api import Gradebook
from nbgrader.preprocessors import AssignLatePenalties, SaveAutoGrades, latesubmissions, saveautogrades
from sqlalchemy.exc import SQLAlchemyError

from resumen.errors import CourseError
from resumen.instructor import sandbox, workers
from resumen.instructor.gradebook import Course, reason_of, standings
from resumen.instructor.job import (
    COLD,
    TWO_PROCESS,
    WARM,
    Job,
    Result,
    give_up,
    kernels,
    key_of,
    read_result,
    run_job,
    write_whole,
)


class NoSandbox(CourseError):
    """Submissions cannot be run safely here."""


class Submission(Protocol):
    """A file that was handed in, as `collect.find_submissions` finds it."""

    student: str
    assignment: str
    notebook: str
    path: Path


@dataclass
class Graded:
    """What came of a run."""

    results: list[Result]
    """Of all submissions that have one, those of earlier runs too."""

    ungraded: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Student, assignment and notebook of what has no score, and why: it is nobody's fault, and another run may mend it."""

    unmatched: list[str] = field(default_factory=list)
    """A sentence for each file that was not graded because nobody knows whose or what it is."""

    fresh: int = 0
    """How many were run by this run."""

    seconds: float = 0.0


def choose_mode(cold: bool = False, unsafe: bool = False) -> str:
    """Return how notebooks are run.

    Args:
        cold: in kernels that are started anew, as nbgrader does.
        unsafe: outside a sandbox if there is none.

    Raises:
        NoSandbox: if code of students would run with the rights of whoever grades, and `unsafe` does not allow it.
    """
    if cold and not unsafe:
        raise NoSandbox(
            "With --cold, students' code runs outside the sandbox, with your rights: leave --cold out, or add --unsafe."
        )
    if cold:
        return COLD
    missing = sandbox.available()
    if missing and not unsafe:
        raise NoSandbox(f"{missing.rstrip('.')}; or add --unsafe to run students' code with your rights.")
    if not missing:
        return TWO_PROCESS
    return WARM if sys.platform == "linux" else COLD


def grade(
    course: Course,
    found: Iterable[Submission],
    *,
    mode: str = TWO_PROCESS,
    jobs: int | None = None,
    scheduler: str | None = None,
    stages: list[str] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    work: workers.Work = run_job,
) -> Graded:
    """Grade what was handed in, and put the scores into the gradebook.

    Args:
        course: the instructor's folder.
        found: the submissions, from `collect.find_submissions`.
        mode: one of `job.MODES`.
        jobs: how many notebooks are run at a time on this machine; by default one for each core.
        scheduler: the address of a Dask scheduler whose workers do the jobs instead.
        stages: the assignments to grade; by default all.
        on_progress: called with (done, total) before the first job and after each.
        work: what does a job.

    Raises:
        CourseError: if there is no such stage, another run goes on in this folder, or a cluster is not ready.
        OSError: if a submission cannot be read or kept.
    """
    began = time.monotonic()
    for stage in stages or ():
        if stage not in course.notebooks:
            raise CourseError(
                f"There is no stage {stage!r} to grade: solutions/ holds {', '.join(course.notebooks) or 'no notebook'}."
            )
    with _alone(course):
        graded = Graded([])
        wanted = [one for one in found if not stages or one.assignment in stages]
        unknown = [one for one in wanted if one.notebook not in course.notebooks.get(one.assignment, ())]
        for one in unknown:
            graded.unmatched.append(
                f"{one.path} was left out: solutions/ holds no {one.assignment}/{one.notebook}.ipynb to grade it by."
            )
        kept = [one for one in wanted if one.notebook in course.notebooks.get(one.assignment, ())]
        all_jobs = [_job(course, one, mode) for one in kept]
        to_do = [job for job in all_jobs if not _is_done(job)]
        done = len(all_jobs) - len(to_do)
        # The warm server loads its libraries while the gradebook is made ready.
        with kernels(course, mode) if to_do and not scheduler else nullcontext():
            course.record(sorted({one.assignment for one in kept}))
            with _Merger(course) as merger:
                waiting = {job.names for job in to_do}
                for job in all_jobs:
                    if job.names not in waiting:
                        merger.merge(job)
                on_progress(done, len(all_jobs))
                for job, failure in _done(to_do, jobs or _cores(), scheduler, work):
                    if failure and failure.died:
                        failure = _give_up(job, f"Grading it was tried {workers.TRIES} times, and {failure.reason}.")
                    if failure:
                        graded.ungraded[job.names] = failure.reason
                        continue
                    merger.merge(job)
                    graded.fresh += 1
                    on_progress(done + graded.fresh, len(all_jobs))
                graded.ungraded |= merger.finish()
        results = (read_result(job.path, job.key) for job in all_jobs)
        graded.results = [one for one in results if one]
        graded.seconds = time.monotonic() - began
        return graded


@contextmanager
def _alone(course: Course):
    """Hold the folder's lock: two runs at once would do the same jobs, and write to one gradebook."""
    course.grading.mkdir(parents=True, exist_ok=True)
    with open(course.grading / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CourseError(f"Another `resumen grade` runs in {course.root}: wait until it has ended.") from None
        yield


def _job(course: Course, one: Submission, mode: str) -> Job:
    """Return the job of a submission. The file is kept in nbgrader's folder, where formgrader and a cluster find it."""
    data = one.path.read_bytes()
    place = course.submitted(one.student, one.assignment, one.notebook)
    if not place.is_file() or place.read_bytes() != data:
        write_whole(place, data)
    source = course.source(one.assignment, one.notebook).read_bytes()
    return Job(course, one.student, one.assignment, one.notebook, key_of(data, source), mode)


def _is_done(job: Job) -> bool:
    return read_result(job.path, job.key) is not None


def _give_up(job: Job, reason: str) -> workers.Failure | None:
    try:
        give_up(job, reason)
    except OSError as error:
        return workers.failure_of(error)
    return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _done(jobs: list[Job], count: int, scheduler: str | None, work: workers.Work):
    """Yield each job when it is done, with why it failed if it did."""
    if not jobs:
        return iter(())
    return workers.cluster(jobs, scheduler, work) if scheduler else workers.local(jobs, count, work)


class _Merger:
    """The one writer to the gradebook. What it cannot merge now, because another program holds the gradebook, it tries at the end."""

    def __init__(self, course: Course):
        self.course = course
        self.opened = ExitStack()
        self.gradebook: Gradebook | None = None
        self.later: list[Job] = []
        self.steps = [SaveAutoGrades(config=course.config), AssignLatePenalties(config=course.config)]
        self.known = {(one.student, one.assignment, one.notebook) for one in standings(course) if one.is_graded}

    def __enter__(self) -> "_Merger":
        return self

    def __exit__(self, *_) -> None:
        self.opened.close()

    def merge(self, job: Job) -> None:
        """Merge the result of a job, unless that was done before."""
        if not self._is_merged(job) and self._try(job):
            self.later.append(job)

    def finish(self) -> dict[tuple[str, str, str], str]:
        """Merge what is left, and return what could not be merged, and why."""
        failed = {}
        for job in self.later:
            reason = self._try(job)
            if reason:
                failed[job.names] = f"its result is kept, and is not in the gradebook: {reason}"
        return failed

    def _is_merged(self, job: Job) -> bool:
        if job.names not in self.known:
            return False
        try:
            executed = nbformat.read(self.course.autograded(*job.names), as_version=4)
            return executed.metadata.get("resumen", {}).get("key") == job.key
        except Exception:  # nbformat lets AttributeError and TypeError through for what is no notebook
            return False

    def _try(self, job: Job) -> str:
        """Merge a result; return "" or why it was not possible."""
        result = read_result(job.path, job.key)
        if result is None:
            return "its file cannot be read"
        try:
            self._save(job, result)
        except (SQLAlchemyError, OSError) as error:
            return reason_of(error)
        self.known.add(job.names)
        return ""

    def _save(self, job: Job, result: Result) -> None:
        folder = self.course.submitted(*job.names).parent
        stamp = self.course.directory.get_existing_timestamp(str(folder))
        if self.gradebook is None:  # opening it fails, too, while another program holds it
            self.gradebook = self.opened.enter_context(self.course.gradebook())
        with _as_one(self.gradebook):
            self.gradebook.update_or_create_student(job.student)
            known = {"timestamp": stamp} if stamp else {}
            submission = self.gradebook.update_or_create_submission(job.assignment, job.student, **known)
            for notebook in submission.notebooks:
                # Formgrader shall not ask anybody to read what was not handed in. nbgrader would give it 0 points.
                if not self.course.submitted(job.student, job.assignment, notebook.name).is_file():
                    for grade in notebook.grades:
                        grade.needs_manual_grade = False
            names = dict(zip(("student", "assignment", "notebook"), job.names, strict=True))
            resources = ResourcesDict(nbgrader=names | {"db_url": self.course.url})
            for step in self.steps:
                step.preprocess(result.executed, resources)
        write_whole(self.course.autograded(*job.names), nbformat.writes(result.executed))


@contextmanager
def _as_one(gradebook: Gradebook):
    """Let what is done within the block reach the disk at once, at its end, or not at all.

    nbgrader's steps open the gradebook anew and commit every cell, each time with a wait for the disk.
    """
    session, opened = gradebook.db(), _Opened(gradebook)

    def keep() -> None:
        session.flush()
        session.expire_all()  # as a commit does: sums over cells are read again

    try:
        with (
            patch.object(session, "commit", keep),
            patch.object(saveautogrades, "Gradebook", opened),
            patch.object(latesubmissions, "Gradebook", opened),
        ):
            yield
        session.commit()
    finally:
        session.close()  # what was not committed is undone


class _Opened:
    """Stands for nbgrader's class where one gradebook is open already, and stays open."""

    def __init__(self, gradebook: Gradebook):
        self._gradebook = gradebook

    def __call__(self, url: str) -> "_Opened":
        return self

    def __getattr__(self, name: str):
        return getattr(self._gradebook, name)

    def __enter__(self) -> "_Opened":
        return self

    def __exit__(self, *_) -> None:
        pass
