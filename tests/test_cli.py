"""The command line: one sentence for a mistake, and exit codes for scripts."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from typer.testing import CliRunner

from resumen import cli
from resumen.notebooks import write_notebook
from resumen.setup import STAGES


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


@pytest.mark.slow
def test_a_mistake_that_looks_like_markup(tmp_path, monkeypatch, capsys):
    for stage in STAGES:
        notebook = new_notebook(cells=[new_code_cell("raise ValueError('[bold] and [/x] are lost')")])
        write_notebook(notebook, tmp_path / "stages" / stage / "lecture.ipynb")
    monkeypatch.setattr(sys, "argv", ["resumen", "course", "--root", str(tmp_path), "--output", str(tmp_path)])
    with pytest.raises(SystemExit):
        cli.main()
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(
        f"resumen: {STAGES[0]}/lecture.ipynb, code cell 1: ValueError: [bold] and [/x] are lost. Its"
    )


def test_notebooks_executes_in_place_and_normalises(tmp_path):
    path = tmp_path / "stages" / STAGES[0] / "lecture.ipynb"
    write_notebook(new_notebook(cells=[new_code_cell("print('run')"), new_code_cell("1 + 1")]), path)
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    result = CliRunner().invoke(cli.app, ["notebooks", STAGES[0], "--root", str(tmp_path)])
    assert result.exit_code == 0, result.output
    notebook = nbformat.read(path, as_version=4)
    assert [cell.id for cell in notebook.cells] == ids
    assert notebook.cells[0].outputs[0].text == "run\n"
    assert all("execution" not in cell.metadata for cell in notebook.cells)
    assert nbformat.writes(notebook) + "\n" == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["a b", "[bold]x[0]", "[red]", ".hidden", "評論", "día :smile:", "-dash", "a::b", "new\nline"]
)
def test_a_folder_may_have_any_name(tmp_path, monkeypatch, capsys, name):
    (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "argv", ["resumen", "check", str(tmp_path / name)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr().err
    assert left.value.code == 1 and said.startswith(f"resumen: {tmp_path / name} is not the hand-in of a project")


def test_a_name_that_the_terminal_cannot_show(tmp_path):
    """As a process of its own: a terminal has its own idea of characters."""
    folder = tmp_path / os.fsdecode("評論".encode() + b"caf\xe9")
    folder.mkdir()
    call = [sys.executable, "-m", "resumen.cli", "check", str(folder)]
    done = subprocess.run(call, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii:strict"})
    said = done.stderr.decode("ascii")
    assert done.returncode == 1 and "is not the hand-in of a project" in said and "Traceback" not in said


def test_a_relative_corpus_is_meant_from_here(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["resumen", "course", "--root", "nowhere"])
    for given, meant in {"reviews": str(tmp_path / "reviews"), "": ""}.items():
        monkeypatch.setenv("RESUMEN_DATA", given)
        with pytest.raises(SystemExit):
            cli.main()
        assert os.environ["RESUMEN_DATA"] == meant
