"""Run a submission: its answers in one kernel and the tests in another (`TwoProcessExecute`), or all in one (`SingleProcessExecute`).

Both are nbgrader preprocessors: they stand where nbgrader's own `Execute` stands, between the rebuilt notebook and
`SaveAutoGrades`, and leave outputs that nbgrader's `determine_grade` scores.

    executed, resources = TwoProcessExecute(source=instructors_notebook, answer_kernel="resumen-sandbox",
                                            test_kernel="resumen-warm", timeout=180).preprocess(rebuilt, resources)
    resources["resumen"]["reason"]    # "" or why the rest of it was not run
    resources["resumen"]["accident"]  # whether it may go well another time: something outside killed a kernel

A submission always comes back. A kernel that dies, does not end, or says too much costs the cells that it prevented: each of
them gets an error whose message is the reason.

With two processes the student's kernel runs the answer cells and the instructor's cells around them, in their order, as a
student would. The tests' kernel runs the test cells, and of the instructor's other cells those that they need. It never runs
a line of the student's; it asks the answers for plain values (`resumen.instructor.answers`, `resumen.instructor.crossing`).

The cells that only tell the story are not run, and say so (`resumen.instructor.plan`); with `whole` they are.
"""

import asyncio
import contextlib
import re
import shutil
import tempfile
import time
from pathlib import Path
from queue import Empty

import nbformat
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Float, Instance, Integer, Unicode
from traitlets.config import Config

from resumen.errors import CourseError
from resumen.instructor.forkserver import ACCIDENTS
from resumen.instructor.plan import LEFT_OUT, Plan, left_out
from resumen.notebooks import is_test

NOT_RUN = "NotRun"
"""Name of the error in a cell that was not run, or not to its end. Its message is the reason."""

PLAIN = "get_ipython().InteractiveTB.set_mode(mode='Plain')"
"""First of all in every kernel: to find and colour the lines around an error takes longer than most tests."""

WATCH = f"import resumen.own as _own; _own.watch(); del _own; {PLAIN}"
"""And this in one that answers run in: a lab imports `resumen.lab` later, or not at all if a warm kernel has it."""

TASK = re.compile(r"\btask\(\s*[\"'].*?(\w+)[\"']\s*\)")
"""A test cell's `with task("Task 1 · clean_text")`: the function that it is about."""


