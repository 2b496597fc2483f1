"""Kernels by name: `resumen-warm` and `resumen-sandbox`, for nbgrader, nbclient, nbval and whatever else starts a Jupyter kernel.

    from resumen.instructor.provisioner import kernelspecs

    with kernelspecs():                                    # or kernelspecs(Policy(memory=...), hidden=[course folder])
        NotebookClient(notebook, kernel_name="resumen-sandbox").execute()

Inside the block both names are known to this process and to those it starts (JUPYTER_PATH), and one warm server runs for all of them
(`forkserver`). `resumen-warm` is an ordinary kernel that starts at once. `resumen-sandbox` is such a kernel inside a sandbox (`sandbox`):
it runs in a folder of its own that holds copies of what lies beside the notebook, notebooks excepted.

Nothing has to be configured: a provisioner sets the transport (Unix sockets) and makes the private runtime folder of its kernel.

* `reason(kernel_manager)`: why the kernel ended, in words: "it used more than 3072 MB of memory". Ask after a `DeadKernelError`.
* `kernel_manager.provisioner.runtime`: the private folder (mode 0700, gone with the kernel). Besides the kernel's sockets it holds
  `answers`: a Unix socket that already listens, for whoever wants to talk to the kernel. In the kernel, its descriptor is in the variable
  RESUMEN_ANSWERS_FD: `socket.socket(fileno=int(os.environ["RESUMEN_ANSWERS_FD"])).accept()`. A sandboxed kernel sees no path of it.
* The environment of a sandboxed kernel holds what is in `PASSED` and nothing else of the caller's.
"""

import asyncio
import contextlib
import json
import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from jupyter_client.provisioning import LocalProvisioner
from traitlets import Dict, List, Unicode

from resumen.errors import CourseError
from resumen.instructor import forkserver
from resumen.instructor.sandbox import WORK, Policy

WARM, SANDBOX = "resumen-warm", "resumen-sandbox"

PASSED = ("LANG", "LC_ALL", "TZ", "NBGRADER_EXECUTION", "NBGRADER_VALIDATING", "RESUMEN_PROFILE", "RESUMEN_QUICK")
"""Variables of the caller's environment that a sandboxed kernel gets."""

START = 120
"""Seconds to wait for a kernel: a server that has just started loads its libraries first."""


@contextlib.contextmanager
def kernelspecs(policy: Policy | None = None, hidden: list[str | os.PathLike] = ()) -> Iterator[None]:
    """Make both kernels known by name, and the warm server run, within the block.

    Args:
        policy: limits of `resumen-sandbox`; by default `Policy()`.
        hidden: folders that a sandboxed kernel must never see. Only what the interpreter needs is visible in any case: this is for a course
            that lies inside such a folder.
    """
    config = {"policy": asdict(policy or Policy()), "hidden": [os.fspath(Path(folder).resolve()) for folder in hidden]}
    began = forkserver.ADDRESS not in os.environ
    before = os.environ.get("JUPYTER_PATH")
    with tempfile.TemporaryDirectory(prefix="resumen-kernels-") as folder:
        for name, settings in ((WARM, {}), (SANDBOX, config)):
            spec = Path(folder, "kernels", name, "kernel.json")
            spec.parent.mkdir(parents=True)
            spec.write_text(
                json.dumps(
                    {
                        "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                        "display_name": name,
                        "language": "python",
                        "metadata": {"kernel_provisioner": {"provisioner_name": name, "config": settings}},
                    }
                )
            )
        os.environ["JUPYTER_PATH"] = os.pathsep.join([folder, *([before] if before else [])])
        forkserver.start()
        try:
            yield
        finally:
            if began:
                forkserver.stop()
            if before is None:
                del os.environ["JUPYTER_PATH"]
            else:
                os.environ["JUPYTER_PATH"] = before


def reason(kernel_manager) -> str:
    """Return why the manager's kernel ended, or "" when it runs, was shut down by us, or is not one of ours."""
    return getattr(kernel_manager.provisioner, "reason", "")


