"""Who does the jobs: processes of this machine, one for each job, or the workers of a Dask cluster.

Both tell of each job once, when its result is there or when it failed for good. What a job has done lies in its file, so that
nothing here has to be remembered.
"""

import atexit
import contextlib
import errno
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from resumen.errors import CourseError, first_sentence
from resumen.instructor.job import FORKED, SANDBOXED, Job, kernels, read_result, run_job

Work = Callable[[Job], None]
"""What does a job: `job.run_job`, or what a test puts in its place."""

TRIES = 3
"""How often a job is begun whose process ends without a word."""

ANSWERS_WITHIN = "10s"
"""A scheduler that has not answered by then is not there."""


@dataclass(frozen=True)
class Failure:
    """Why a job has no result."""

    reason: str
    died: bool = False
    """Its process ended without a word: its memory ran out, or something killed it."""


FULL = (errno.ENOSPC, errno.EDQUOT)


def failure_of(error: Exception) -> Failure:
    """Return what an exception of a job means."""
    if isinstance(error, OSError) and error.errno in FULL:
        return Failure("the disk is full")
    if isinstance(error, OSError):
        return Failure(f"{error.filename or 'a file'} cannot be read or written: {error.strerror or error}")
    if isinstance(error, CourseError):
        return Failure(str(error).rstrip("."))
    return Failure(f"{type(error).__name__}: {first_sentence(str(error))}")


# This machine ---------------------------------------------------------------------------------------------------------


def local(jobs: list[Job], count: int, work: Work = run_job) -> Iterator[tuple[Job, Failure | None]]:
    """Do the jobs in `count` processes; yield each with None, or with why it failed.

    The processes are forks of one that has nbgrader loaded, and end when this process ends. One that dies costs a try of its job.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    waiting = deque((job, 1) for job in jobs)
    idle: list[_Worker] = []
    busy: dict[Connection, tuple[_Worker, Job, int]] = {}
    ended: list[tuple[Job, Failure | None]] = []
    try:
        while waiting or busy or ended:
            while waiting and len(busy) < count:
                job, attempt = waiting.popleft()
                worker = idle.pop() if idle else _Worker(context, work)
                worker.begin(job)
                busy[worker.line] = worker, job, attempt
            yield from ended  # whoever asked deals with these while the next ones run
            ended = []
            for line in wait(list(busy)) if busy else ():
                worker, job, attempt = busy.pop(line)
                failure = worker.end()
                if failure is None or not failure.died:
                    idle.append(worker)
                if failure and attempt < TRIES:
                    waiting.append((job, attempt + 1))  # last in the queue: what was in its way may be over by then
                else:
                    ended.append((job, failure))
    finally:
        for worker in (*idle, *(worker for worker, _, _ in busy.values())):
            worker.stop()


class _Worker:
    """A process that does one job after the other, and the line to it."""

    def __init__(self, context, work: Work):
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, work, dict(os.environ)), daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, job: Job) -> None:
        with contextlib.suppress(OSError):  # it has died since; `end` says so
            self.line.send(job)

    def end(self) -> Failure | None:
        """Return what became of its job."""
        try:
            return self.line.recv()
        except (EOFError, OSError):
            self.stop()
            return Failure(f"the process that graded it ended without a word ({self.process.exitcode})", died=True)

    def stop(self) -> None:
        self.line.close()
        self.process.kill()
        self.process.join()


def _work(line: Connection, work: Work, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    if sys.platform == "linux":
        from resumen.instructor.sandbox import die_with_parent

        die_with_parent(os.getppid())
    with contextlib.suppress(EOFError, OSError):  # whoever gives the jobs is gone: so is this process, without a word
        while True:
            job, failure = line.recv(), None
            try:
                work(job)
            except Exception as error:
                failure = failure_of(error)
            line.send(failure)


# A cluster ------------------------------------------------------------------------------------------------------------


def cluster(jobs: list[Job], address: str, work: Work = run_job) -> Iterator[tuple[Job, Failure | None]]:
    """Have a Dask cluster do the jobs; yield each with None, or with why it failed.

    Its workers see the folder of the course at the same place as this machine, have this package installed, and sandboxes where
    the jobs need them. A job whose worker is gone is given to another one.

    Raises:
        CourseError: if there is no such cluster, or a worker lacks something.
    """
    try:
        from distributed import Client, as_completed
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise CourseError(
            "A cluster needs Dask, which is not installed: run `pip install -e '.[cluster]' -c constraints.txt`."
        ) from None
    try:
        client = Client(address, timeout=ANSWERS_WITHIN, set_as_default=False)
    except (OSError, ValueError) as error:
        raise CourseError(
            f"There is no Dask scheduler at {address}: start one with `dask scheduler`, and name its address ({error})."
        ) from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise CourseError(f"The cluster at {address} has no worker: start some with `dask worker {address}`.")
        for worker, problem in client.run(problem_of, str(jobs[0].course.root), jobs[0].mode).items():
            if problem:
                raise CourseError(f"The worker {worker} cannot grade: {problem}")
        futures = {client.submit(_work_in_cluster, work, job, pure=False): (job, 1) for job in jobs}
        ended = as_completed(futures, loop=client.loop)
        for future in ended:
            job, attempt = futures.pop(future)
            try:
                # If it was lost with its worker in the meantime, Dask has it done again, and this waits for it.
                failure = future.result()
            except KilledWorker:  # it has been given to others before
                failure, attempt = Failure("the workers that graded it ended without a word", died=True), TRIES
            except Exception as error:
                failure = failure_of(error)
            if failure and attempt < TRIES:
                again = client.submit(_work_in_cluster, work, job, pure=False)
                futures[again] = job, attempt + 1
                ended.add(again)
            else:
                yield job, failure


def problem_of(root: str, mode: str) -> str:
    """Return why this process cannot grade in that folder; "" if it can."""
    from resumen.instructor import sandbox

    if not os.path.isfile(os.path.join(root, "nbgrader_config.py")):
        return f"it sees no {root}: share the folder of the course, at the same place on every machine."
    return sandbox.available() if mode in SANDBOXED else ""


_lock = threading.Lock()
_kernels: contextlib.ExitStack | None = None


def _work_in_cluster(work: Work, job: Job) -> Failure | None:
    global _kernels
    # Dask repeats what a lost worker had done, too, as long as nobody has asked for it.
    if read_result(job.path, job.key):
        return None
    with _lock:  # a worker may have several threads
        if _kernels is None and job.mode in FORKED:
            _kernels = contextlib.ExitStack()
            _kernels.enter_context(kernels(job.course, job.mode))
            atexit.register(_kernels.close)
    try:
        work(job)
    except Exception as error:
        return failure_of(error)
    return None
