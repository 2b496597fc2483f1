"""A warm server: Python with the course's libraries loaded, which forks one kernel for each notebook that is to run.

Importing torch, transformers and the rest takes most of the time of grading a lab. The server does it once, in one process with one
thread, before anything has been computed; a fork of it has all of that at once, and shares the memory.

Three processes take part, each a fork of the one before:

* the **server** listens on a Unix socket in a folder that only its user can open, and forks a keeper for each caller. It ends when the
  process that started it does.
* a **keeper** minds one kernel: it makes the sandbox (if one is asked for), forks the kernel into it, passes signals on, measures what
  the kernel uses, relays and counts what it sends, and says how and why it ended. When the caller hangs up, or the server ends, so do
  the keeper, the sandbox and everything in it.
* the **kernel** is ipykernel's own. Its sockets were made for it outside, so that it needs no folder that others can see.

A caller sends one line of JSON, `{"connection", "argv", "cwd", "env", "policy", "hidden"}`, and gets `{"pid"}` or `{"error"}`; then it may
send `{"signal"}`, and gets `{"exit", "reason"}` when all is over. `provisioner` is the caller.
"""

import asyncio
import atexit
import builtins
import contextlib
import functools
import gc
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from resumen.instructor import sandbox
from resumen.instructor.sandbox import MEGABYTE, Policy, Sandbox

ADDRESS = "RESUMEN_FORKSERVER"
"""The environment variable that names the running server's folder, for this process and those it starts."""

ANSWERS = "RESUMEN_ANSWERS_FD"
"""The environment variable that tells a kernel the number of its extra listening socket; outside it is `answers` in the runtime folder."""

PRELOAD = {
    "ipykernel.kernelapp": "",
    "ipykernel.ipkernel": "",
    "ipykernel.zmqshell": "",
    "ipykernel.debugger": "",
    "IPython.core.completerlib": "",
    "IPython.core.debugger": "",
    "IPython.core.logger": "",
    "IPython.core.oinspect": "",
    "IPython.extensions.storemagic": "",
    "tornado.platform.asyncio": "",
    "ipywidgets": "",
    "torch": "",
    "transformers": "AutoConfig AutoModelForSeq2SeqLM AutoTokenizer DataCollatorForSeq2Seq EvalPrediction GenerationConfig MT5Config "
    "MT5ForConditionalGeneration PreTrainedTokenizerFast PrinterCallback Seq2SeqTrainer Seq2SeqTrainingArguments T5Tokenizer "
    "TrainerCallback get_linear_schedule_with_warmup",
    "datasets": "",
    "accelerate": "",
    "rouge_score.rouge_scorer": "",
    "nltk.stem": "",
    "nltk.tokenize.punkt": "",
    "matplotlib.pyplot": "",
    "resumen.corpus": "",
    "resumen.lab": "",
    "resumen.plots": "",
    "resumen.training": "",
    "resumen.baselines": "",
    "resumen.instructor.answers": "",
    "resumen.modeling": "",
    "resumen.setup": "",
}
"""Modules, and the names that transformers loads only when they are asked for."""

STOPPED, LEFT = "the caller stopped it", "the caller is gone"

KILLED, SERVER_ENDED = ACCIDENTS = ("it was killed", "the warm server ended")
"""Reasons why a kernel ended that may not come again."""

TIDY = 5
"""Seconds that keepers have to remove the folders of their kernels when the process that started the server is gone."""

TICK = 0.1
"""Seconds between two looks at what a sandbox uses."""


# --- for those who start it -------------------------------------------------------------------------------------------

_server: subprocess.Popen | None = None
_lock = threading.Lock()


def start() -> str:
    """Start the server, unless one runs; return its folder. It ends with this process, or with `stop`.

    Returns at once: the server takes a few seconds to load its libraries, and callers wait for their kernel that long.
    """
    with _lock:
        return os.environ.get(ADDRESS) or _start()


def connect() -> socket.socket:
    """Return a connection to the server; start one when none runs, or when it has ended."""
    connection = socket.socket(socket.AF_UNIX)
    with _lock:
        try:
            connection.connect(f"{os.environ[ADDRESS]}/socket")
        except (KeyError, FileNotFoundError, ConnectionRefusedError):
            if dead := os.environ.get(ADDRESS):  # it was killed, and could not tidy up
                shutil.rmtree(dead, ignore_errors=True)
            connection.connect(f"{_start()}/socket")
    return connection


