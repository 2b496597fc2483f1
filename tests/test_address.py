"""One address, in pyproject.toml, and everything that repeats it."""

import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from typer.testing import CliRunner

from resumen import __version__
from resumen.address import LINES, notebooks_with_badge, opened_path, read_address, write_address
from resumen.cli import app

ROOT = Path(__file__).parents[1]
ADDRESS = read_address(ROOT)
NOTEBOOKS = [str(path.relative_to(ROOT)) for path in notebooks_with_badge(ROOT)]
OTHER = 'owner = "a-fork"\nrepository = "course"\ntag = "v9"\npublished = true\n'


@pytest.fixture
def fork(tmp_path):
    """A small course with another address: its own pyproject.toml, and one notebook of each kind."""
    for name in (*LINES, "stages/primer.ipynb", "labs/stage1_corpus/lab.ipynb", "solutions/premier/project.ipynb"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    project = tmp_path / "pyproject.toml"
    before, after = project.read_text(encoding="utf-8").split("[tool.resumen]\n")
    project.write_text(f"{before}[tool.resumen]\n{OTHER}\n[tool.{after.split('[tool.', 1)[1]}", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_in_step(name):
    cells = nbformat.read(ROOT / name, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    badge = ADDRESS.badge(opened_path(Path(name)))
    assert prose.splitlines().count(badge) == 1, "run `resumen notebooks --badges`"
    assert prose.count("Open in Colab") == ADDRESS.published
    assert next(cell.source for cell in cells if cell.cell_type == "code") == ADDRESS.first_cell
    assert (ROOT / opened_path(Path(name))).is_file()


def test_files_are_in_step():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == ADDRESS.url
    assert f"v{citation['version']}" == f"v{__version__}" == ADDRESS.tag
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_fork_changes_the_table_only(fork):
    changed = write_address(fork)
    assert len(changed) == 5
    assert write_address(fork) == []
    for path in changed:
        text = path.read_text(encoding="utf-8")
        assert "resumen-course" not in text and "a-fork/course" in text, path
    badge = "https://colab.research.google.com/github/a-fork/course/blob/v9/capstone/premier/starter.ipynb"
    assert badge in (fork / "solutions/premier/project.ipynb").read_text(encoding="utf-8")
    project = fork / "pyproject.toml"
    project.write_text(project.read_text(encoding="utf-8").replace("= true", "= false", 1), encoding="utf-8")
    assert [path.suffix for path in write_address(fork)] == [".ipynb"] * 3
    lab = (fork / "labs/stage1_corpus/lab.ipynb").read_text(encoding="utf-8")
    assert "from the release `v9` on, which is not published yet" in lab and "colab-badge" not in lab


def test_a_broken_table_costs_one_sentence(tmp_path, course_error):
    for text in ("", "[tool.resumen]\nowner = 'a'\n", "[tool.resumen"):
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        with course_error("pyproject.toml", "[tool.resumen]"):
            read_address(tmp_path)


def test_version():
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.stdout) == (0, f"resumen {__version__}\n")
