"""Warm kernels: by name, alike to cold ones, and gone with whoever asked for them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient

from resumen.instructor import forkserver, sandbox
from resumen.instructor.provisioner import SANDBOX, WARM, kernelspecs, reason
from resumen.instructor.sandbox import Policy

missing = sandbox.available()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="a warm server needs Linux")]
boxed = pytest.param(SANDBOX, marks=pytest.mark.skipif(bool(missing), reason=missing))
both = pytest.mark.parametrize("name", [WARM, boxed])


@pytest.fixture(scope="module", autouse=True)
def kernels():
    """One server for this file, which is not that of the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(forkserver.ADDRESS, raising=False)
        with kernelspecs():
            yield


class Kernel:
    """A kernel and a client of it."""

    def __init__(self, name: str, **options):
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(**options)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, code: str) -> str:
        """Return what the code prints, or the name of its error."""
        parts = []

        def note(message):
            parts.append(message["content"].get("text") or message["content"].get("ename") or "")

        self.client.execute_interactive(code, output_hook=note, timeout=60)
        return "".join(parts).strip()


@both
def test_a_kernel_has_the_libraries_loaded_and_draws_anew(name):
    code = "import sys, random, numpy, torch; print('transformers' in sys.modules, random.random(), numpy.random.rand(), torch.rand(1).item())"
    drawn = []
    for _ in range(2):
        with Kernel(name) as kernel:
            drawn.append(kernel.run(code).split())
    (loaded, *first), (_, *second) = drawn
    assert loaded == "True"
    assert first[0] != second[0] and first[1] != second[1]  # the system's entropy, as in a new process
    assert first[2] == second[2]  # torch starts every process with the same seed


@both
def test_a_kernel_is_interrupted_and_started_anew(name):
    with Kernel(name) as kernel:
        kernel.run("x = 1")
        kernel.client.execute("import time; time.sleep(60)", stop_on_error=False)
        time.sleep(1)
        kernel.manager.interrupt_kernel()
        assert kernel.client.get_shell_msg(timeout=20)["content"]["ename"] == "KeyboardInterrupt"
        assert kernel.run("print(x)") == "1"
        kernel.manager.restart_kernel(now=True)
        kernel.client.wait_for_ready(timeout=60)
        assert kernel.run("print(x)") == "NameError"


def test_a_warm_kernel_lives_in_its_callers_surroundings(tmp_path):
    with Kernel(WARM, cwd=str(tmp_path), env=os.environ | {"COURSE": "here"}) as kernel:
        assert (
            kernel.run("import os; print(os.getcwd(), os.environ['COURSE'], os.environ.get('JPY_PARENT_PID'))")
            == f"{tmp_path} here None"
        )


