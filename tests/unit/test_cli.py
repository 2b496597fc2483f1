"""The command line: tables for people, one sentence for a mistake, and exit codes for scripts."""

import json
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from typer.testing import CliRunner

from resumen import cli
from resumen.execution import write_notebook
from resumen.setup import STAGES

SCORES = {"en": {"rouge1": {"lead3": 12.5, "model": 20.25, "difference": {"mean": 7.75, "low": 6.1, "high": 9.4}}}}


@pytest.fixture(autouse=True)
def _wide_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def resumen(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository of five lectures of two cells; stage 4 leaves results behind."""
    root = tmp_path_factory.mktemp("repository")
    for stage in STAGES:
        cells = [f"print({stage!r})", "1 + 1"]
        if stage == "stage4_trainer":
            cells[1] = f"results = {{'in_domain': {SCORES}, 'out_of_template': {SCORES}, 'fine_tuning_seconds': 61.26}}"
        write_notebook(new_notebook(cells=list(map(new_code_cell, cells))), root / "stages" / stage / "lecture.ipynb")
    return root


def test_doctor(monkeypatch):
    rows = [("Python", "3.11", ""), ("sandbox", "none", "instructors only: apt install bubblewrap")]
    monkeypatch.setattr(cli, "diagnose", lambda: rows)
    result = resumen("doctor")
    assert result.exit_code == 0
    for cell in ("Python", "3.11", "sandbox", "instructors only"):
        assert cell in result.output
    rows.append(("torch", "missing", "pip install torch"))
    result = resumen("doctor")
    assert result.exit_code == 1
    assert "pip install torch" in result.output


def test_doctor_here():
    result = resumen("doctor")
    assert "Traceback" not in result.output
    for name in ("Python", "torch", "transformers", "datasets", "profile", "device", "sandbox"):
        assert f"│ {name}" in result.output


@pytest.mark.slow
def test_course(repository, tmp_path):
    result = resumen("course", "--root", repository, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert set(summary) == {"stages", "in_domain", "out_of_template"}
    assert list(summary["stages"]) == list(STAGES)
    for stage, figures in summary["stages"].items():
        assert figures["seconds"] > 0 and figures["peak_memory_mb"] > 10
        assert figures.get("fine_tuning_seconds") == (61.3 if stage == "stage4_trainer" else None)
        executed = nbformat.read(tmp_path / stage / "lecture.ipynb", as_version=4)
        assert executed.cells[0].outputs[0].text == f"{stage}\n"
        assert len(executed.cells) == 2
        assert stage in result.output
    assert summary["in_domain"] == summary["out_of_template"] == SCORES
    assert "+7.75 [+6.10, +9.40]" in result.output
    assert "individually written" in result.output


@pytest.mark.slow
def test_course_stops_at_a_failing_cell(repository, tmp_path):
    """One line says notebook, cell and error, also when the message looks like console markup."""
    path = repository / "stages" / STAGES[1] / "lecture.ipynb"
    good = path.read_bytes()
    (tmp_path / "summary.json").write_text("{}", encoding="utf-8")  # of an earlier run
    cells = [new_code_cell("print('so far')"), new_code_cell("raise ValueError('[bold] and [/x] are lost')")]
    write_notebook(new_notebook(cells=cells), path)
    try:
        result = resumen("course", "--root", repository, "--output", tmp_path)
    finally:
        path.write_bytes(good)
    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert f"{STAGES[1]}/lecture.ipynb, code cell 2: ValueError: [bold] and [/x] are lost" in line
    assert "Traceback" not in result.output
    assert not (tmp_path / "summary.json").exists()
    assert not (tmp_path / STAGES[2]).exists()
    states = [row[4].strip() for line in result.output.splitlines() if len(row := line.split("│")) > 4]
    assert states[:5] == ["done", "failed", "not run", "not run", "not run"]
    executed = nbformat.read(tmp_path / STAGES[1] / "lecture.ipynb", as_version=4)
    assert executed.cells[0].outputs[0].text == "so far\n"


@pytest.mark.parametrize("command", ["course", "notebooks"])
def test_a_mistake_costs_one_line(tmp_path, monkeypatch, capsys, command):
    folder = tmp_path / "[/no] repository"
    monkeypatch.setattr(sys, "argv", ["resumen", command, "--root", str(folder)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    _, err = capsys.readouterr()
    assert caught.value.code == 1
    (line,) = err.strip().splitlines()
    assert line.startswith("resumen: ") and str(folder) in line


def test_notebooks_executes_in_place_and_normalises(repository):
    path = repository / "stages" / STAGES[0] / "lecture.ipynb"
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    result = resumen("notebooks", STAGES[0], "--root", repository)
    assert result.exit_code == 0, result.output
    notebook = nbformat.read(path, as_version=4)
    assert [cell.id for cell in notebook.cells] == ids
    assert notebook.cells[0].outputs[0].text == f"{STAGES[0]}\n"
    assert all("execution" not in cell.metadata for cell in notebook.cells)
    assert nbformat.writes(notebook) + "\n" == path.read_text(encoding="utf-8")
