"""The sandbox that a submission runs in: what it can see, how much it may use, and why it was stopped.

Two layers. **bubblewrap** makes namespaces of the job's own: no network, no process but its own, and a file system that holds the
interpreter, the libraries, this package (all of them read-only) and one empty folder in memory, whose size is fixed. Nothing of the
course is in it: no solutions, no labs, no gradebook, no neighbour. Then the kernel, which was forked outside with its libraries loaded
(`forkserver`), **enters** it, gives up its user and every privilege, sets its limits, and loads a **seccomp** filter: no new namespace, no mount, no tracing, no memory that nobody counts.

What no single process can be held to (the memory of all of them, the time that a cell takes, the bytes that it prints) is measured
from outside by the process that keeps the kernel; see `forkserver`. The kernel of the operating system itself is trusted.
"""

import contextlib
import ctypes
import errno
import json
import os
import platform
import resource
import shutil
import signal
import site
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MEGABYTE = 1 << 20
WORK = "/submission"
"""The folder in which a submission runs: in memory, its own, gone afterwards."""

WRITABLE = (WORK, "/tmp", "/dev/shm")
"""All that a submission can write to. Each is in memory."""

FILES = 10_000
"""How many files and folders each of them can hold."""

INSTALL = "apt install bubblewrap libseccomp2"
"""How Debian and Ubuntu get what the sandbox needs."""


@dataclass(frozen=True)
class Policy:
    """How much one submission may use. Whoever goes over is stopped, with the reason."""

    memory: int = 3072 * MEGABYTE
    """Bytes of memory of all its processes together; libraries that the warm server shares count once."""
    processes: int = 64
    """Processes and threads together, at one time."""
    file_size: int = 128 * MEGABYTE
    """Bytes of one file."""
    disk: int = 256 * MEGABYTE
    """Bytes of all its files together: they lie in memory, besides the memory above."""
    open_files: int = 512
    cpu: int = 600
    """Seconds of processor time of one process."""
    output: int = 32 * MEGABYTE
    """Bytes that the kernel may send: what cells print and show, together."""
    cell: float = 180
    """Wall seconds that one cell may take: give whoever executes it the same timeout."""
    grace: float = 10
    """Wall seconds that a cell which took too long has to answer the interrupt, before its kernel is killed."""
    submission: float = 900
    """Wall seconds from the kernel's start to its end."""


# --- what a submission can see ------------------------------------------------------------------------------------------------------

SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin")
SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/sys/devices/system/cpu",  # without it torch's cpuinfo complains on stderr, and a graded cell that does scores 0
)


def visible() -> list[str]:
    """Return the folders outside the system's that a submission reads: interpreter, libraries, this package."""
    import resumen

    libraries = [sys.prefix, sys.base_prefix, *site.getsitepackages(), str(Path(resumen.__file__).parent)]
    if site.ENABLE_USER_SITE:
        libraries.append(site.getusersitepackages())
    folders = {
        path(folder) for folder in libraries if os.path.isdir(folder) for path in (os.path.abspath, os.path.realpath)
    }
    return sorted(
        folder for folder in folders if not any(folder != other and _inside(folder, other) for other in folders)
    )