@pytest.mark.skipif(bool(missing), reason=missing)
def test_a_sandboxed_kernel_gets_data_but_no_notebooks(tmp_path, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    monkeypatch.setenv("COURSE", "here")
    for file in ("lab.ipynb", "data/rows.csv", ".hidden", "data/.ipynb_checkpoints/lab-checkpoint.ipynb"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("text")
    (tmp_path / "link.csv").symlink_to("/etc/hostname")
    with Kernel(SANDBOX, cwd=str(tmp_path)) as kernel:
        files = (
            "import os; print(sorted(f for _, _, names in os.walk('.') for f in names), open('data/rows.csv').read())"
        )
        assert kernel.run(files) == "['rows.csv'] text"
        assert kernel.run("print(os.environ['NBGRADER_EXECUTION'], os.environ.get('COURSE'))") == "autograde None"


@pytest.mark.skipif(bool(missing), reason=missing)
def test_too_much_data_is_refused_in_words(tmp_path, course_error):
    (tmp_path / "big.csv").write_bytes(b"x" * (3 << 20))
    with kernelspecs(Policy(disk=4 << 20)), course_error("2 MB", tmp_path):
        KernelManager(kernel_name=SANDBOX).start_kernel(cwd=str(tmp_path))


@both
def test_a_kernel_can_be_talked_to_besides(name):
    import socket

    with Kernel(name) as kernel, socket.socket(socket.AF_UNIX) as ours:
        ours.connect(f"{kernel.manager.provisioner.runtime}/answers")
        kernel.run(
            "import os, socket\nlistener = socket.socket(fileno=int(os.environ['RESUMEN_ANSWERS_FD']))\n"
            "theirs, _ = listener.accept()\ntheirs.sendall(b'hello')"
        )
        assert ours.recv(9) == b"hello"


@both
def test_nbclient_finds_it_by_name_and_figures_are_drawn(name):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")]
    )
    NotebookClient(notebook, kernel_name=name, timeout=60).execute()
    assert any("image/png" in output.get("data", {}) for output in notebook.cells[0].outputs)


SAME = """
import pandas; pandas.DataFrame({f"a long name {n}": [n] * 3 for n in range(9)})
import pandas; print(pandas.DataFrame({f"a long name {n}": [n] * 3 for n in range(9)}))
from transformers.utils import logging; logging.get_logger("transformers.tests").warning("a warning")
import logging; logging.getLogger("mine").warning("a warning")
import warnings; warnings.warn("a warning")
from tqdm.auto import tqdm; type(tqdm(range(2), disable=True)).__module__
import sys; print("bad", file=sys.stderr); sys.__stderr__ is sys.stderr
import os, time; os.write(2, b"worse"); time.sleep(1)
from datasets import Dataset; Dataset.from_dict({"a": [1]}).map(lambda row: row)
from resumen.setup import setup; setup("stage1_corpus")
from resumen.modeling import load_checkpoint; len(load_checkpoint())
import pickle; C = type("C", (), {"__module__": "__main__"}); pickle.loads(pickle.dumps(C())).__class__ is C
print(__name__, sys.argv[0].endswith("ipykernel_launcher.py"), sys.path[0] == "", "get_ipython" in globals())
input("?")
!echo shell
1 / 0
""".strip().splitlines()


def shown(kernel_name: str, folder: Path) -> dict[str, str]:
    """Return what each line shows in a kernel, without what differs from one run to the next."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(line) for line in SAME])
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_CURRENT_TEST")  # ipykernel captures less when it sees it
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, kernel_name=kernel_name, timeout=120, allow_errors=True, resources=resources).execute()
    varies = r"0x\w+|\b[0-9a-f]{32}\b|/tmp/\S+|[\d.,?]+ ?\w+/s|ipykernel_\d+|\d\d:\d\d"
    return {line: re.sub(varies, "…", str(cell.outputs)) for line, cell in zip(SAME, notebook.cells, strict=True)}


@pytest.fixture(scope="module")
def cold(tmp_path_factory) -> dict[str, str]:
    return shown("python3", tmp_path_factory.mktemp("cold"))


@both
def test_a_kernel_shows_what_a_cold_one_shows(name, cold, tmp_path):
    """Scores depend on it: a graded cell that writes to stderr has none."""
    warm = shown(name, tmp_path)
    for line in SAME:
        assert warm[line] == cold[line], line


# --- everything dies with the job -------------------------------------------------------------------------------------

LEAVE_SOMETHING = """
import os, time
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
"""


def family(pid: int) -> set[int]:
    """Return the numbers of the process's descendants."""
    return {process.pid for process in psutil.Process(pid).children(recursive=True)}


def wait_until_gone(pids: set[int]) -> set[int]:
    """Return those which are still there after a while."""
    end = time.monotonic() + 10
    alive = pids
    while alive and time.monotonic() < end:
        alive = {
            pid for pid in alive if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        }
        time.sleep(0.05)
    return alive


@both
def test_what_a_kernel_leaves_behind_dies_with_it(name):
    server = forkserver._server.pid
    before = family(server)
    with Kernel(name) as kernel:
        kernel.run(LEAVE_SOMETHING)
        its = family(server) - before
        runtime = Path(kernel.manager.provisioner.runtime)
        assert runtime.stat().st_mode & 0o777 == 0o700
    assert len(its) >= 4  # keeper, kernel, and the two it left
    assert not wait_until_gone(its)
    assert not runtime.exists()


CALLER = """
import os, sys, time
from jupyter_client import KernelManager
from resumen.instructor import forkserver
from resumen.instructor.provisioner import kernelspecs
forkserver.PRELOAD = {"ipykernel.kernelapp": ""}
with kernelspecs():
    manager = KernelManager(kernel_name=sys.argv[1])
    manager.start_kernel()
    print(forkserver._server.pid, os.environ[forkserver.ADDRESS], manager.provisioner.runtime, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("victim", ["caller", "server", "keeper"])
@both
def test_nothing_outlives_a_kill(name, victim):
    environment = {key: value for key, value in os.environ.items() if key != forkserver.ADDRESS}
    caller = subprocess.Popen([sys.executable, "-c", CALLER, name], stdout=subprocess.PIPE, env=environment, text=True)
    server, *folders = caller.stdout.readline().split()
    server = int(server)
    its = family(server)
    keeper = next(iter(psutil.Process(server).children())).pid
    os.kill({"caller": caller.pid, "server": server, "keeper": keeper}[victim], signal.SIGKILL)
    assert not wait_until_gone(its)
    if victim == "caller":
        assert not wait_until_gone({server})
        end = time.monotonic() + 10
        while any(map(os.path.exists, folders)) and time.monotonic() < end:
            time.sleep(0.05)
        assert not any(map(os.path.exists, folders))
    caller.kill()
    caller.wait()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def test_reasons_are_words():
    assert forkserver.why(3, 0, None) == "it ended itself, with exit code 3"
    assert forkserver.why(-11, 0, None) == "it crashed (SIGSEGV)"
    assert forkserver.why(-9, 0, None) == forkserver.KILLED
    assert forkserver.why(-9, 61, Policy(cpu=60)) == "it used more than 60 s of processor time"


# --- other programs ---------------------------------------------------------------------------------------------------


@both
def test_nbval_finds_it_by_name(name, tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("import sys\n'transformers' in sys.modules", outputs=[]),
            nbformat.v4.new_code_cell("assert 'torch' in sys.modules"),
        ]
    )
    nbformat.write(notebook, tmp_path / "lab.ipynb")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-kernel-name",
        name,
        "lab.ipynb",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in result.stdout, result.stdout


@both
def test_nbgrader_finds_it_by_name(name, tmp_path):
    from nbgrader.preprocessors import Execute

    cells = [nbformat.v4.new_code_cell("1/0"), nbformat.v4.new_code_cell("import torch\nprint(torch.ones(1))")]
    execute = Execute(kernel_name=name, shutdown_kernel="immediate")
    done, _ = execute.preprocess(nbformat.v4.new_notebook(cells=cells), {"metadata": {"path": str(tmp_path)}})
    assert done.cells[0].outputs[0].ename == "ZeroDivisionError"
    assert done.cells[1].outputs[0].text == "tensor([1.])\n"


def test_the_request_is_plain_data():
    assert json.loads(json.dumps(Policy().__dict__)) == Policy().__dict__


# --- without its server (last: the next would have to start another) --------------------------------------------------


def test_a_server_that_died_is_replaced(monkeypatch):
    monkeypatch.setattr(forkserver, "PRELOAD", {"ipykernel.kernelapp": ""})
    forkserver.stop()
    with Kernel(WARM) as kernel:
        forkserver._server.kill()
        forkserver._server.wait()
        assert not wait_until_gone({kernel.manager.provisioner.pid})
        assert reason(kernel.manager) == "the warm server ended"
    with Kernel(WARM) as kernel:
        assert kernel.run("print(1)") == "1"


def test_a_server_that_cannot_start_says_why(monkeypatch, course_error):
    forkserver.stop()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with course_error("warm server"):
        KernelManager(kernel_name=WARM).start_kernel()
