"""Run a lab's cells as nbgrader scores them, without a kernel: hundreds of answers in a few seconds.

One server process imports the libraries; each lab runs in a process forked from it, and the answers to a task in a process
forked from that one. So an endless loop or a crash costs one answer.
`test_nbgrader_agrees` shows that nbgrader's own scores are the same.
"""

import ast
import builtins
import gc
import itertools
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
import types
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat

from resumen.instructor.plan import left_out
from resumen.lab import NOT_ATTEMPTED, RIGHT, WRONG
from resumen.notebooks import names

LIBRARIES = ["datasets", "IPython", "pandas", "resumen.lab", "resumen.training", "torch", "transformers"]
"""What labs import, and what takes seconds to import."""

KEY_IN_REACH = "import resumen.own; resumen.own.KEY.clear(); resumen.own.ALSO.clear()"
"""Runs first where listed answers are tried: some make their mistake in what the course's own version returns, and what counts is
that the tests see the mistake."""

WALL_SECONDS = 120
"""Most that one answer may take, on however busy a machine. The limit that matters is on its processor time."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: `error` is "" if it raised nothing. Anything on stderr costs the points, right or not."""

    error: str = ""
    stderr: str = ""
    seconds: float = 0.0

    @property
    def is_lost(self) -> bool:
        return bool(self.error or self.stderr)


@dataclass(frozen=True)
class Task:
    """A graded function or class: its answer cell, with the reference in it, and its test cell."""

    function: str
    answer: nbformat.NotebookNode
    tests: nbformat.NotebookNode


