"""The command line: one sentence for a mistake, and exit codes for scripts."""

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
