"""`resumen check FOLDER`: the worked hand-in passes, and each way to spoil one costs a sentence that says what is wrong."""

import json
import re
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from rich.console import Console
from typer.testing import CliRunner

from resumen import cli
from resumen.check import hand_in
from resumen.check.notebook import LABS
from resumen.errors import CourseError
from resumen.files import read_csv
from resumen.notebooks import write_notebook
from resumen.projects.premier import checklist
from resumen.projects.premier import hand_in as figures

ROOT = Path(__file__).parents[2]
EXEMPLAR = ROOT / "solutions" / "premier" / "hand-in"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def computed():
    """What metrics.json must say of the exemplar's predictions."""
    return checklist.HandIn(EXEMPLAR)


@pytest.fixture(scope="module")
def build(computed):
    """Return `build_metrics`, which remembers its last table: most tests below leave the predictions alone."""
    original, known = figures.build_metrics, {}

    def remembered(table, settings, facts, losses):
        key = table["prediction"].str.cat(sep="\n") + table["leaky_prediction"].str.cat(sep="\n")
        if key not in known:
            known.clear()
            known[key] = original(table, settings, facts, losses)
        return {**known[key], "settings": settings, "facts": facts, "losses": list(losses)}

    return remembered


@pytest.fixture
def folder(tmp_path, build, monkeypatch):
    """A copy of the worked hand-in that a test may spoil."""
    monkeypatch.setattr(figures, "build_metrics", build)
    return shutil.copytree(EXEMPLAR, tmp_path / "premier" / "my-folder")


def faults(folder):
    """Return {what was checked: its faults} for the lines that are not ok."""
    return {line.what: line.faults for line in hand_in.checklist(folder) if line.faults}


@pytest.mark.thorough
def test_exemplar_is_in_order(folder):
    assert faults(folder) == {}


def test_checklist_has_every_line_of_the_command():
    """In order: a student ticks off what `resumen check --run` will print."""
    text = (ROOT / "capstone" / "premier" / "checklist.md").read_text(encoding="utf-8")
    whats = [what for what, _ in checklist.checks(EXEMPLAR)]
    told = re.findall(r"^- \[ \] \*\*(.+?)\*\*: ", text, flags=re.MULTILINE)
    assert told == [
        "all files are there",
        "project.ipynb is the starter, answered, and run in order",
        *whats,
        "project.ipynb runs from top to bottom",
    ]


def test_exemplar_is_the_starter_with_the_answers_of_the_source():
    """Made by `python -m resumen.authoring.exemplar premier`; a change of the source needs a new run."""
    from resumen.authoring.exemplar import answered

    source = nbformat.read(EXEMPLAR.parent / "project.ipynb", as_version=4)
    starter = nbformat.read(ROOT / "capstone" / "premier" / "starter.ipynb", as_version=4)
    expected = [cell.source for cell in answered(source, starter).cells]
    assert [cell.source for cell in nbformat.read(EXEMPLAR / "project.ipynb", as_version=4).cells] == expected


# Ways to spoil a hand-in ----------------------------------------------------------------------------------------------


def change_json(folder, change):
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    change(metrics)
    path.write_text(json.dumps(metrics), encoding="utf-8")


def change_csv(folder, name, change):
    table = read_csv(folder / name, (), more=True)
    (table if (changed := change(table)) is None else changed).to_csv(folder / name, index=False)


def change_text(folder, name, old, new):
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")


def change_notebook(folder, change):
    notebook = nbformat.read(folder / "project.ipynb", as_version=4)
    change(notebook)
    nbformat.write(notebook, folder / "project.ipynb")


