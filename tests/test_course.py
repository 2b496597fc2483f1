"""`resumen course`: the lectures tell what the closing tables are made of, and a figure that is not told is an error."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from typer.testing import CliRunner

from resumen import cli
from resumen.course import TOLD_BY, Summary
from resumen.errors import CourseError
from resumen.notebooks import write_notebook
from resumen.setup import STAGES

SCORES = {"en": {"rouge1": {"lead3": 12.5, "model": 20.25, "difference": {"mean": 7.75, "low": 6.1, "high": 9.4}}}}
TELL = "from resumen.course import summary\nsummary.tell({})"


@pytest.fixture(autouse=True)
def _wide_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def course(root, output):
    return CliRunner().invoke(cli.app, ["course", "--root", str(root), "--output", str(output)])


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository of five lectures of two cells, which tell what the tables need."""
    root = tmp_path_factory.mktemp("repository")
    told = {"stage4_trainer": f"fine_tuning_seconds=61.26, in_domain={SCORES}, out_of_template={SCORES}"}
    told["stage5_accelerate"] = "fine_tuning_seconds=70"
    for stage in STAGES:
        cells = [f"print({stage!r})", TELL.format(told.get(stage, ""))]
        write_notebook(new_notebook(cells=list(map(new_code_cell, cells))), root / "stages" / stage / "lecture.ipynb")
    return root


@pytest.fixture
def spoil(repository):
    """Return a function that gives a lecture another second cell until the test is over."""
    kept = {}

    def change(stage, *cells):
        path = repository / "stages" / stage / "lecture.ipynb"
        kept[path] = path.read_bytes()
        write_notebook(new_notebook(cells=list(map(new_code_cell, cells))), path)

    yield change
    for path, content in kept.items():
        path.write_bytes(content)


@pytest.mark.slow
def test_course(repository, tmp_path):
    result = course(repository, tmp_path)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert set(summary) == {"stages", "in_domain", "out_of_template"}
    assert list(summary["stages"]) == list(STAGES)
    for stage, figures in summary["stages"].items():
        assert figures["seconds"] > 0 and figures["peak_memory_mb"] > 10
        assert figures.get("fine_tuning_seconds") == {"stage4_trainer": 61.3, "stage5_accelerate": 70}.get(stage)
        executed = nbformat.read(tmp_path / stage / "lecture.ipynb", as_version=4)
        assert executed.cells[0].outputs[0].text == f"{stage}\n"
        assert len(executed.cells) == 2
        assert stage in result.output
    assert summary["in_domain"] == summary["out_of_template"] == SCORES
    assert "+7.75 [+6.10, +9.40]" in result.output
    assert "individually written" in result.output


@pytest.mark.slow
def test_course_stops_at_a_failing_cell(repository, spoil, tmp_path):
    """One sentence says notebook, cell and error."""
    (tmp_path / "summary.json").write_text("{}", encoding="utf-8")  # of an earlier run
    spoil(STAGES[1], "print('so far')", "raise ValueError('[bold] and [/x] are lost')")
    result = course(repository, tmp_path)
    assert result.exit_code == 1
    assert isinstance(result.exception, CourseError)
    message = f"{STAGES[1]}/lecture.ipynb, code cell 2: ValueError: [bold] and [/x] are lost. Its outputs so far: "
    assert str(result.exception) == f"{message}{tmp_path / STAGES[1] / 'lecture.ipynb'}"
    assert not (tmp_path / "summary.json").exists()
    assert not (tmp_path / STAGES[2]).exists()
    states = [row[4].strip() for line in result.output.splitlines() if len(row := line.split("│")) > 4]
    assert states[:5] == ["done", "failed", "not run", "not run", "not run"]
    executed = nbformat.read(tmp_path / STAGES[1] / "lecture.ipynb", as_version=4)
    assert executed.cells[0].outputs[0].text == "so far\n"


@pytest.mark.slow
def test_a_figure_that_is_not_told_is_an_error(repository, spoil, tmp_path):
    """A renamed variable in a lecture must not make the closing tables vanish."""
    spoil("stage4_trainer", TELL.format(f"fine_tuning_seconds=1, in_domain={SCORES}"))
    result = course(repository, tmp_path)
    assert result.exit_code == 1
    message = "stage4_trainer/lecture.ipynb did not tell out_of_template: one of its last cells must call `summary.tell(out_of_template=…)`"
    assert str(result.exception).startswith(message)
    assert (tmp_path / "stage4_trainer" / "lecture.ipynb").is_file()
    assert not (tmp_path / "summary.json").exists()


def test_what_a_lecture_tells():
    summary = Summary()
    summary.tell(fine_tuning_seconds=1)
    summary.tell(in_domain=SCORES)
    assert summary.told == {"fine_tuning_seconds": 1, "in_domain": SCORES}
    with pytest.raises(CourseError, match="No table of the course has a figure 'in_domian': tell one of fine_tuning_"):
        summary.tell(in_domian=SCORES)
    with pytest.raises(
        CourseError, match=r"did not tell in_domain and out_of_template: .* `summary\.tell\(in_domain=…, out"
    ):
        Summary().add("stage4_trainer", 1, 1, {"fine_tuning_seconds": 1})


@pytest.mark.parametrize("stage", TOLD_BY)
def test_the_lecture_tells_its_figures(root, stage):
    cells = nbformat.read(root / "stages" / stage / "lecture.ipynb", as_version=4).cells
    (teller,) = [cell.source for cell in cells if "summary.tell(" in cell.source and cell.cell_type == "code"]
    assert [name for name in TOLD_BY[stage] if name not in teller] == []
