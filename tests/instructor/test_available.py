"""Where no sandbox can be made, one sentence says why, and how to get one."""

import ctypes
import os
import platform
import shutil
import sys

import pytest

from resumen.instructor import sandbox


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
def test_it_is_there():
    why_not = sandbox.available()
    if why_not:
        pytest.skip(why_not)
    assert sandbox.row() == ("sandbox", "bubblewrap, seccomp", "")


def test_another_system(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "needs Linux" in sandbox.available()


linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@linux
def test_an_old_kernel(monkeypatch):
    monkeypatch.setattr(platform, "release", lambda: "5.10.0-28-amd64")
    assert "5.14 or later, and this is 5.10.0-28-amd64" in sandbox.available()


@linux
def test_no_bubblewrap(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    what, state, advice = sandbox.row()
    assert (what, state) == ("sandbox", "none")
    assert advice.startswith("instructors only: ") and "apt install bubblewrap" in advice


@linux
def test_no_libseccomp(monkeypatch):
    def missing(*_):
        raise OSError("libseccomp.so.2: cannot open shared object file")

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert "libseccomp2" in sandbox.available()


@linux
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("bwrap: setting up uid map: Permission denied", "AppArmor"),
        ("bwrap: Unknown option --info-fd", "Unknown option --info-fd"),
    ],
)
def test_a_bubblewrap_that_fails(monkeypatch, tmp_path, words, said):
    bwrap = tmp_path / "bwrap"
    bwrap.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    bwrap.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    why_not = sandbox.available()
    assert said in why_not and "\n" not in why_not


def test_a_course_inside_a_system_folder_stays_hidden(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "visible", lambda: ["/usr/src/app/.venv"])
    line = " ".join(sandbox.command(["/usr/src/app", str(tmp_path)], [], 3, 4, 5))
    assert "--ro-bind /usr /usr" in line
    assert line.index("--tmpfs /usr/src/app") < line.index("--ro-bind /usr/src/app/.venv /usr/src/app/.venv")
    assert str(tmp_path) not in line