def code(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def file_missing(folder):
    (folder / "report.md").unlink()
    return "report.md is missing: write it in a copy of report_template.md."


def figure_edited(folder):
    def edit(metrics):
        row = metrics["scores"]["es"]["prediction"]["rougeL"]
        row["mean"] = round(row["mean"], 6) + 5

    change_json(folder, edit)
    return "metrics.json, scores.es.prediction.rougeL.mean: it says ", "but the predictions give "


def verdict_edited(folder):
    change_json(folder, lambda metrics: metrics["comparisons"]["lead1"]["en"]["rouge2"].update(verdict="much better"))
    return "metrics.json, comparisons.lead1.en.rouge2.verdict: it says 'much better', but the predictions give "


def figure_missing(folder):
    change_json(folder, lambda metrics: metrics["leak"]["en"].pop("rougeL"))
    return "metrics.json, leak.en: 'rougeL' is missing"


def figure_too_many(folder):
    change_json(folder, lambda metrics: metrics["scores"].update(fr={}))
    return "metrics.json, scores: 'fr' does not belong there: take it out."


def figure_as_text(folder):
    change_json(folder, lambda metrics: metrics["scores"]["en"]["lead1"]["rouge1"].update(low="20"))
    return "scores.en.lead1.rouge1.low: it says '20', but the predictions give "


def facts_edited(folder):
    change_json(folder, lambda metrics: metrics["facts"]["leaks"]["rows_at_random"].update(sources=0))
    return "metrics.json, facts.leaks.rows_at_random.sources: it says 0, but the predictions give "


def quick_run_handed_in(folder):
    change_json(folder, lambda metrics: metrics["settings"].update(quick=True))
    return "metrics.json comes from a quick run: unset RESUMEN_QUICK"


def setting_missing(folder):
    change_json(folder, lambda metrics: metrics["settings"].pop("epochs"))
    return "metrics.json, settings.epochs: it says None, but int belongs there."


def metrics_cut_off(folder):
    path = folder / "metrics.json"
    path.write_text(path.read_text(encoding="utf-8")[:400], encoding="utf-8")
    return "metrics.json stops being JSON in line "


def id_twice(folder):
    change_csv(folder, "predictions.csv", lambda table: pd.concat([table, table.iloc[[3]]]))
    return "predictions.csv: row ", " repeats the id "


def prediction_missing(folder):
    change_csv(folder, "predictions.csv", lambda table: table.drop(index=7))
    return "of the test split is missing: add its row."


def id_unknown(folder):
    change_csv(
        folder, "predictions.csv", lambda table: table.assign(id=table["id"].where(table.index != 5, "en:emacs9"))
    )
    return "predictions.csv: row 7 has the id 'en:emacs9', which is not in the test split: take the row out."


def reference_edited(folder):
    def edit(table):
        table.loc[2, "reference"] = table.loc[2, "prediction"]

    change_csv(folder, "predictions.csv", edit)
    return ", column reference: it says ", "but the corpus gives "


def baseline_weakened(folder):
    def edit(table):
        table["lead1"] = ""

    change_csv(folder, "predictions.csv", edit)
    return ", column lead1: it says '', but the corpus gives "


def predictions_edited(folder):
    """The path that recomputes: a better prediction gives other figures than metrics.json has."""

    def edit(table):
        table["prediction"] = table["reference"]

    change_csv(folder, "predictions.csv", edit)
    return "metrics.json, scores.all.prediction.rouge1.mean: it says ", "but the predictions give 100.0"


def column_missing(folder):
    change_csv(folder, "predictions.csv", lambda table: table.drop(columns="oracle"))
    return "predictions.csv lacks the column oracle: it has exactly id, language, "


def predictions_in_latin_1(folder):
    path = folder / "predictions.csv"
    path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1", errors="replace"))
    return "predictions.csv is not in UTF-8: save it again with that encoding."


def sheet_of_29(folder):
    change_csv(folder, "error_sheet.csv", lambda sheet: sheet.drop(index=29))
    return "error_sheet.csv has 29 rows: it needs 30."


def row_chosen(folder):
    other = read_csv(folder / "predictions.csv", (), more=True)["id"]
    drawn = set(read_csv(folder / "error_sheet.csv", (), more=True)["id"])
    mine = next(one for one in other if one not in drawn)
    change_csv(folder, "error_sheet.csv", lambda sheet: sheet.assign(id=sheet["id"].where(sheet.index != 0, mine)))
    return f"has the id {mine!r}, which is not in what seed 42 draws: take the row out."


def label_invented(folder):
    change_csv(
        folder, "error_sheet.csv", lambda sheet: sheet.assign(label=sheet["label"].where(sheet.index != 4, "meh"))
    )
    return ": the label 'meh' is not in the taxonomy: choose one of ungrammatical, "


def label_missing(folder):
    change_csv(folder, "error_sheet.csv", lambda sheet: sheet.assign(label=sheet["label"].where(sheet.index != 4, "")))
    return " has no label: read it and give it one of ungrammatical, "


def note_missing(folder):
    change_csv(folder, "error_sheet.csv", lambda sheet: sheet.assign(note=sheet["note"].where(sheet.index != 4, " ")))
    return " has no note: say in a few words what makes it "


def prediction_improved_in_the_sheet(folder):
    change_csv(
        folder,
        "error_sheet.csv",
        lambda sheet: sheet.assign(prediction=sheet["prediction"].where(sheet.index != 1, "fine")),
    )
    return ": its prediction is not that of predictions.csv: 'fine', "


def figure_invented_in_the_report(folder):
    change_text(folder, "report.md", "## Limits\n", "## Limits\n\nThe model reaches 87.65 points.\n")
    return (
        "report.md says '87.65', and no figure of this hand-in is printed so: copy it from tables.md, with two decimals, or give "
        "its source with a URL."
    )


def section_missing(folder):
    change_text(folder, "report.md", "## The leak\n", "## A leak\n")
    return "report.md lacks the section `## The leak`: keep the headings of the template."


def place_left_open(folder):
    change_text(folder, "report.md", "## Limits\n", "## Limits\n\n[[What could make these results too high?]]\n")
    return "'[[What could make these results too high?]]' is still open: write your own text in its place."


def report_too_long(folder):
    change_text(folder, "report.md", "## Limits\n", "## Limits\n\n" + "word " * 1300 + "\n")
    return " words without its tables: cut it to 1200."


def card_without_front_matter(folder):
    text = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(text.split("---\n", 2)[2], encoding="utf-8")
    return "MODEL_CARD.md has no front matter: it must start with a block of YAML between two lines `---`."


def card_that_is_no_yaml(folder):
    change_text(folder, "MODEL_CARD.md", "license: other", "license: [other")
    return "MODEL_CARD.md: its front matter is not YAML "


def card_without_spanish(folder):
    change_text(folder, "MODEL_CARD.md", "- es\n", "")
    return "MODEL_CARD.md: its front matter does not list the language es: add it."


def card_with_other_scores(folder):
    change_text(folder, "MODEL_CARD.md", "| es | ", "| es | 9")
    return "MODEL_CARD.md, table of scores, row es: 9", "; metrics.json gives "


def card_without_limits(folder):
    change_text(folder, "MODEL_CARD.md", "## Limits", "## Praise")
    return "MODEL_CARD.md has no heading with the word Limits"


def notebook_that_raised(folder):
    def edit(notebook):
        code(notebook, "pp-train").outputs = [new_output("error", ename="KeyError", evalue="'train'", traceback=[])]

    change_notebook(folder, edit)
    return " raised KeyError: "


def notebook_out_of_order(folder):
    change_notebook(folder, lambda notebook: code(notebook, "pp-train").update(execution_count=99))
    return "project.ipynb was not saved after one run from top to bottom: restart the kernel, run all cells, save."


def answer_left_open(folder):
    def edit(notebook):
        code(notebook, "compare").source = "def compare(a, b, sources, seed=0):\n    raise NotImplementedError()"

    change_notebook(folder, edit)
    return " (compare) is not answered."


def given_cell_changed(folder):
    def edit(notebook):
        code(notebook, "pp-split").source += "\ntest = splits['train']"

    change_notebook(folder, edit)
    return "(cell pp-split) was changed: "


def notebook_cut_off(folder):
    path = folder / "project.ipynb"
    path.write_text(path.read_text(encoding="utf-8")[:900], encoding="utf-8")
    return "project.ipynb is not a notebook: it stops being JSON in line "


SPOILT = [
    file_missing,
    figure_edited,
    verdict_edited,
    figure_missing,
    figure_too_many,
    figure_as_text,
    facts_edited,
    quick_run_handed_in,
    setting_missing,
    metrics_cut_off,
    id_twice,
    prediction_missing,
    id_unknown,
    reference_edited,
    baseline_weakened,
    predictions_edited,
    column_missing,
    predictions_in_latin_1,
    sheet_of_29,
    row_chosen,
    label_invented,
    label_missing,
    note_missing,
    prediction_improved_in_the_sheet,
    figure_invented_in_the_report,
    section_missing,
    place_left_open,
    report_too_long,
    card_without_front_matter,
    card_that_is_no_yaml,
    card_without_spanish,
    card_with_other_scores,
    card_without_limits,
    notebook_that_raised,
    notebook_out_of_order,
    answer_left_open,
    given_cell_changed,
    notebook_cut_off,
]


@pytest.mark.repeats("figure_edited", "predictions_edited", "file_missing", "notebook_cut_off")
@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_spoilt_hand_in_costs_a_sentence(spoil, folder):
    words = spoil(folder)
    words = (words,) if isinstance(words, str) else words
    told = [sentence for sentences in faults(folder).values() for sentence in sentences]
    assert any(all(word in sentence for word in words) for sentence in told), told
    assert not any("Traceback" in sentence or "\n" in sentence for sentence in told)


def test_a_table_of_scores_by_pandas(folder):
    """`DataFrame.to_markdown` pads cells, and writes 20.10 as 20.1."""
    path = folder / "MODEL_CARD.md"
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [number for number, line in enumerate(lines) if re.match(r"\| (en|es|all) ", line)]
    assert rows
    for number in rows:
        cells = lines[number].strip("| ").split(" | ")
        lines[number] = f"| {cells[0]}  | {' | '.join(f'{float(cell):>9g}' for cell in cells[1:])} |"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert "MODEL_CARD.md can be read by the Hub" not in faults(folder)


# The command ----------------------------------------------------------------------------------------------------------


def command(*arguments):
    return CliRunner().invoke(cli.app, ["check", *map(str, arguments)])


def test_command(folder, monkeypatch):
    monkeypatch.setattr(cli, "console", Console(width=220))
    result = command(folder)
    assert result.exit_code == 0, result.output
    assert "not run" in result.output and "add --run" in result.output
    (folder / "MODEL_CARD.md").unlink()
    result = command(folder)
    assert result.exit_code == 1
    assert "MODEL_CARD.md is missing: the last cell of project.ipynb writes it." in result.output
    assert "metrics.json follows from predictions.csv" in result.output


def test_folder_that_is_no_hand_in(tmp_path):
    with pytest.raises(CourseError, match=r"is not the hand-in of a project: it needs a project\.ipynb"):
        hand_in.find_project(tmp_path)
    with pytest.raises(CourseError, match="is not a folder"):
        hand_in.find_project(tmp_path / "nowhere")
    (tmp_path / "premier").mkdir()
    assert hand_in.find_project(tmp_path / "premier") == "premier"
    (tmp_path / "project.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(CourseError, match="it stops being JSON in line 1"):
        hand_in.find_project(tmp_path)
    # What the notebook says counts more than where it lies.
    write_notebook(new_notebook(cells=[new_code_cell('setup("capstone")')]), tmp_path / "premier" / "project.ipynb")
    assert hand_in.find_project(tmp_path / "premier") == "capstone"


# `--run`, on notebooks of two cells ------------------------------------------------------------------------------------


def rerun(folder, source, stated):
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(stated), encoding="utf-8")
    write_notebook(new_notebook(cells=[new_code_cell(source)]), folder / "project.ipynb")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    told = list(hand_in.rerun(folder, checklist.FILES))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "it runs in a copy"
    return told


WRITES = "import json\nfrom pathlib import Path\nPath('metrics.json').write_text(json.dumps({}))"
SCORES = {"scores": {"en": {"prediction": {"rougeL": {"mean": 20.0, "low": 1.0}}}}}


@pytest.mark.thorough
def test_rerun(tmp_path):
    assert rerun(tmp_path / "same", WRITES.format(SCORES), SCORES) == []
    close = json.loads(json.dumps(SCORES).replace("20.0", "21.5"))
    assert rerun(tmp_path / "close", WRITES.format(close), SCORES) == []
    far = json.loads(json.dumps(SCORES).replace("20.0", "14.0"))
    (told,) = rerun(tmp_path / "far", WRITES.format(far), SCORES)
    assert "scores.en.prediction.rougeL: it says 20.00, and the notebook gives 14.00 when it runs again" in told
    (told,) = rerun(tmp_path / "raises", "1 / 0", SCORES)
    assert told == "raises/project.ipynb, code cell 1: ZeroDivisionError: division by zero."
    (told,) = rerun(tmp_path / "silent", "1 + 1", SCORES)
    assert "wrote no metrics.json" in told


def test_starter_as_it_is_has_open_answers(tmp_path):
    """What a student sees on the first day: everything is missing, and each line says what to do."""
    folder = tmp_path / "premier"
    folder.mkdir()
    shutil.copy(LABS / "premier.ipynb", folder / "project.ipynb")
    told = faults(folder)
    assert len(told["all files are there"]) == 5
    assert any(
        "is not answered" in sentence for sentence in told["project.ipynb is the starter, answered, and run in order"]
    )
    assert told["report.md keeps the template and quotes figures of this hand-in"] == (
        f"error_sheet.csv is missing in {folder}: put it there.",
    )
