"""Submissions that attack the grader. None gets what it wants, each ends with a reason, and honest ones notice nothing.

They all run when the first test asks for one, four submissions at a time, as they would in a class.
"""

import asyncio
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from resumen.instructor import sandbox
from resumen.instructor.provisioner import SANDBOX, WARM, kernelspecs, reason
from resumen.instructor.sandbox import MEGABYTE, Policy

missing = sandbox.available()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing), reason=missing)]

TIGHT = Policy(
    memory=1200 * MEGABYTE,
    processes=48,
    file_size=16 * MEGABYTE,
    disk=32 * MEGABYTE,
    open_files=200,
    cpu=2,
    output=4 * MEGABYTE,
    cell=5,
    grace=1,
    submission=12,
)

SECRET = "the-secret-of-the-grader"

# Each attack prints LOOT when it has what it wants. {course}, {neighbour}, {port} … are filled in: attackers know all paths.
LIBC = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\ndef ok(r):\n    if r == -1: raise OSError(ctypes.get_errno(), 'refused')\n    print('LOOT')\n"
SLOW = "processor time|KeyboardInterrupt|could not be interrupted|submission took more"  # on a busy machine any attack may end so
IN_EVERY_CELL = "takes a little too long in every cell"
ATTACKS = {
    # the host
    "reads the list of users": ("print('LOOT', open('/etc/passwd').read())", "FileNotFoundError"),
    "lists the instructor's home": (
        "import os\nassert set(os.listdir({home!r})) == {at_home!r}, 'nothing'\nprint('LOOT')",
        "FileNotFoundError|nothing",
    ),
    "changes the course's package": (
        "import resumen; open(resumen.__file__, 'a').write('#'); print('LOOT')",
        "OSError|PermissionError",
    ),
    "changes a library": ("import json; open(json.__file__, 'a').write('#'); print('LOOT')", "OSError|PermissionError"),
    "reads the environment of the grader": (
        "import os, pathlib\nseen = str(os.environ) + pathlib.Path('/proc/self/environ').read_text()\nassert {secret!r} in seen, 'no secret'\nprint('LOOT')",
        "no secret",
    ),
    "looks through open files": (
        "import os\nlinks = [os.readlink(f'/proc/self/fd/{{n}}') for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{{n}}')]\n"
        "links = [link for link in links if link.startswith('/') and not link.startswith(('/dev/', '/proc/'))]\nassert links, 'no file is open'\nprint('LOOT', links)",
        "no file is open",
    ),
    "looks for other processes": (
        "import os\nothers = [int(n) for n in os.listdir('/proc') if n.isdigit() and int(n) not in (1, 2, os.getpid())]\nassert others, 'alone'\nprint('LOOT')",
        "alone",
    ),
    "kills the grader": ("import os\nos.kill({grader}, 9); print('LOOT')", "ProcessLookupError|PermissionError"),
    "traces the sandbox's first process": (LIBC + "ok(libc.ptrace(16, 1, 0, 0))", "refused"),
    "writes into the sandbox's first process": ("open('/proc/1/mem', 'r+b'); print('LOOT')", "PermissionError|OSError"),
    "makes a namespace to be root in": (LIBC + "ok(libc.unshare(0x10000000))", "refused"),
    "clones into a namespace": (LIBC + "ok(libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0))", "refused"),
    "enters the namespace of another": (
        LIBC + "import os; ok(libc.setns(os.open('/proc/1/ns/mnt', 0), 0))",
        "refused|PermissionError",
    ),
    "mounts over the package": (LIBC + "ok(libc.mount(b'none', b'/submission', b'tmpfs', 0, None))", "refused"),
    "becomes root": ("import os; os.setuid(0); os.chown('.', 1, 1); print('LOOT')", "PermissionError|OSError"),
    "makes a device": (
        "import os, stat; os.mknod('disk', 0o600 | stat.S_IFBLK, os.makedev(254, 0)); print('LOOT')",
        "PermissionError",
    ),
    "raises its own limits": (
        "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (9999, 9999)); print('LOOT')",
        "ValueError|PermissionError",
    ),
    # the network
    "calls a server on this machine": (
        "import socket; socket.create_connection(('127.0.0.1', {port}), 2); print('LOOT')",
        "ConnectionRefused|OSError",
    ),
    "calls the world": ("import socket; socket.create_connection(('1.1.1.1', 53), 2); print('LOOT')", "OSError"),
    "asks for a name": ("import socket; socket.getaddrinfo('example.org', 80); print('LOOT')", "gaierror"),
    "calls an abstract socket": (
        "import socket; socket.socket(socket.AF_UNIX).connect('\\0{abstract}'); print('LOOT')",
        "ConnectionRefused",
    ),
    "calls the warm server": (
        "import socket; socket.socket(socket.AF_UNIX).connect({server!r}); print('LOOT')",
        "FileNotFoundError",
    ),
    "calls the machine's host": (
        "import socket; socket.socket(40, socket.SOCK_STREAM).connect((2, 1024)); print('LOOT')",
        "OSError",
    ),
    # the course
    "reads the gradebook": ("print('LOOT', open({gradebook!r}, 'rb').read())", "FileNotFoundError"),
    "changes the gradebook": ("open({gradebook!r}, 'wb').write(b'100'); print('LOOT')", "FileNotFoundError|OSError"),
    "reads a neighbour's answers": ("print('LOOT', open({neighbour!r}).read())", "FileNotFoundError"),
    "reads its own notebook with its hidden tests": (
        "import pathlib\nfound = [p for p in pathlib.Path('.').rglob('*.ipynb')]\nassert found, 'no notebook'\nprint('LOOT')",
        "no notebook",
    ),
    "reads the solutions": ("print('LOOT', open({solution!r}).read())", "FileNotFoundError|own answers"),
    "searches for the hidden tests": (
        "import os\nfound = []\nfor place, below, names in os.walk('/'):\n"
        "    below[:] = [one for one in below if one not in ('proc', 'sys', 'site-packages')]  # thousands of known files\n"
        "    found += [place] * ('secret_tests.py' in names)\nassert found, 'nowhere'\nprint('LOOT')",
        "nowhere",
    ),
    "opens the folder above": (
        "import os; print('LOOT') if os.path.exists('../gradebook.db') else 1/0",
        "ZeroDivisionError",
    ),
    # exhaustion
    "fills the memory": ("x = b'x' * (2 << 30); print('LOOT')", "MemoryError"),
    "fills the memory with children": (
        "import os, time\nr, w = os.pipe()\nfor _ in range(4):\n    if os.fork() == 0:\n        x = b'x' * (500 << 20); os.write(w, b'.'); time.sleep(60); os._exit(0)\n"
        "for _ in range(4): os.read(r, 1)\ntime.sleep(3); print('LOOT')",
        "MB of memory",
    ),
    "fills memory that belongs to nobody": (
        "import os\nfor n in range(99):\n    f = os.memfd_create('m'); os.write(f, b'x' * (10 << 20))\nprint('LOOT')",
        "PermissionError",
    ),
    "fills shared memory": (
        "for n in range(9): open(f'/dev/shm/{{n}}', 'wb').write(b'x' * (8 << 20))\nprint('LOOT')",
        "No space left",
    ),
    "forks without end": (
        "import os\nwhile True: os.fork()",
        "Resource temporarily unavailable|of memory",
    ),
    "starts a thousand threads": (
        "import threading, time\nfor _ in range(1000): threading.Thread(target=time.sleep, args=(9,)).start()\nprint('LOOT')",
        "can't start new thread",
    ),
    "writes one enormous file": ("open('big', 'wb').write(b'x' * (20 << 20)); print('LOOT')", "File too large"),
    "fills the disk": (
        "for n in range(99): open(f'{{n}}', 'wb').write(b'x' * (10 << 20))\nprint('LOOT')",
        "No space left",
    ),
    "makes a million files": ("for n in range(1000000): open(f'{{n}}', 'wb').close()\nprint('LOOT')", "No space left"),
    "opens files without end": (
        "kept = [open('/dev/null') for _ in range(5000)]; print('LOOT')",
        "Too many open files",
    ),
    "writes outside its folder": ("open('/left-behind', 'w').write('x'); print('LOOT')", "Read-only|Permission"),
    "prints without end": ("while True: print('x' * 1000)", "MB of output"),
    "prints one enormous line": ("print('x' * (40 << 20))", "MB of output"),
    "writes to the descriptor without end": ("import os\nwhile True: os.write(1, b'x' * 60000)", "MB of output"),
    "loops without end": ("while True: pass", SLOW),
    "waits without end": ("import time\nwhile True: time.sleep(0.1)", "KeyboardInterrupt|Timeout"),
    "waits and will not be interrupted": (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    try: time.sleep(60)\n    except BaseException: pass",
        "could not be interrupted",
    ),
    "stops itself": ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "could not be interrupted"),
    "loops in C": ("sum(iter(int, 1))", SLOW),
    IN_EVERY_CELL: ("import time; time.sleep(4.5)", "submission took more than 12 s"),
    "leaves": ("import os; os._exit(0)", "ended itself, with exit code 0"),
    "crashes": ("import ctypes; ctypes.string_at(0)", "crashed .SIGSEGV"),
    "aborts": ("import os; os.abort()", "crashed .SIGABRT"),
    "kills all it can": (
        "import os; os.kill(-1, 9)\nos.kill(os.getpid(), 9)",
        "it was killed|ended|PermissionError",
    ),
    "overflows the stack": (
        "import sys; sys.setrecursionlimit(10**9)\ndef f(): return f()\nf()",
        "crashed|RecursionError|MemoryError|memory",
    ),
}


