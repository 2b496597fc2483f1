"""The capstone's checklist: the worked hand-in passes, and each way to spoil one costs a sentence with the place in it."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from resumen.authoring import exemplar
from resumen.check.hand_in import checklist as lines_of
from resumen.check.hand_in import notebook_faults
from resumen.errors import CourseError
from resumen.projects.capstone import checklist, hand_in, raters
from resumen.projects.capstone.contract import EMBEDDED_NEWS

ROOT = Path(__file__).parents[2]
EXEMPLAR = ROOT / "solutions" / "capstone" / "hand-in"

pytestmark = pytest.mark.slow


def test_exemplar_is_in_order():
    """A failure after a new checkpoint or corpus means: make the exemplar again (CONTRIBUTING.md, Projects), and read its report."""
    lines = lines_of(EXEMPLAR)
    assert {line.what: line.faults for line in lines if line.faults} == {}
    assert any("SIMULATED" in line.what for line in lines), "nobody may take these ratings for people's"


def test_checklist_has_every_line_of_the_command():
    """In order: a student ticks off what `resumen check --run` will print."""
    text = (ROOT / "capstone" / "capstone" / "checklist.md").read_text(encoding="utf-8")
    whats = [what.partition(": SIMULATED")[0] for what, _ in checklist.checks(EXEMPLAR)]
    told = re.findall(r"^- \[ \] \*\*(.+?)\*\*: ", text, flags=re.MULTILINE)
    assert told == [
        "all files are there",
        "project.ipynb is the starter, answered, and run in order",
        *whats,
        "project.ipynb runs from top to bottom",
    ]


def test_exemplar_has_the_embedded_corpus():
    assert (EXEMPLAR / "corpus.parquet").read_bytes() == EMBEDDED_NEWS.read_bytes()
    assert (EXEMPLAR / "DATA_CARD.md").read_bytes() == (EMBEDDED_NEWS.parent / "README.md").read_bytes()


def test_tables_of_the_report_are_those_of_the_figures():
    report = (EXEMPLAR / "report.md").read_text(encoding="utf-8")
    text = hand_in.tables(json.loads((EXEMPLAR / "metrics.json").read_text(encoding="utf-8")))
    assert (EXEMPLAR / "tables.md").read_text(encoding="utf-8") == text
    for part in text.split("## ")[1:]:
        assert part.split("\n\n", 1)[1].strip() in report, "run python -m resumen.authoring.exemplar capstone"


def test_simulated_ratings_come_out_again(tmp_path):
    """The same program gives the same sheets: nothing in them was touched up."""
    predictions = pd.read_csv(EXEMPLAR / "predictions.csv", dtype=str, keep_default_na=False)
    for name in ("sheet_a.csv", "sheet_b.csv", "key.csv"):
        table = pd.read_csv(EXEMPLAR / name, dtype=str, keep_default_na=False)
        for column in table.columns[table.columns.str.startswith(("score_", "note"))]:
            table[column] = ""
        table.to_csv(tmp_path / name, index=False)
    hand_in.simulate_ratings(tmp_path, predictions)
    for name in ("sheet_a.csv", "sheet_b.csv"):
        assert (tmp_path / name).read_bytes() == (EXEMPLAR / name).read_bytes()
        notes = pd.read_csv(EXEMPLAR / name)["note"]
        assert notes.str.startswith(raters.SIMULATED).all()


@pytest.fixture
def folder(tmp_path):
    """A copy of the worked hand-in that a test may spoil."""
    return shutil.copytree(EXEMPLAR, tmp_path / "capstone" / "my-folder")


def edit_csv(name, change):
    def spoil(folder):
        table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        change(table).to_csv(folder / name, index=False)

    return spoil


def edit_json(change):
    def spoil(folder):
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        change(metrics)
        (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")

    return spoil


def edit_text(name, old, new):
    def spoil(folder):
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return spoil


def put(column, value, row=0):
    def change(table):
        table.loc[row, column] = value
        return table

    return change


def leak(folder):
    corpus = pd.read_parquet(folder / "corpus.parquet").astype(object)
    test = corpus.index[corpus["split"] == "test"][0]
    corpus.loc[test, "group"] = corpus.loc[corpus["split"] == "train", "group"].iloc[0]
    corpus.to_parquet(folder / "corpus.parquet")


def raise_score(metrics):
    place = next(iter(metrics["scores"]))
    metrics["scores"][place]["system_b"]["rougeL"]["mean"] += 1


def raise_kappa(metrics):
    metrics["people"]["kappa"]["all"]["kappa"] = 0.95


def part_processes(metrics):
    metrics["processes"]["2"]["es"]["rouge1"] += 1e-5


SPOILT = {
    "two corpora": (
        lambda folder: shutil.copyfile(folder / "corpus.parquet", folder / "corpus.jsonl"),
        "data contract",
        "2 files called corpus.jsonl or corpus.parquet",
    ),
    "leak": (leak, "data contract", "leakage: "),
    "no licence in the card": (
        edit_text("DATA_CARD.md", "## Licence", "## Rights"),
        "data contract",
        "licence (0 of 5",
    ),
    "a changed test": (
        edit_text("project.ipynb", "a clean row breaks no rule", "fine"),
        "is the starter",
        "was changed",
    ),
    "a stub": (
        edit_text(
            "project.ipynb",
            "    return sum(len(found) > 1 for found in places.values())",
            "    raise NotImplementedError",
        ),
        "is the starter",
        "is not answered",
    ),
    "a row less": (edit_csv("predictions.csv", lambda table: table[1:]), "every test row", "is missing: add its row"),
    "a row twice": (
        edit_csv("predictions.csv", lambda table: pd.concat([table, table[:1]])),
        "every test row",
        "repeats the id",
    ),
    "another reference": (
        edit_csv("predictions.csv", put("reference", "Easy")),
        "every test row",
        "its reference is not",
    ),
    "a silent system": (
        edit_csv("predictions.csv", lambda table: table.assign(ablation="")),
        "every test row",
        "the column ablation is empty in every row",
    ),
    "a quick run": (edit_json(lambda metrics: metrics["settings"].update(quick=True)), "settings", "quick run"),
    "no name for a system": (
        edit_json(lambda metrics: metrics["settings"].pop("ablation")),
        "settings",
        "settings.ablation",
    ),
    "a better score": (edit_json(raise_score), "follows from", "but the predictions give"),
    "a better kappa": (edit_json(raise_kappa), "follows from", "people.kappa.all.kappa: it says 0.95"),
    "a comparison less": (
        edit_json(lambda metrics: next(iter(metrics["comparisons"].values())).popitem()),
        "follows from",
        "is missing",
    ),
    "a better prediction": (
        edit_csv("predictions.csv", lambda table: table.assign(system_b=table["reference"])),
        "follows from",
        "system_b",
    ),
    "a score left out": (edit_csv("sheet_a.csv", put("score_1", "")), "raters' sheets", "item 1: score_1 is ''"),
    "a score off the scale": (edit_csv("sheet_b.csv", put("score_2", "5")), "raters' sheets", "score_2 is '5'"),
    "a rated text that nobody wrote": (
        edit_csv("sheet_a.csv", put("output_1", "Nice")),
        "raters' sheets",
        "it shows another text",
    ),
    "an item less": (edit_csv("sheet_b.csv", lambda table: table[1:]), "raters' sheets", "does not have the items"),
    "another system in the key": (edit_csv("key.csv", put("system_1", "gpt")), "raters' sheets", "gpt"),
    "a kind of input less": (
        edit_json(lambda metrics: metrics["robustness"].pop("nfd")),
        "robustness",
        "the kinds nfd",
    ),
    "processes apart": (edit_json(part_processes), "two processes", "es rouge1"),
    "a figure that nothing backs": (
        edit_text("report.md", "## Limits", "It wins by 77.77 points.\n\n## Limits"),
        "report.md",
        "77.77",
    ),
    "a section less": (edit_text("report.md", "## People", "## Persons"), "report.md", "lacks the section `## People`"),
    "an open place": (edit_text("talk.md", "There were none.", "[[How many?]]"), "talk.md", "talk.md: a place between"),
    "no front matter": (edit_text("MODEL_CARD.md", "---\n", "\n"), "MODEL_CARD.md", "no front matter"),
    "no Python": (edit_text("demo.py", "import argparse", "import"), "demo.py", "demo.py, line"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_spoilt(folder, case):
    spoil, line, words = SPOILT[case]
    spoil(folder)
    notebook = ("project.ipynb is the starter", lambda: notebook_faults(folder / "project.ipynb", "capstone"))
    (find,) = [find for what, find in [notebook, *checklist.checks(folder)] if line in what]
    try:
        found = list(find())
    except CourseError as error:  # `checklist` makes a line of it
        found = [str(error)]
    assert any(words in fault for fault in found), found
    assert not any("\n" in fault for fault in found)


@pytest.mark.parametrize("name", sorted(checklist.FILES))
def test_a_missing_file(folder, name, monkeypatch):
    (folder / name).unlink()
    monkeypatch.setattr(hand_in, "build_metrics", lambda *arguments: {})  # this test is about files
    first, *_ = lines_of(folder)
    assert [fault for fault in first.faults if fault.startswith(f"{name} is missing: ")], first


def test_own_ratings_are_not_called_simulated(folder):
    for rater in raters.RATERS:
        edit_csv(f"sheet_{rater}.csv", lambda table: table.assign(note=""))(folder)
    assert not any("SIMULATED" in what for what, _ in checklist.checks(folder))


def test_starter_answered_is_what_the_exemplar_runs():
    """The cells of the hand-in are those of the released starter with the source's answers in them."""
    import nbformat

    source, starter, made = (
        nbformat.read(path, as_version=4)
        for path in (
            ROOT / "solutions" / "capstone" / "project.ipynb",
            ROOT / "capstone" / "capstone" / "starter.ipynb",
            EXEMPLAR / "project.ipynb",
        )
    )
    assert [cell.source for cell in made.cells] == [cell.source for cell in exemplar.answered(source, starter).cells]