def stop() -> None:
    """End the server that this process started, and every kernel of it."""
    global _server
    with _lock:
        if _server is not None:
            _server.communicate(b"stop")
            os.environ.pop(ADDRESS, None)
            _server = None


def _start() -> str:
    global _server
    folder = private_folder()
    listener = _listen(f"{folder}/socket")
    environment = {
        name: os.environ[name]
        for name in (
            "PATH",
            "HOME",
            "USER",
            "PYTHONPATH",
            "LANG",
            "LC_ALL",
            "TZ",
            "RESUMEN_PROFILE",
            "RESUMEN_DATA",
            "RESUMEN_QUICK",
        )
        if name in os.environ
    }
    # Whatever the libraries read when they are imported. Nothing else: a kernel can read the environment that its server began with.
    if "PYTHONPATH" in environment:  # the server runs elsewhere
        environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, environment["PYTHONPATH"].split(os.pathsep)))
    environment |= {
        "HF_HOME": f"{folder}/home",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's allocator would start a thread when it is imported
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": f"{folder}/home",
    }
    os.mkdir(f"{folder}/home")
    with open(f"{folder}/log", "wb") as log:
        _server = subprocess.Popen(
            [sys.executable, "-m", __name__, folder, str(listener.fileno()), json.dumps(PRELOAD)],
            stdin=subprocess.PIPE,  # closed when this process ends, however it ends: that is how the server knows
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=environment,
            cwd="/",
            pass_fds=[listener.fileno()],
        )
    listener.close()
    os.environ[ADDRESS] = folder
    return folder


def private_folder() -> str:
    """Return a new folder that only this user can open. Its name is short: the path of a Unix socket has at most 107 bytes."""
    parent = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="resumen-", dir=parent if len(parent) < 60 else "/tmp")


# --- the server -------------------------------------------------------------------------------------------------------


def serve(folder: str, listener: socket.socket, preload: dict[str, str]) -> None:
    """Load the libraries, then fork a keeper for each caller until standard input is closed."""
    with _as_if_in_a_kernel():
        for module, names in preload.items():
            # What a smaller installation lacks, or an older one calls otherwise, is loaded when it is needed.
            with contextlib.suppress(ImportError):
                loaded = importlib.import_module(module)
                for name in names.split():
                    getattr(loaded, name, None)
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        sys.exit(f"a library started {threads - 1} threads when it was imported, and a fork copies none of them")
    gc.collect()
    gc.freeze()  # the collector leaves alone what is shared: touching it would copy it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers report to their callers; nobody waits for them here
    server = os.getpid()
    while True:
        readable, _, _ = select.select([listener, 0], [], [])
        if 0 in readable:
            break
        caller, _ = listener.accept()
        if not os.fork():
            with _exit_after():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                sandbox.die_with_parent(server)
                listener.close()
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                keep(caller, folder)
        caller.close()
    shutil.rmtree(folder, ignore_errors=True)
    if os.read(0, 1):  # told to stop: the keepers are killed when this process ends
        return
    # Whoever started this process is gone, and the keepers whose callers are gone with it are about to tidy up.
    end = time.monotonic() + TIDY
    while psutil.Process().children() and time.monotonic() < end:
        time.sleep(0.01)


class Standard:
    """Stands for `sys.stdout` or `sys.stderr`, whatever that is at the moment.

    A library that keeps the stream which it found when it was loaded, as every handler of `logging` does, then writes to the kernel's.
    """

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str):
        stream = getattr(sys, self._name)
        return getattr(getattr(sys, f"__{self._name}__") if stream is self else stream, attribute)

    def close(self) -> None:
        """Stay open: absl's handler closes what it does not know for a standard stream."""


@contextlib.contextmanager
def _as_if_in_a_kernel():
    """Let libraries that look around when they are loaded (pandas, tqdm, ipywidgets) find what they would find in a notebook.

    Otherwise tables have another width there, and progress bars are text on stderr.
    """
    import IPython
    from IPython.core import getipython

    sys.stdout, sys.stderr = Standard("stdout"), Standard("stderr")
    real = getipython.get_ipython
    shells = [type("ZMQInteractiveShell", (), {"kernel": None, "config": {"IPKernelApp": {}}})()]

    def get_ipython():  # some keep this function, so it has to be right later as well
        return shells[0] if shells else real()

    IPython.get_ipython = getipython.get_ipython = builtins.get_ipython = get_ipython
    yield
    shells.clear()
    IPython.get_ipython = getipython.get_ipython = real
    del builtins.get_ipython


