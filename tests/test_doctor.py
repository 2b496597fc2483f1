"""`resumen doctor`: what is here, what is missing, and an exit code for scripts."""

import re
from importlib import metadata

import datasets
import pytest
from typer.testing import CliRunner

from resumen import cli, doctor, setup
from resumen.doctor import diagnose
from resumen.instructor import sandbox


def test_students_do_not_need_nbgrader(monkeypatch):
    version = metadata.version

    def without_nbgrader(name):
        if name == "nbgrader":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_nbgrader)
    rows = {what: (state, advice) for what, state, advice in diagnose()}
    assert rows["nbgrader"][0] == "missing" and rows["nbgrader"][1].startswith("instructors only: pip install nbgrader")


def test_diagnose(monkeypatch):
    rows = {what: (state, advice) for what, state, advice in diagnose()}
    assert rows["datasets"] == (datasets.__version__, "")
    assert rows["profile"] == ("tiny", "")
    assert {"Python", "torch", "nbgrader", "device"} <= set(rows)
    monkeypatch.setenv("RESUMEN_PROFILE", "full")
    assert "folder" in {what: advice for what, _, advice in diagnose()}["RESUMEN_DATA"]
    monkeypatch.setenv("RESUMEN_PROFILE", "big")
    monkeypatch.setattr(setup, "OLDEST", {"torch": "99.1"})
    rows = {what: (state, advice) for what, state, advice in diagnose()}
    assert rows["profile"][0] == "big" and "'tiny'" in rows["profile"][1]
    assert "torch>=99.1" in rows["torch"][1]


@pytest.fixture(autouse=True)
def _wide_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def resumen(*arguments):
    return CliRunner().invoke(cli.app, list(arguments))


def test_doctor(monkeypatch):
    rows = [("Python", "3.11", "")]
    monkeypatch.setattr(doctor, "diagnose", lambda: rows)
    monkeypatch.setattr(sandbox, "available", lambda: f"It needs bubblewrap: {sandbox.INSTALL}.")
    result = resumen("doctor")
    assert result.exit_code == 0
    words = " ".join(re.findall(r"[^\s│┃]+", result.output))  # a narrow terminal breaks a cell in two
    for cell in ("Python", "3.11", "sandbox", "instructors only", "apt install bubblewrap"):
        assert cell in words
    rows.append(("torch", "missing", "pip install torch"))
    result = resumen("doctor")
    assert result.exit_code == 1
    assert "pip install torch" in result.output


def test_doctor_here():
    result = resumen("doctor")
    assert "Traceback" not in result.output
    for name in ("Python", "torch", "transformers", "datasets", "profile", "device", "sandbox"):
        assert f"│ {name}" in result.output
