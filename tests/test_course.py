"""`resumen course`: the lectures tell what the closing tables are made of, and a figure that is not told is an error."""

import io
import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from rich.console import Console
from typer.testing import CliRunner

from resumen import cli
from resumen.course import TOLD_BY, Summary
from resumen.errors import CourseError
from resumen.notebooks import write_notebook
from resumen.setup import STAGES

ROUGE = {"rouge1": 12.5, "rouge2": 4.0, "rougeL": 11.25, "rougeLsum": 11.25}
GAP = {"mean": 7.75, "low": 6.125, "high": 9.375}
SYSTEMS = {
    part: {"en": {"lead-3": ROUGE, "fine-tuned": {**ROUGE, "rouge1": 20.25}, "before": ROUGE}}
    for part in ("test", "literary")
}
DIFFERENCES = {part: {"en": dict.fromkeys(("lead-3", "before"), dict.fromkeys(ROUGE, GAP))} for part in SYSTEMS}
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
    told = {"stage4_trainer": f"fine_tuning_seconds=61.26, seeds=3, systems={SYSTEMS}, differences={DIFFERENCES}"}
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
    assert set(summary) == {"stages", "seeds", "systems", "differences"}
    assert list(summary["stages"]) == list(STAGES)
    for stage, figures in summary["stages"].items():
        assert figures["seconds"] > 0 and figures["peak_memory_mb"] > 10
        assert figures.get("fine_tuning_seconds") == {"stage4_trainer": 61.3, "stage5_accelerate": 70}.get(stage)
        executed = nbformat.read(tmp_path / stage / "lecture.ipynb", as_version=4)
        assert executed.cells[0].outputs[0].text == f"{stage}\n"
        assert len(executed.cells) == 2
        assert stage in result.output
    assert (summary["seeds"], summary["systems"], summary["differences"]) == (3, SYSTEMS, DIFFERENCES)
    for part in SYSTEMS:
        assert f"ROUGE × 100 on {part}, 3 seeds; differences with 95 % intervals" in result.output


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
    assert not (tmp_path / STAGES[4]).exists()
    states = [row[4].strip() for line in result.output.splitlines() if len(row := line.split("│")) > 4]
    assert states[1] == "failed" and states[4] == "not run", "no lecture is begun after a failure"
    executed = nbformat.read(tmp_path / STAGES[1] / "lecture.ipynb", as_version=4)
    assert executed.cells[0].outputs[0].text == "so far\n"


@pytest.mark.slow
@pytest.mark.thorough
def test_a_figure_that_is_not_told_is_an_error(repository, spoil, tmp_path):
    """A renamed variable in a lecture must not make the closing tables vanish."""
    spoil("stage4_trainer", TELL.format(f"fine_tuning_seconds=1, seeds=1, systems={SYSTEMS}"))
    result = course(repository, tmp_path)
    assert result.exit_code == 1
    message = "stage4_trainer/lecture.ipynb did not tell differences: one of its last cells must call `summary.tell(differences=…)`"
    assert str(result.exception).startswith(message)
    assert (tmp_path / "stage4_trainer" / "lecture.ipynb").is_file()
    assert not (tmp_path / "summary.json").exists()


def test_what_a_lecture_tells():
    summary = Summary()
    summary.tell(fine_tuning_seconds=1)
    summary.tell(systems=SYSTEMS)
    assert summary.told == {"fine_tuning_seconds": 1, "systems": SYSTEMS}
    with pytest.raises(
        CourseError, match="No table of the course has a figure 'sistems': tell one of differences, fine"
    ):
        summary.tell(sistems=SYSTEMS)
    with pytest.raises(
        CourseError, match=r"did not tell systems and differences: .* `summary\.tell\(systems=…, differences=…\)`"
    ):
        Summary().add("stage4_trainer", 1, 1, {"fine_tuning_seconds": 1, "seeds": 1})


@pytest.mark.parametrize(("seeds", "words"), [(1, "1 seed;"), (3, "3 seeds;")])
def test_closing_tables(seeds, words):
    """One table for each kind of text fits into a terminal of eighty columns."""
    summary = Summary()
    told = {"fine_tuning_seconds": 1, "seeds": seeds, "systems": SYSTEMS, "differences": DIFFERENCES}
    summary.add("stage4_trainer", 1, 1, told)
    tables = summary.tables(60)[1:]
    assert len(tables) == len(SYSTEMS)
    for table, part in zip(tables, SYSTEMS, strict=True):
        console = Console(width=80, file=io.StringIO())
        console.print(table)
        text = console.file.getvalue()
        assert part in text and words in text
        rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line[:1] == "│"]
        assert rows == [
            ["en", "before", "12.5", "+7.8 [+6.1, +9.4]", "11.2", "+7.8 [+6.1, +9.4]"],
            ["en", "fine-tuned", "20.2", "", "11.2", ""],
            ["en", "lead-3", "12.5", "+7.8 [+6.1, +9.4]", "11.2", "+7.8 [+6.1, +9.4]"],
        ], "in the order of the experiment, whatever the order in which they were told"


@pytest.mark.parametrize("stage", TOLD_BY)
def test_the_lecture_tells_its_figures(root, stage):
    cells = nbformat.read(root / "stages" / stage / "lecture.ipynb", as_version=4).cells
    (teller,) = [cell.source for cell in cells if "summary.tell(" in cell.source and cell.cell_type == "code"]
    assert [name for name in TOLD_BY[stage] if name not in teller] == []