class _Kernel(NotebookClient):
    """A kernel that runs one cell after the other, and says when it is no longer of use."""

    max_output = Integer(1 << 20)

    def __init__(self, kernel_name: str, folder: Path, where: dict, **options):
        # A connection by files in a private folder: no port that another process could reach.
        config = Config()
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = str(folder / "k")
        config.KernelManager.connection_file = str(folder / "kernel.json")
        super().__init__(
            nbformat.v4.new_notebook(),
            config=config,
            kernel_name=kernel_name,
            kernel_manager_class=AsyncKernelManager,
            resources=where,
            allow_errors=True,
            interrupt_on_timeout=True,
            error_on_timeout={"ename": NOT_RUN, "evalue": "", "traceback": []},
            shutdown_kernel="immediate",
            extra_arguments=["--HistoryManager.hist_file=:memory:", "--log-level=CRITICAL"],
            **options,
        )
        self.broken, self.accident = "", False
        self.on_cell_executed = self._note

    async def async_start_new_kernel_client(self):
        """As nbclient, but ready as soon as an answer has come on both channels, not 0.2 s after the last message."""
        self.kc = self.km.client()
        self.kc.start_channels()
        self.kc.allow_stdin = False
        deadline = time.monotonic() + self.startup_timeout
        while True:
            asked = self.kc.kernel_info()
            try:
                while (await self.kc.get_shell_msg(timeout=1))["parent_header"].get("msg_id") != asked:
                    pass
                while (await self.kc.get_iopub_msg(timeout=1))["content"].get("execution_state") != "idle":
                    pass
                return self.kc
            except Empty:
                if not await self.km.is_alive() or time.monotonic() > deadline:
                    why = self.why()
                    raise CourseError(
                        f"The kernel did not start: {why or 'it died, or did not answer in time'}."
                    ) from None

    def process_message(self, msg, cell, cell_index):
        """As nbclient, but what a cell prints and shows ends at `max_output` bytes. An error is never left out: it costs the points."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "update_display_data"):
            self.printed += len(str(msg["content"]))
            if self.printed > self.max_output:
                stream = msg["content"].get("name", "stdout")
                if stream not in self.cut:
                    self.cut.add(stream)
                    words = "\n… (the rest was too long)\n"
                    cell.outputs.append(nbformat.v4.new_output("stream", name=stream, text=words))
                return None
        return super().process_message(msg, cell, cell_index)

    async def run(self, cell, seconds: float) -> str:
        """Execute one cell, and return "" or why this kernel cannot go on. An error in the cell is no reason."""
        if self.broken:
            return self.broken
        self.printed, self.cut = 0, set()
        self.nb.cells, self.timeout = [cell], max(1, round(seconds))
        cell.outputs = []
        try:
            await self.async_execute_cell(cell, 0, store_history=False)
            if self.reply["ename"] == NOT_RUN:
                mark(cell, f"it took more than {self.timeout} s: is there a loop that does not end?")
                probe = nbformat.v4.new_code_cell("pass")
                self.nb.cells, self.timeout = [probe], 10
                await self.async_execute_cell(probe, 0, store_history=False)
                if self.reply["ename"] == NOT_RUN:
                    self.broken = "a cell took too long and could not be interrupted"
            elif self.reply["status"] != "ok" and not any(one.output_type == "error" for one in cell.outputs):
                mark(cell, f"it failed without an error that can be shown: {self.reply['ename']}")
        except DeadKernelError:
            if not self.broken:  # else whoever found out has said why, or we ended it
                why = self.why()
                self.accident = not why or why in ACCIDENTS
                self.broken = f"the kernel died: {why or 'it was killed, crashed, or ran out of memory'}"
        except Exception as error:  # a kernel in the hands of a student may send anything
            self.broken = f"the kernel broke the rules of its line: {type(error).__name__}"
        return self.broken

    def why(self) -> str:
        """Return why a kernel of ours ended, in words; "" if it runs, or if nobody knows."""
        return getattr(self.km.provisioner, "reason", "") if self.km else ""

    async def end(self) -> str:
        """Return why this kernel ended. Its line breaks a moment before its keeper says why; "" if it runs on, without a line."""
        for _ in range(100):
            if not await self.km.is_alive():
                break
            await asyncio.sleep(0.02)
        return self.why()

    def _note(self, execute_reply, **_):
        content = execute_reply["content"]
        self.reply = {"status": content.get("status"), "ename": str(content.get("ename"))}


@contextlib.asynccontextmanager
async def _both(*kernels: _Kernel):
    """Start kernels side by side, and end them so."""
    running = [contextlib.AsyncExitStack() for _ in kernels]
    try:
        starting = [
            one.enter_async_context(kernel.async_setup_kernel()) for one, kernel in zip(running, kernels, strict=True)
        ]
        await asyncio.gather(*starting)
        yield
    finally:
        await asyncio.gather(*(one.aclose() for one in running))


def mark(cell, reason: str) -> None:
    """Give a cell an error with this reason, so that nbgrader gives it no points."""
    cell.outputs = [
        *(one for one in cell.get("outputs", []) if one.output_type != "error"),
        nbformat.v4.new_output("error", ename=NOT_RUN, evalue=reason, traceback=[f"{NOT_RUN}: {reason}"]),
    ]


class _Execute(NbGraderPreprocessor):
    timeout = Integer(180, help="Seconds that one cell may take.").tag(config=True)
    submission_timeout = Float(900.0, help="Seconds that a whole submission may take.").tag(config=True)
    max_output = Integer(1 << 20, help="Bytes of output that are kept of one cell.").tag(config=True)
    whole = Bool(False, help="Run the cells that only tell the story, too.").tag(config=True)

    def preprocess(self, nb, resources):
        run_sync(self._run)(nb, resources)
        return nb, resources

    async def _run(self, nb, resources) -> None:
        self._end = time.monotonic() + self.submission_timeout
        self._folder = Path(tempfile.mkdtemp(prefix="resumen-", dir="/tmp"))  # a sandbox has a /tmp, too
        resources["resumen"] = {"reason": "", "accident": False}
        try:
            await self._run_cells(nb, resources)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _to_run(self, nb) -> list:
        """Return the cells to run. The code cells that are left out say so."""
        skipped = set() if self.whole else left_out(nb)
        for place in skipped:
            nb.cells[place].outputs = [nbformat.v4.new_output("stream", text=LEFT_OUT)]
        cells = [cell for place, cell in enumerate(nb.cells) if place not in skipped]
        return [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]

    def _seconds(self) -> float:
        return min(self.timeout, self._end - time.monotonic())

    def _kernel(self, name: str, resources, folder: str) -> _Kernel:
        path = self._folder / folder
        path.mkdir(mode=0o700)
        where = {"metadata": {"path": resources.get("metadata", {}).get("path", str(path))}}
        return _Kernel(name, path, where, max_output=self.max_output)


class SingleProcessExecute(_Execute):
    """Run the notebook in one kernel, as nbgrader does, and survive what a submission does to it."""

    kernel_name = Unicode("python3", help="The kernel of answers and tests.").tag(config=True)

    async def _run_cells(self, nb, resources) -> None:
        kernel = self._kernel(self.kernel_name, resources, "kernel")
        reason = ""
        async with kernel.async_setup_kernel():
            await kernel.run(nbformat.v4.new_code_cell(WATCH), self.timeout)
            for cell in self._to_run(nb):
                if not reason and self._seconds() <= 0:
                    reason = "the time of this submission is used up"
                if not reason:
                    reason = await kernel.run(cell, self._seconds())
                    if not reason:
                        continue
                mark(cell, reason)
        resources["resumen"].update(reason=reason, accident=kernel.accident)


class TwoProcessExecute(_Execute):
    """Run the answers in one kernel and the tests in another."""

    answer_kernel = Unicode("python3", help="The kernel of the answers: nobody trusts it.").tag(config=True)
    test_kernel = Unicode("python3", help="The kernel of the tests: no line of a student's runs in it.").tag(
        config=True
    )
    call_timeout = Float(60.0, help="Seconds that one call of an answer may take.").tag(config=True)
    source = Instance(
        nbformat.NotebookNode, help="The instructor's notebook: what the tests' kernel runs comes from it."
    )

    async def _run_cells(self, nb, resources) -> None:
        plan = Plan(self.source)
        answers = self._kernel(self.answer_kernel, resources, "answers")
        tests = self._kernel(self.test_kernel, resources, "tests")
        async with _both(tests, answers):
            # A kernel of ours has made the socket already, in its private folder.
            folder = getattr(answers.km.provisioner, "runtime", "") or self._folder / "answers"
            path = str(Path(folder, "answers"))
            line = f"{PLAIN}\nfrom resumen.instructor.answers import Line as _Line\n"
            line += f"_line = _Line({path!r}, {str(self._folder / 'files')!r}, globals(), {self.call_timeout}, {self.submission_timeout})"
            await self._scratch(tests, line)
            cells = self._to_run(nb)
            turns = iter([cell for cell in cells if is_test(cell)])

            async def prepare() -> None:
                cell = next(turns, None)
                for needed in plan.needed_by(cell) if cell else []:
                    await self._scratch(tests, needed.source)

            # What a test needs is run on another core while the answers get as far as that test.
            ready = asyncio.ensure_future(prepare())
            await answers.run(nbformat.v4.new_code_cell(WATCH), self.timeout)
            for cell in cells:
                if self._seconds() <= 0:
                    answers.broken = answers.broken or "the time of this submission is used up"
                if not is_test(cell):
                    if await answers.run(cell, max(1, self._seconds())):
                        mark(cell, answers.broken)
                    continue
                await ready
                if not tests.broken:
                    await self._test(cell, plan.asked_by(cell), answers, tests, path)
                if tests.broken:
                    mark(cell, tests.broken)
                ready = asyncio.ensure_future(prepare())
            await ready
        resources["resumen"].update(reason=answers.broken or tests.broken, accident=answers.accident or tests.accident)

    async def _test(self, cell, names: list[str], answers: _Kernel, tests: _Kernel, path: str) -> None:
        """Run a test cell in the tests' kernel while the answers' kernel serves what it asks for."""
        if answers.broken:
            await self._scratch(tests, f"_line.gone = {answers.broken!r}")
        code = f"from resumen.instructor.answers import serve as _serve\n_serve({path!r}, globals(), {TASK.findall(cell.source)!r})"
        serving = asyncio.ensure_future(answers.run(nbformat.v4.new_code_cell(code), self.submission_timeout))
        try:
            await self._scratch(tests, f"_line.open({cell.source!r})\n_line.fetch({names!r})")
            await tests.run(cell, max(1, self._seconds()))
        finally:
            told = await self._scratch(tests, "_line.close(); print(_line.gone, end='')")
            if told and not answers.broken:
                why = await answers.end()
                answers.broken, answers.accident = f"the kernel died: {why}" if why else told, why in ACCIDENTS
                if why:
                    mark(cell, answers.broken)
            if not answers.broken and not await _ends(serving, 5):
                await answers.km.interrupt_kernel()
            if not answers.broken and not await _ends(serving, 10):
                answers.broken = "an answer did not come back when its test was over"
            if answers.broken:
                await answers.km.shutdown_kernel(now=True)
                await serving

    async def _scratch(self, kernel: _Kernel, code: str) -> str:
        """Run code of ours, and return what it prints."""
        cell = nbformat.v4.new_code_cell(code)
        await kernel.run(cell, self.timeout)
        for output in cell.outputs:
            if output.output_type == "error":
                kernel.broken = kernel.broken or f"the tests could not be prepared: {output.ename}: {output.evalue}"
        return "".join(one.text for one in cell.outputs if one.output_type == "stream" and one.name == "stdout")


async def _ends(task: asyncio.Future, seconds: float) -> bool:
    """Say whether a task ends in time."""
    done, _ = await asyncio.wait([task], timeout=seconds)
    return bool(done)