def command(hidden: Sequence[str], writable: Sequence[str], info: int, rules: int, hosts: int) -> list[str]:
    """Return the command line that makes the sandbox and waits in it until its standard input is closed.

    Args:
        hidden: folders that must not be seen even when they lie in one that is, such as a course under /usr/src.
        writable: paths that get an empty folder in memory of their own, besides `WRITABLE`.
        info, rules, hosts: descriptors that bubblewrap writes its process to, and reads the seccomp filter and /etc/hosts from.
    """
    line = [
        shutil.which("bwrap") or "bwrap",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup-try",
    ]
    if os.geteuid():
        # Any other number, and bubblewrap makes a second user namespace, which nobody can enter the others from. It gives no rights.
        line += ["--unshare-user", "--uid", "0", "--gid", "0"]
    line += [
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        "--hostname",
        "localhost",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]
    line += ["--info-fd", str(info), "--seccomp", str(rules)]
    line += ["--perms", "0755", "--dir", "/etc", "--perms", "0644", "--ro-bind-data", str(hosts), "/etc/hosts"]
    for folder in SYSTEM:
        if os.path.islink(folder):
            line += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            line += ["--ro-bind", folder, folder]
    for path in filter(os.path.exists, SETTINGS):
        line += _show(path)
    for folder in (*WRITABLE, *writable):
        line += ["--perms", "1777", "--tmpfs", folder]
    shown = visible()
    for folder in shown:
        if not any(_inside(folder, other) for other in SYSTEM):
            line += _show(folder)
    for secret in map(os.path.realpath, hidden):
        if any(secret != folder and _inside(secret, folder) for folder in (*SYSTEM, *shown)):
            line += ["--perms", "0755", "--tmpfs", secret]
            for folder in shown:
                if _inside(folder, secret):
                    line += _show(folder)
            line += ["--remount-ro", secret]
    # What bubblewrap itself made in memory, to hang the rest on, has no limit of size: nobody writes there.
    return [*line, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORK, "cat"]


def _show(folder: str) -> list[str]:
    line = []
    for parent in reversed(Path(folder).parents[:-1]):  # bubblewrap would make them for its own user alone
        line += ["--perms", "0755", "--dir", str(parent)]
    return [*line, "--ro-bind", folder, folder]


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