@contextlib.contextmanager
def _exit_after():
    """End the process after the block, whatever happens: a fork never returns into its parent's code."""
    code = 1
    try:
        yield
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


# --- the keeper -------------------------------------------------------------------------------------------------------


def keep(caller: socket.socket, folder: str) -> None:
    """Mind one kernel from its birth to its end."""
    line = b""
    while not line.endswith(b"\n"):
        part = caller.recv(1 << 20)
        if not part:
            return
        line += part
    request = json.loads(line)
    policy = Policy(**request["policy"]) if request["policy"] else None
    sandbox.adopt_orphans()
    jail = None
    try:
        if policy:
            files = read_files(request["cwd"], policy)
            jail = Sandbox(request["hidden"], writable=[f"{folder}/home"])
            jail.adopt_children()
        keeper = _give_birth(request, policy, jail, files if jail else {}, caller)
    except OSError as error:
        _tell(caller, error=str(error))
        if jail:
            jail.close()
        return
    _tell(caller, pid=keeper.kernel)
    # Not `asyncio.run`: what is still being relayed at the end is of no use to anybody, and need not be wound up.
    reason = asyncio.new_event_loop().run_until_complete(keeper.mind())
    if jail:
        jail.close()
    with contextlib.suppress(ProcessLookupError):
        os.kill(keeper.kernel, signal.SIGKILL)
    _, status, usage = os.wait4(keeper.kernel, 0)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    code = os.waitstatus_to_exitcode(status)
    if reason in (STOPPED, LEFT):
        _tell(caller, exit=code, reason="")
    else:
        _tell(caller, exit=code, reason=reason or why(code, usage.ru_utime + usage.ru_stime, policy))
    if reason == LEFT:  # nobody else will tidy up
        shutil.rmtree(_runtime(request), ignore_errors=True)


def _tell(caller: socket.socket, **message) -> None:
    with contextlib.suppress(OSError):
        caller.sendall(json.dumps(message).encode() + b"\n")


def _runtime(request: dict) -> str:
    """Return the private folder that the kernel's sockets lie in, from the connection's prefix of their names."""
    return os.path.dirname(request["connection"]["ip"])


def _give_birth(
    request: dict, policy: Policy | None, jail: Sandbox | None, files: dict[str, bytes], caller: socket.socket
) -> "Keeper":
    """Make the kernel's sockets, fork it, and wait until it is where it belongs.

    Raises:
        OSError: when the kernel could not go there.
    """
    connection = request["connection"]
    ports = {name: connection[f"{name}_port"] for name in ("shell", "iopub", "stdin", "control", "hb")}
    outside = {port: _listen(f"{connection['ip']}-{port}") for port in ports.values()}
    # What a sandboxed kernel sends passes through the keeper, who counts it.
    inside = {port: _listen(f"{connection['ip']}-{port}-in") for port in outside} if jail else outside
    answers = _listen(f"{_runtime(request)}/answers")
    ours, theirs = socket.socketpair()
    keeper = os.getpid()
    kernel = os.fork()
    if not kernel:
        with _exit_after():
            try:
                if jail:
                    jail.enter(policy, files)
                else:
                    sandbox.die_with_parent(keeper)
                    os.chdir(request["cwd"])
                processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
                listening = {port: each.fileno() for port, each in inside.items()}
                app = make_kernel(request, listening, answers.fileno(), kept=[theirs.fileno(), processes])
            except Exception as error:
                theirs.sendall(f"{type(error).__name__}: {error}".encode())
                return
            socket.send_fds(theirs, [b"\0"], [processes])
            theirs.close()
            os.close(processes)
            app.start()
            atexit._run_exitfuncs()  # a fork ends with `_exit`, which would skip them
    theirs.close()
    word, descriptors, _, _ = socket.recv_fds(ours, 1 << 12, 1)
    ours.close()
    if word != b"\0":
        os.waitpid(kernel, 0)
        raise OSError(word.decode(errors="replace") or "it ended before it began")
    relays = {} if inside is outside else {port: (outside[port], f"{connection['ip']}-{port}-in") for port in outside}
    return Keeper(kernel, policy, descriptors[0], caller, relays, ports["shell"])