class Lab:
    """A source notebook, and its tasks by the name of their function."""

    def __init__(self, path: Path):
        self.notebook = nbformat.read(path, as_version=4)
        self.code = [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @cached_property
    def graded(self) -> list[nbformat.NotebookNode]:
        return [cell for cell in self.notebook.cells if "nbgrader" in cell.metadata]

    @cached_property
    def tasks(self) -> dict[str, Task]:
        tests = {cell.metadata.nbgrader.grade_id: cell for cell in self.graded}
        tasks = {}
        for cell in self.code:
            meta = cell.metadata.get("nbgrader", {})
            if meta.get("solution"):
                function = answered(cell.source)
                tasks[function] = Task(function, cell, tests[f"{meta.grade_id}-tests"])
        return tasks

    @cached_property
    def stories(self) -> set[str]:
        """The ids of the cells that grading leaves out."""
        return {self.notebook.cells[place].id for place in left_out(self.notebook)}

    @property
    def dependence_faults(self) -> list[str]:
        """Return where a cell reads a name that another task's cells bound last, or binds the name of another task's answer.

        If there are none, a wrong answer cannot reach another task, and an answer may be run with its own test cell only.
        """
        task_of = {cell.id: task.function for task in self.tasks.values() for cell in (task.answer, task.tests)}
        bound_by: dict[str, str | None] = {}
        faults = []
        for cell in self.code:
            own = task_of.get(cell.id)
            reads, binds = names(cell.source)
            others = {name: bound_by[name] for name in reads - binds if bound_by.get(name, own) not in (None, own)}
            faults += [f"{cell.id} reads {name!r} from {task}" for name, task in sorted(others.items())]
            faults += [f"{cell.id} binds {name!r}" for name in sorted(binds & set(self.tasks) - {own})]
            bound_by |= dict.fromkeys(binds, own)
        return faults

    def mixture(self, wrong: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return answers by function, and what each task then is: not attempted, wrong and right take turns.

        Args:
            wrong: a wrong answer for each function.
        """
        states = dict(zip(self.tasks, itertools.cycle((NOT_ATTEMPTED, WRONG, RIGHT))))
        answers = {}
        for function, state in states.items():
            source = self.tasks[function].answer.source
            answers[function] = {NOT_ATTEMPTED: untouched(source), WRONG: wrong[function], RIGHT: source}[state]
        return answers, states

    def run(
        self, answers: dict[str, str] | None = None, start: str = "", stories: bool = True
    ) -> tuple[dict[str, Outcome], list[tuple[str, str, str]]]:
        """Run the lab from top to bottom, with these answers in place of the reference's.

        Args:
            answers: by function.
            start: Python that runs before the first cell.
            stories: run the cells that grading leaves out, too.

        Returns:
            The outcome of each code cell by its id, and the rows of `report()`: task, outcome, why.
        """
        sources = {task.answer.id: (answers or {}).get(task.function) for task in self.tasks.values()}
        skipped = set() if stories else self.stories
        run = [cell for cell in self.code if cell.id not in skipped]
        cells = [("start", start), *((cell.id, sources.get(cell.id) or cell.source) for cell in run)]
        outcomes, rows = in_fresh_process(_run_cells, cells)
        return {name: Outcome(*outcome) for name, outcome in outcomes.items()}, rows

    def lost(self, ran: tuple[dict[str, Outcome], list]) -> set[str]:
        """Return the functions whose points were lost in what `run` returned."""
        return {function for function, task in self.tasks.items() if ran[0][task.tests.id].is_lost}

    def outcome_faults(self, states: dict[str, str], outcomes: dict[str, Outcome], rows: list[tuple]) -> list[str]:
        """Return a sentence for each task whose error or report does not say what its answer is.

        Args:
            states: what each answer is, by function, as `mixture` returns it.
            outcomes: as `run` returns them.
            rows: as `run` returns them.
        """
        faults = []
        for (function, state), (_, reported, _) in zip(states.items(), rows, strict=True):
            error = outcomes[self.tasks[function].tests.id].error
            if error.startswith("NotImplementedError: ") != (state == NOT_ATTEMPTED):
                faults.append(f"{function} is {state}, and the error says {error!r}")
            # The student sees RIGHT where only a hidden test fails.
            if reported != state and (state, reported) != (WRONG, RIGHT):
                faults.append(f"{function} is {state} and is reported as {reported}")
        return faults

    def run_answers(self, answers: list[tuple[str, str]], start: str = "", apart: bool = False) -> list[Outcome]:
        """Run each (function, answer) with its task's own test cell, and return the outcomes of those cells.

        Why its own cell is enough: `test_tasks_are_independent` proves from the sources that no other cell reads the name. Nor does
        an answer read another's tests or a story. The reference runs first: an answer that takes five times as long is stuck.

        Args:
            answers: the function's name and the source of its answer cell.
            start: Python that runs before the first cell.
            apart: run each answer in a process of its own, which the tests' process asks.

        Raises:
            AssertionError: if a reference loses its points.
        """
        by_cell: dict[str, list[tuple[int, str, str]]] = {}
        for number, (function, source) in enumerate(answers):
            task = self.tasks[function]
            by_cell.setdefault(task.answer.id, []).append((number, source, task.tests.source))
        unread = self.stories | {task.tests.id for task in self.tasks.values()}
        needed = [cell for cell in self.code if cell.id not in unread]
        cells = [(start, []), *((cell.source, by_cell.get(cell.id, [])) for cell in needed)]
        outcomes = in_fresh_process(_run_forks, cells, apart)
        return [Outcome(*outcomes[number]) for number in range(len(answers))]


def answered(source: str) -> str:
    """Return the name of the function or class that an answer cell defines around its solution."""
    line = source[: source.index("### BEGIN SOLUTION")].count("\n") + 1
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.lineno <= line <= node.end_lineno + 1:
            return node.name
    raise ValueError(f"no function or class around the solution: {source[:60]!r}")


def _plain_python(source: str) -> str:
    """Return a cell as Python: a line such as `%pip install` is not."""
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


def untouched(source: str) -> str:
    """Return an answer cell with the stub in place of its solution."""
    region = r"^([ \t]*)### BEGIN SOLUTION.*?### END SOLUTION"
    return re.sub(region, r"\1raise NotImplementedError", source, flags=re.DOTALL | re.MULTILINE)


def in_fresh_process(function, *arguments):
    """Return function(*arguments), run in a process that has the libraries and nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def _run_cells(cells):
    cell_runner = _CellRunner()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # nothing of the repository is here, as on a student's machine
        outcomes = {name: cell_runner.run(source) for name, source in cells}
        os.chdir("/")
    from resumen import lab

    return outcomes, list(lab.report().reset_index().itertuples(index=False, name=None))


def _run_forks(cells, apart):
    cell_runner = _CellRunner(apart)
    outcomes = {}
    for source, answers in cells:
        gc.collect()
        gc.freeze()  # or the first collection in each fork would copy the whole of memory
        if answers:
            outcomes |= _run_task(cell_runner, source, answers)
        cell_runner.run(source)
    return outcomes


def _run_task(cell_runner, reference, answers) -> dict:
    """Run the answers to a task in forks of this process."""
    tests = answers[0][2]
    error, stderr, seconds = _run_in_forks(cell_runner, [(None, reference, tests, WALL_SECONDS)])[None]
    if error or stderr:
        raise AssertionError(f"the reference loses its points: {error or stderr}\n{tests}")
    limit = 1 + 5 * seconds
    answers = [(*one, limit) for one in answers]
    # To fork for each answer would take longer than to run it. Those to one task share a fork, each with a copy of the
    # namespace; the reference goes last. If it is lost, an answer has left something behind: each gets its own fork.
    outcomes = _run_in_forks(cell_runner, [*answers, (None, reference, tests, limit)])
    if any(outcomes.pop(None)[:2]):
        outcomes = {name: out for one in answers for name, out in _run_in_forks(cell_runner, [one]).items()}
    return outcomes


def _run_in_forks(cell_runner, answers) -> dict:
    """Run answers one after the other in a fork of this process. One that is stuck or crashes ends it: the rest get another."""
    outcomes = {}
    while answers:
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                with open(writer, "w") as pipe:
                    for _, answer, tests, limit in answers:
                        # When a timer runs out, the operating system ends the process: no code can hold that up.
                        signal.setitimer(signal.ITIMER_PROF, limit)
                        signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
                        print(json.dumps(cell_runner.run_both(answer, tests)), file=pipe, flush=True)
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader) as pipe:
            done = [json.loads(line) for line in pipe]
        os.waitpid(process, 0)
        if len(done) < len(answers):
            done.append(("the process ended before the cell did: stuck, killed or crashed", "", answers[len(done)][3]))
        outcomes |= {number: outcome for (number, *_), outcome in zip(answers, done, strict=False)}
        answers = answers[len(done) :]
    return outcomes


class _CellRunner:
    """A stand-in for a kernel: one namespace, and what a cell raises or writes to stderr."""

    def __init__(self, apart: bool = False):
        from IPython.display import display

        self.apart = apart
        builtins.display = display  # as in a notebook
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        self.namespace = main.__dict__
        # Libraries write to file descriptor 2 too: compiled code, and loggers that were set up before this.
        with tempfile.TemporaryFile() as stderr:
            os.dup2(stderr.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def run(self, source: str) -> tuple[str, str, float]:
        error, started = "", time.process_time()
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
        try:
            exec(compile(_plain_python(source), "<ipython-input-cell>", "exec"), self.namespace)
        except BaseException as caught:  # SystemExit too
            error = f"{type(caught).__name__}: {caught}"
        seconds = time.process_time() - started
        sys.stdout.flush()
        sys.stderr.flush()
        return error[:2000], os.pread(2, 2000, 0).decode(errors="replace"), seconds

    def run_both(self, answer: str, tests: str) -> tuple[str, str, float]:
        """Run an answer, then its tests, in a copy of the namespace, and return the outcome of the tests."""
        if self.apart:
            return self._run_apart(answer, tests)
        before, self.namespace = self.namespace, dict(self.namespace)
        self.run(answer)
        outcome = self.run(tests)
        self.namespace = before
        return outcome

    def _run_apart(self, answer: str, tests: str) -> tuple[str, str, float]:
        """As `run_both`, but the answer runs in a fork of this process: a stand-in for the two kernels of `TwoProcessExecute`."""
        from resumen import lab
        from resumen.instructor.answers import Line, serve
        from resumen.instructor.hidden import TASK

        function = TASK.findall(tests)
        with tempfile.TemporaryDirectory() as folder:
            line = Line(f"{folder}/answers", f"{folder}/files", dict(self.namespace), call_seconds=20, all_seconds=60)
            line.open(tests)
            process = os.fork()
            if process == 0:
                try:
                    lab._define = None
                    self.run(answer)
                    serve(line.path, self.namespace, function)
                finally:
                    os._exit(0)
            before, self.namespace = self.namespace, line.namespace
            try:
                line.fetch(function)
                return self.run(tests)
            finally:
                line.close()
                self.namespace, lab._define, tempfile.tempdir = before, None, None
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