class Sandbox:
    """A sandbox that is up: namespaces with nobody in them yet. `close` ends everything that runs inside."""

    def __init__(self, hidden: Sequence[str] = (), writable: Sequence[str] = ()):
        """Start bubblewrap and wait until all is mounted.

        Args:
            hidden, writable: see `command`.

        Raises:
            OSError: with bubblewrap's own words when it fails.
        """
        self.writable = (*WRITABLE, *writable)
        self.is_root = os.geteuid() == 0  # here: inside, a plain user looks like root, without its rights
        self.user = _unused_user()
        info, info_end = os.pipe()
        rules, rules_end = os.pipe()
        _write_filter(rules_end)
        hosts, hosts_end = os.pipe()
        os.write(hosts_end, b"127.0.0.1 localhost\n::1 localhost\n::ffff:127.0.0.1 localhost\n")
        os.close(rules_end)
        os.close(hosts_end)
        line = command(hidden, writable, info_end, rules, hosts)
        given, pipe = [info_end, rules, hosts], subprocess.PIPE
        self.process = subprocess.Popen(line, pass_fds=given, stdin=pipe, stdout=pipe, stderr=pipe, env={})
        for descriptor in given:
            os.close(descriptor)
        with open(info, "rb") as file:
            told = file.read()
        # What we write comes back as soon as `cat` runs, and that is when every mount is in place.
        try:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
            ready = self.process.stdout.read(1)
        except BrokenPipeError:
            ready = b""
        if not ready:
            self.process.stdin = None
            words = self.process.communicate()[1].decode(errors="replace").strip()
            raise OSError(f"bubblewrap could not make a sandbox: {words.removeprefix('bwrap: ')}")
        self.pidfd = os.pidfd_open(json.loads(told)["child-pid"])

    def close(self) -> None:
        """End every process of the sandbox, at once: without the first of them, the system ends the others."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def adopt_children(self) -> None:
        """Let the processes that the caller forks from now on live among the sandbox's: they die with it."""
        if not self.is_root:
            _call("setns", self.pidfd, CLONE_NEWUSER)  # a plain user has the right to enter only as the sandbox's own
        _call("setns", self.pidfd, CLONE_NEWPID)

    def enter(self, policy: Policy, files: dict[str, bytes]) -> None:
        """Go inside, for good: see what it shows, write `files` (names below `WORK`), keep to the policy, give up every privilege.

        For a process that was forked after `adopt_children`, and has one thread.

        Raises:
            OSError: naming the step that failed.
        """
        Path("/proc/self/oom_score_adj").write_text("1000")  # if the machine runs out of memory, this goes first
        _call("setns", self.pidfd, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
        for folder in self.writable:
            size = policy.disk if folder == WORK else policy.disk // 4
            settings = f"mode=1777,size={size},nr_inodes={FILES}".encode()  # each file costs memory, even an empty one
            _call("mount", b"none", folder.encode(), None, MS_REMOUNT | MS_NOSUID | MS_NODEV, settings)
        os.chdir(WORK)
        os.umask(0o022)
        _limit(policy)
        if self.is_root:
            # A limit on processes does not bind root: become a user that nobody else is.
            os.setgroups([])
            os.setresgid(self.user, self.user, self.user)
            os.setresuid(self.user, self.user, self.user)
        _drop_privileges()
        for name, content in files.items():
            path = Path(WORK, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _separate()
        _load_filter()


# --- privileges ---------------------------------------------------------------------------------------------------------------------

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWTIME = 0x10000000, 0x20000000, 0x40000000, 0x80
MS_NOSUID, MS_NODEV, MS_REMOUNT = 2, 4, 32
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 4, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL, PR_SET_CHILD_SUBREAPER = 4, 36
_libc = ctypes.CDLL(None, use_errno=True)


def _call(function: str, *arguments) -> None:
    if getattr(_libc, function)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def die_with_parent(parent: int) -> None:
    """Ask the system to kill this process when `parent`, which forked it, ends."""
    _call("prctl", PR_SET_PDEATHSIG, 9, 0, 0, 0)
    if os.getppid() != parent:  # it ended in between
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every process that a child of this one leaves behind, so that none can outlive it."""
    _call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _unused_user() -> int:
    """Return a user's number that nobody has: another for each process that asks, high above real ones where there are so many."""
    first, length = 0, 0
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        start, _, count = map(int, line.split())
        if count > length:
            first, length = start, count
    wanted = 0x70000000 + os.getpid()
    return wanted if wanted < first + length else first + length - 1 - os.getpid() % 1000


def _limit(policy: Policy) -> None:
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    for name, soft, hard in (
        ("RLIMIT_AS", mapped + policy.memory, mapped + policy.memory),
        ("RLIMIT_NPROC", policy.processes, policy.processes),
        ("RLIMIT_FSIZE", policy.file_size, policy.file_size),
        ("RLIMIT_CPU", policy.cpu, policy.cpu + 1),
        ("RLIMIT_NOFILE", policy.open_files, policy.open_files),
        ("RLIMIT_CORE", 0, 0),
        ("RLIMIT_MSGQUEUE", 0, 0),
    ):
        resource.setrlimit(getattr(resource, name), (soft, hard))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def _drop_privileges() -> None:
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = _CapabilityHeader(0x20080522, 0)  # version 3: two sets of three words
    _call("capset", ctypes.byref(header), (ctypes.c_uint32 * 6)())
    _call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # a change of user makes /proc/self unreadable for oneself


# --- the second layer ---------------------------------------------------------------------------------------------------------------

REFUSED = """
    mount umount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr swapon swapoff
    unshare setns ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise
    bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key
    kexec_load kexec_file_load init_module finit_module delete_module reboot syslog acct quotactl sethostname setdomainname
    open_by_handle_at name_to_handle_at fanotify_init lookup_dcookie nfsservctl vhangup ioperm iopl modify_ldt
    settimeofday clock_settime clock_adjtime adjtimex
    memfd_create memfd_secret shmget semget msgget mq_open vmsplice
""".split()
"""System calls that no lab needs. The last line is memory that no limit counts."""


class _Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


@cache
def _filter() -> tuple[ctypes.CDLL, int]:
    """Build the filter once, in the server; libseccomp knows the numbers of every architecture's system calls."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    allow, refuse, equal, masked_equal = 0x7FFF0000, 0x00050000, 4, 7
    filter_ = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(allow)))

    def rule(name: str, error: int, *comparisons: _Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number != -1:  # this architecture, or this libseccomp, knows it
            array = (_Comparison * len(comparisons))(*comparisons)
            library.seccomp_rule_add_array(filter_, ctypes.c_uint32(refuse | error), number, len(comparisons), array)

    for name in REFUSED:
        rule(name, errno.EPERM)
    for flag in (CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET):
        rule("clone", errno.EPERM, _Comparison(0, masked_equal, flag, flag))
    rule(
        "clone3", errno.ENOSYS
    )  # its flags lie in memory, where a filter cannot look: the C library falls back to clone
    # Kernels and torch.distributed talk to themselves over the loopback, which is all that the namespace has. Other families may not
    # know namespaces at all: AF_VSOCK reaches a virtual machine's host.
    for family in range(64):
        if family not in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
            rule("socket", errno.EAFNOSUPPORT, _Comparison(0, equal, family, 0))
    return library, filter_


def _load_filter() -> None:
    library, filter_ = _filter()
    failed = library.seccomp_load(filter_)
    if failed:
        raise OSError(-failed, f"seccomp_load: {os.strerror(-failed)}")


def _separate() -> None:
    """Begin a Landlock domain: who is in it cannot trace or look into a process outside, not even one of the same user.

    bubblewrap's own two are such. A kernel without Landlock does without: there is nothing to gain from them.
    """
    makes_devices = (ctypes.c_uint64 * 1)(
        1 << 6 | 1 << 11
    )  # a domain must forbid something: what nobody here can do anyway
    domain = _libc.syscall(444, ctypes.byref(makes_devices), ctypes.c_size_t(8), 0)  # landlock_create_ruleset
    if domain >= 0:
        _libc.syscall(446, domain, 0)  # landlock_restrict_self
        os.close(domain)


def _write_filter(descriptor: int) -> None:
    """Write the filter for bubblewrap, so that its own processes in the sandbox are no way around it."""
    library, filter_ = _filter()
    failed = library.seccomp_export_bpf(filter_, descriptor)
    if failed:
        raise OSError(-failed, f"seccomp_export_bpf: {os.strerror(-failed)}")


# --- is it there? -------------------------------------------------------------------------------------------------------------------


def available() -> str:
    """Return "" when submissions can be sandboxed here, else one sentence: what is missing and how to get it.

    It does not look at version numbers: it makes a sandbox, goes in, and starts Python there.
    """
    if sys.platform != "linux":
        return f"The sandbox needs Linux, and this is {platform.system()}: grade on a Linux machine or in a container."
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2] if part.isdigit())
    if release < (5, 14):  # before, a limit on processes counted those of the whole machine
        return f"The sandbox needs Linux 5.14 or later, and this is {platform.release()}: grade on a newer machine."
    if not shutil.which("bwrap"):
        return f"The sandbox needs bubblewrap, which is not installed: {INSTALL}."
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return f"The sandbox needs libseccomp, which is not installed: {INSTALL}."
    trial = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=False)
    if trial.returncode == 0:
        return ""
    words = (trial.stderr.strip().splitlines() or ["no reason was given"])[-1].removeprefix("OSError: ")
    if "uid map" in words or "Permission denied" in words or "Operation not permitted" in words:
        words += (
            " (a container or AppArmor forbids it: on Ubuntu 24.04, `apt install apparmor-profiles` and load bwrap-userns-restrict; "
            "in a container, allow user namespaces)"
        )
    return f"bubblewrap is installed but no sandbox can be made here: {words}."


def _try() -> None:
    """Make a sandbox, enter it and start Python in it: exit code 0 when all of that works."""
    sandbox = Sandbox()
    sandbox.adopt_children()
    child = os.fork()
    if not child:
        try:
            sandbox.enter(Policy(), {"file": b""})
            os.execv(sys.executable, [sys.executable, "-c", "import json"])
        except OSError as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    sandbox.close()
    sys.exit(os.waitstatus_to_exitcode(status) != 0)


if __name__ == "__main__":
    _try()