def _listen(path: str) -> socket.socket:
    """Return a socket that listens at the path, whatever was there before."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    return listener


def read_files(folder: str, policy: Policy) -> dict[str, bytes]:
    """Return what lies beside a notebook, for its copy in the sandbox: {name: content}.

    Notebooks stay outside, since they hold hidden tests; so do hidden files, links, and this package, which is answers.
    """
    files, total, package = {}, 0, Path(__file__).resolve().parents[1]
    for path in sorted(Path(folder).rglob("*")):
        name = path.relative_to(folder)
        if path.suffix == ".ipynb" or path.is_symlink() or not path.is_file():
            continue
        if any(part.startswith(".") for part in name.parts) or path.resolve().is_relative_to(package):
            continue
        total += path.stat().st_size
        if total > policy.disk // 2:
            raise OSError(f"{folder} holds more than {policy.disk // 2 // MEGABYTE} MB besides its notebooks")
        files[str(name)] = path.read_bytes()
    return files


def why(code: int, seconds: float, policy: Policy | None) -> str:
    """Say why a kernel ended that nobody stopped."""
    if policy and (code == -signal.SIGXCPU or seconds >= policy.cpu):
        return f"it used more than {policy.cpu} s of processor time"
    if code >= 0:
        return f"it ended itself, with exit code {code}"
    if code == -signal.SIGKILL:
        return KILLED
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it crashed ({name})"


class Keeper:
    """What a keeper watches while the kernel runs."""

    def __init__(
        self, kernel: int, policy: Policy | None, processes: int, caller: socket.socket, relays: dict, shell: int
    ):
        """Take note of what to watch.

        Args:
            kernel: its process.
            policy: its limits; None without a sandbox.
            processes: a descriptor of the /proc that the kernel sees: a sandbox's lists the sandbox's processes only.
            caller: says what to do.
            relays: port -> (socket that clients connect to, path of the kernel's own).
            shell: the port on which the kernel owes an answer to each request.
        """
        self.kernel, self.policy, self.processes, self.caller = kernel, policy, processes, caller
        self.relays, self.shell = relays, shell
        self.sent = 0
        self.unanswered: dict[object, float] = {}
        self.tasks: set[asyncio.Task] = set()

    async def mind(self) -> str:
        """Wait until the kernel ends or must be ended; return the reason, or "" when it ended by itself."""
        self.loop = asyncio.get_running_loop()
        self.end = self.loop.create_future()
        self.loop.add_reader(os.pidfd_open(self.kernel), self.stop, "")
        self.spawn(self.listen())
        for port, (outside, path) in self.relays.items():
            await asyncio.start_unix_server(functools.partial(self.relay, path, port == self.shell), sock=outside)
        if self.policy:
            self.spawn(self.measure())
        return await self.end

    def stop(self, reason: str) -> None:
        if not self.end.done():
            self.end.set_result(reason)

    def spawn(self, work) -> asyncio.Task:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        return task

    async def listen(self) -> None:
        """Do what the caller says, until it hangs up."""
        reader, _ = await asyncio.open_unix_connection(sock=self.caller.dup())
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                number = json.loads(line)["signal"]
                if number == signal.SIGKILL:
                    return self.stop(STOPPED)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.kernel, number)
        self.stop(LEFT)

    async def relay(
        self, path: str, is_shell: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass one connection on to the kernel's socket at the path, and back."""
        try:
            kernel_reader, kernel_writer = await asyncio.open_unix_connection(path)
        except OSError:
            return writer.close()
        connection = writer if is_shell else None
        self.spawn(self.pump(kernel_reader, writer, self.from_kernel, connection))
        await self.pump(reader, kernel_writer, self.to_kernel, connection)
        self.unanswered.pop(connection, None)

    async def pump(self, reader, writer, note, connection) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                note(connection, len(data))
                writer.write(data)
                await writer.drain()
        writer.close()

    def to_kernel(self, connection, size: int) -> None:
        if connection:
            self.unanswered.setdefault(connection, time.monotonic())

    def from_kernel(self, connection, size: int) -> None:
        self.unanswered.pop(connection, None)
        self.sent += size
        if self.sent > self.policy.output:
            self.stop(f"it wrote more than {self.policy.output // MEGABYTE} MB of output")

    async def measure(self) -> None:
        """Look every `TICK` seconds at what no single process is held to."""
        policy, began = self.policy, time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            if now - began > policy.submission:
                self.stop(f"the submission took more than {policy.submission:g} s")
            if any(now - since > policy.cell + policy.grace for since in self.unanswered.values()):
                self.stop(f"a cell took more than {policy.cell:g} s and could not be interrupted")
            numbers = [name for name in os.listdir(self.processes) if name.isdigit()]
            if len(numbers) > policy.processes + 2:  # bubblewrap's own two
                self.stop(f"it started more than {policy.processes} processes")
            # Counting what processes share takes time; without sharing it can only be more.
            if (
                self._memory(numbers, shared=True) > policy.memory
                and self._memory(numbers, shared=False) > policy.memory
            ):
                self.stop(f"it used more than {policy.memory // MEGABYTE} MB of memory")

    def _memory(self, numbers: list[str], shared: bool) -> int:
        total = 0
        for number in numbers:
            try:
                total += self._resident(number) if shared else self._proportional(number)
            except (ProcessLookupError, FileNotFoundError):
                continue
        return total

    def _resident(self, number: str) -> int:
        return int(self._read(f"{number}/statm").split()[1]) * os.sysconf("SC_PAGESIZE")

    def _proportional(self, number: str) -> int:
        try:
            for line in self._read(f"{number}/smaps_rollup").splitlines():
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
        except PermissionError:  # it hides from us: let it count in full
            pass
        return self._resident(number)

    def _read(self, name: str) -> bytes:
        descriptor = os.open(name, os.O_RDONLY, dir_fd=self.processes)
        with open(descriptor, "rb") as file:
            return file.read()


# --- the kernel -------------------------------------------------------------------------------------------------------


class _NoModules:
    """Stands for `sys` where a kernel lists the files of all modules for its debugger: to look at each would copy 20 MB of shared memory."""

    def __init__(self):
        self.modules = {}

    def __getattr__(self, name: str):
        return getattr(sys, name)


def make_kernel(request: dict, sockets: dict[int, int], answers: int, kept: list[int]):
    """Become an IPython kernel that has yet to be started.

    Args:
        request: what the caller sent.
        sockets: port of the connection -> descriptor of the socket that already listens for it.
        answers: descriptor of the extra listening socket.
        kept: descriptors that stay open besides those; all others are closed.
    """
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN if number == signal.SIGPIPE else signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    kept = {0, 1, 2, *sockets.values(), answers, *kept}
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))
    os.set_inheritable(answers, False)
    os.environ.clear()
    os.environ.update(request["env"], **{ANSWERS: str(answers)})
    if os.environ.get("TZ"):
        time.tzset()
    if "numpy" in sys.modules:
        sys.modules[
            "numpy"
        ].random.seed()  # a fork would draw what its sisters draw; Python's own generator takes care of itself
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # until ipykernel puts its own in their place
    del sys.path[0]
    sys.argv = [importlib.util.find_spec("ipykernel_launcher").origin, *request["argv"]]
    import zmq
    from ipykernel.heartbeat import Heartbeat
    from ipykernel.kernelapp import IPKernelApp

    class Beat(Heartbeat):
        def _try_bind_socket(self):
            self.socket.setsockopt(zmq.USE_FD, sockets[self.port])
            self.socket.bind(f"ipc://{self.ip}-{self.port}")

    class Kernel(IPKernelApp):
        def init_connection_file(self):
            self.load_connection_info(request["connection"])

        def write_connection_file(self, **_):
            pass

        def _try_bind_socket(self, s, port):
            s.setsockopt(zmq.USE_FD, sockets[port])
            s.bind(f"ipc://{self.ip}-{port}")
            return port

        def _apply_curve_client_options(self, socket):
            super()._apply_curve_client_options(socket)
            socket.reconnect_ivl = -1  # the debugger's socket: it would look for the shell's path for ever

    import ipykernel.ipkernel
    import ipykernel.kernelapp

    ipykernel.kernelapp.Heartbeat = Beat
    ipykernel.ipkernel.sys = _NoModules()
    app = Kernel.instance()
    app.initialize(["--HistoryManager.enabled=False", *request["argv"]])
    return app


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])), json.loads(sys.argv[3]))