_refused = list(ATTACKS)[: list(ATTACKS).index("fills the memory")]
TOGETHER = [name for name in _refused if name != "searches for the hidden tests"]  # which takes its time
"""Attacks that are refused with an error and leave their kernel as it was: six of them share one, each in a cell. If one of them
ended the kernel, those after it would not fail for their own reason, and their tests would."""


@dataclass
class Outcome:
    """What is left of a cell."""

    printed: str = ""
    reasons: list[str] = field(default_factory=list)


async def run(kernel: str, cells: list[str], folder: Path, timeout: float) -> list[Outcome]:
    """Run the cells as the grader would, and collect what each printed and why it failed."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        notebook,
        kernel_name=kernel,
        timeout=timeout,
        interrupt_on_timeout=True,
        allow_errors=True,
        shutdown_kernel="immediate",
        resources={"metadata": {"path": str(folder)}},
    )
    outcomes, number = [Outcome() for _ in cells], 0
    manager = client.create_kernel_manager()
    try:
        async with client.async_setup_kernel():
            for number, cell in enumerate(notebook.cells):
                try:
                    await client.async_execute_cell(cell, number)
                except CellTimeoutError:
                    outcomes[number].reasons.append("Timeout")
    except (DeadKernelError, RuntimeError) as error:
        for outcome in outcomes[number:]:
            outcome.reasons += [f"{type(error).__name__}: {error}", reason(manager)]
    for outcome, cell in zip(outcomes, notebook.cells, strict=True):
        for output in cell.outputs:
            outcome.printed += output.get("text", "")
            if output.output_type == "error":
                outcome.reasons.append(f"{output.ename}: {output.evalue}")
        if "KeyboardInterrupt" in outcome.printed:  # it came while IPython was showing the error
            outcome.reasons.append("KeyboardInterrupt")
    return outcomes


async def run_all(jobs: list[list[str]], folder: Path, kernel: str, timeout: float = 60) -> list[list[Outcome]]:
    """Run a class, four at a time: the cells of each submission."""
    turn = asyncio.Semaphore(4)

    async def one(cells):
        async with turn:
            return await run(kernel, cells, folder, timeout)

    return await asyncio.gather(*map(one, jobs))


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A course with a gradebook, two students, a solution and hidden tests."""
    folder = tmp_path_factory.mktemp("course")
    for name in (
        "gradebook.db",
        "solutions/lab.ipynb",
        "autograded/bob/lab.ipynb",
        "autograded/ana/lab.ipynb",
        "secret_tests.py",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(SECRET)
    (folder / "autograded/ana/data.csv").write_text("a,b\n1,2\n")
    return folder


@pytest.fixture(scope="module")
def kernels(course):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADER_TOKEN", SECRET)
        with kernelspecs(TIGHT, hidden=[course]):
            yield


@pytest.fixture(scope="module")
def outcomes(course, kernels) -> dict[str, Outcome]:
    """All attacks, carried out."""
    listener = socket.create_server(("127.0.0.1", 0))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0resumen-{os.getpid()}")
    abstract.listen()
    known = {
        "home": str(Path.home()),
        "at_home": set(os.listdir(Path.home())),
        "secret": SECRET,
        "grader": os.getpid(),
        "port": listener.getsockname()[1],
        "abstract": f"resumen-{os.getpid()}",
        "server": os.environ["RESUMEN_FORKSERVER"] + "/socket",
        "gradebook": str(course / "gradebook.db"),
        "neighbour": str(course / "autograded/bob/lab.ipynb"),
        "solution": str(course / "solutions/lab.ipynb"),
    }
    jobs = [[name] for name in ATTACKS if name not in TOGETHER]
    jobs += [TOGETHER[start : start + 6] for start in range(0, len(TOGETHER), 6)]
    cells = [[ATTACKS[name][0].format(**known) for name in names] for names in jobs]
    for names, code in zip(jobs, cells, strict=True):
        if names == [IN_EVERY_CELL]:
            code *= 4
    with listener, abstract, open(course / "gradebook.db"):
        ran = asyncio.run(run_all(cells, course / "autograded/ana", SANDBOX, TIGHT.cell))
    # In a submission of one attack, whatever is left after its last cell is what counts.
    last = [left[-len(names) :] for names, left in zip(jobs, ran, strict=True)]
    return {name: one for names, left in zip(jobs, last, strict=True) for name, one in zip(names, left, strict=True)}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_fails_and_says_why(outcomes, attack):
    import re

    outcome = outcomes[attack]
    assert "LOOT" not in outcome.printed
    assert outcome.reasons and all(outcome.reasons), "no reason was left"
    assert re.search(f"{ATTACKS[attack][1]}|{SLOW}", " ".join(outcome.reasons)), outcome.reasons


def test_nothing_of_the_course_was_changed(outcomes, course):
    assert {path.read_text() for path in course.rglob("*") if path.is_file()} == {SECRET, "a,b\n1,2\n"}


HONEST = {
    "trains": "import torch\ntorch.manual_seed(1)\nm = torch.nn.Linear(3, 1)\no = torch.optim.AdamW(m.parameters())\nfor _ in range(3):\n    m(torch.ones(2, 3)).sum().backward(); o.step()\nprint(m.weight)",
    "loads in workers": "from torch.utils.data import DataLoader\nprint(len(list(DataLoader(range(8), batch_size=2, num_workers=2))))",
    "maps a data set": "import datasets; from datasets import Dataset\ndatasets.disable_progress_bars()\nprint(Dataset.from_dict({'a': [1, 2]}).map(lambda r: {'b': r['a'] + 1})['b'])",
    "uses processes": "from concurrent.futures import ProcessPoolExecutor\nwith ProcessPoolExecutor(2) as pool: print(list(pool.map(abs, [-1, 2])))",
    "talks to itself": "import torch.distributed as d\nd.init_process_group('gloo', init_method='tcp://127.0.0.1:29511', rank=0, world_size=1)\nprint(d.get_world_size()); d.destroy_process_group()",
    "reads and writes files": "import tempfile, pathlib\nprint(open('data.csv').read())\nopen('new', 'w').write('x')\nwith tempfile.TemporaryDirectory() as f: pathlib.Path(f, 'y').write_text('z')\nprint(open('new').read())",
    "starts Python": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True).stdout)",
    "draws": "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show(); print('drawn')",
    "loads the checkpoint": "from resumen.lab import quiet\nfrom resumen.modeling import load_checkpoint\nwith quiet(): tokenizer, model = load_checkpoint()\nprint(tokenizer('Hola').input_ids)",
}


@pytest.fixture(scope="module")
def honest(course, kernels) -> list[dict[str, Outcome]]:
    jobs = [[code] for code in HONEST.values()]
    with kernelspecs(Policy()):
        ran = [asyncio.run(run_all(jobs, course / "autograded/ana", kernel)) for kernel in (SANDBOX, WARM)]
    return [{work: one for work, (one,) in zip(HONEST, outcomes, strict=True)} for outcomes in ran]


@pytest.mark.parametrize("work", HONEST)
def test_honest_work_notices_nothing(honest, work):
    boxed, free = (outcomes[work] for outcomes in honest)
    assert boxed.printed == free.printed != ""
    assert boxed.reasons == free.reasons == []