class Forked:
    """A kernel that the warm server forked, with what jupyter_client asks of a process."""

    stdin = stdout = stderr = None

    def __init__(self, request: dict):
        """Ask the server for a kernel.

        Raises:
            CourseError: when it could not start one.
        """
        self.returncode: int | None = None
        self.reason = ""
        self._buffer = b""
        try:
            self._socket = forkserver.connect()
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            answer = self._message(START)
        except OSError:
            answer = {}
        if answer is None:
            answer = {"error": f"no answer in {START} s"}
        if "pid" not in answer:
            words = answer.get("error") or _last_line(Path(os.environ[forkserver.ADDRESS], "log"))
            raise CourseError(f"The warm server started no kernel: {words}.")
        self.pid: int = answer["pid"]

    def _message(self, timeout: float) -> dict | None:
        """Return the next message, None when there is none in time, {} when the keeper is gone."""
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._socket], [], [], timeout)
            if not readable:
                return None
            part = self._socket.recv(1 << 16)
            if not part:
                return {}
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def poll(self) -> int | None:
        if self.returncode is None:
            self._receive(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        if self.returncode is None:
            self._receive(timeout)
        return self.returncode

    def _receive(self, timeout: float | None) -> None:
        try:
            message = self._message(timeout)
        except OSError:
            message = {}
        if message is not None:
            self.returncode = message.get("exit", -signal.SIGKILL)
            self.reason = message.get("reason", forkserver.SERVER_ENDED)
            self._socket.close()

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(OSError):
                self._socket.sendall(json.dumps({"signal": int(number)}).encode() + b"\n")

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _last_line(log: Path) -> str:
    try:
        return log.read_text(errors="replace").strip().splitlines()[-1]
    except (OSError, IndexError):
        return "it is gone"


class WarmProvisioner(LocalProvisioner):
    """Starts a kernel as a fork of the warm server, which has the course's libraries loaded."""

    runtime = Unicode(help="The kernel's private folder, with its sockets.")

    @property
    def reason(self) -> str:
        """Why the kernel ended, in words; "" while it runs."""
        if self._forked is not None:
            self._forked.poll()
            return self._forked.reason
        return ""

    _forked: Forked | None = None

    async def pre_launch(self, **kwargs):
        """Choose the transport: Unix sockets in a private folder."""
        manager = self.parent
        if not self.runtime:
            self.runtime = forkserver.private_folder()
            manager.transport = "ipc"
            manager.connection_file = f"{self.runtime}/kernel.json"
            manager.ip = f"{self.runtime}/k"
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd, **kwargs):
        """Fork it."""
        connection = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in self.connection_info.items()
        }
        request = {
            "connection": connection,
            "argv": [
                part for part in cmd if part.startswith("--")
            ],  # the rest says how to start Python, and where the connection file is
            "cwd": os.path.abspath(kwargs.get("cwd") or os.getcwd()),
            **self._surroundings(dict(kwargs.get("env") or os.environ)),
        }
        try:
            self.process = self._forked = await asyncio.to_thread(Forked, request)  # several may start side by side
        except CourseError:
            shutil.rmtree(self.runtime, ignore_errors=True)  # nobody cleans up after a kernel that never was
            raise
        self.pid, self.pgid, self.cwd = self.process.pid, None, request["cwd"]
        return self.connection_info

    def _surroundings(self, env: dict[str, str]) -> dict:
        env.pop("JPY_PARENT_PID", None)
        return {"env": env, "policy": None, "hidden": []}

    async def kill(self, restart: bool = False) -> None:
        """Kill it, and see it gone: whoever asks afterwards looks every tenth of a second."""
        await super().kill(restart)
        for _ in range(200):
            if await self.poll() is not None:
                break
            await asyncio.sleep(0.005)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the private folder."""
        await super().cleanup(restart)
        if not restart and self.runtime:
            shutil.rmtree(self.runtime, ignore_errors=True)


class SandboxProvisioner(WarmProvisioner):
    """Starts such a kernel inside a sandbox of its own."""

    policy = Dict(help="The fields of a `sandbox.Policy`.").tag(config=True)
    hidden = List(Unicode(), help="Folders that must not be seen.").tag(config=True)

    def _surroundings(self, env: dict[str, str]) -> dict:
        kept = {name: env[name] for name in PASSED if name in env}
        kept |= {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/tmp",
            "USER": "student",
            "PWD": WORK,
            "TMPDIR": "/tmp",
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "OMP_NUM_THREADS": "1",
        }
        return {"env": kept, "policy": {**asdict(Policy()), **self.policy}, "hidden": list(self.hidden)}
