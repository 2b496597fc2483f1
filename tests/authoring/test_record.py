"""The recorded run: made with a stand-in in seconds, refused for the package, and shown where a package holds a right one."""

import json
import re
import shutil
from dataclasses import replace

import nbformat
import pandas as pd
import pytest
from typer.testing import CliRunner

from resumen import cli, experiment
from resumen.authoring import record as recording
from resumen.authoring import runs
from resumen.authoring.record import embedded_parts, record
from resumen.experiment import LARGEST_BUNDLE, RECORDED_PARTS, RUN, bundle_fault, recorded_titles

CELLS = {"stage4_trainer": "s4-331", "stage5_accelerate": "s5-113b"}
"""The cells that show a recorded run."""

OWN_PAIRS = recording._own_pairs


@pytest.fixture(scope="module")
def parts():
    return embedded_parts()


@pytest.fixture(scope="module")
def fake(parts):
    """Have nobody train, on a machine with a GPU and the Hub: each seed titles each row with its number. The runs are kept."""
    trained = []

    def train(run, profile, pairs, parts):
        trained.append(run)
        titles = {name: [f"title {run.seed}"] * len(rows) for name, rows in parts.items()}
        log = [{"epoch": 1.0, "loss": 2.5}]
        return {"parameters": 300_176_768, "best_epoch": 8, "validation": {}, "log": log, "titles": titles}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "train", train)
        patch.setattr(recording, "embedded_parts", lambda: parts)
        patch.setattr(recording, "best_device", lambda: "cuda")
        patch.setattr(recording.constants, "ENDPOINT", experiment.HUB)
        yield trained


@pytest.fixture(scope="module")
def bundle(fake, tmp_path_factory):
    """What such a machine writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESUMEN_DATA", str(runs.EMBEDDED_REVIEWS))
        pairs = recording._own_pairs()
        patch.setattr(recording, "_own_pairs", lambda: pairs)
        yield record(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def full(bundle, monkeypatch, tmp_path):
    """A copy of it, in the place of the package's."""
    shutil.copytree(bundle, tmp_path / "recorded")
    monkeypatch.setattr(experiment, "RECORDED", tmp_path / "recorded")
    return tmp_path / "recorded"


def test_what_the_package_holds_was_not_made_by_a_stand_in(parts):
    """The day that a run is recorded, this test looks at it."""
    if not experiment.RECORDED.exists():
        assert recorded_titles("validation", parts["validation"]["review_id"][:]) is None
        return
    assert bundle_fault(experiment.RECORDED) is None
    for name in RECORDED_PARTS:
        assert len(recorded_titles(name, parts[name]["review_id"][:])) == experiment.RECORDED_SEEDS


def test_a_bundle(full, fake, parts):
    assert [run.seed for run in fake] == list(runs.SEEDS) == [42, 43, 44]
    assert {(run.epochs, run.learning_rate, run.batch_size, run.pairs) for run in fake} == {(8, 5.6e-5, 8, None)}
    assert sorted(path.name for path in full.iterdir()) == sorted(
        [RUN, *(f"{kind}_{seed}.jsonl" for kind in ("seed", "log") for seed in runs.SEEDS)]
    )
    assert bundle_fault(full) is None and sum(path.stat().st_size for path in full.iterdir()) < LARGEST_BUNDLE
    told = json.loads((full / RUN).read_text(encoding="utf-8"))
    assert told["corpus"]["name"] == "reviews" and told["corpus"]["train"] == 5814, "its name, and no path"
    assert told["versions"]["torch"] and told["parts"] == {name: len(parts[name]) for name in RECORDED_PARTS}
    assert tuple(parts) == RECORDED_PARTS
    ids = parts["synopses"]["review_id"][:]
    assert recorded_titles("synopses", ids) == [[f"title {seed}"] * len(ids) for seed in runs.SEEDS]
    assert recorded_titles("validation", ids) is None, "rows of another part"
    assert recorded_titles("validation", ["mine"]) is None, "a corpus of your own"


def test_it_goes_on_with_the_seeds_that_are_missing(full, fake, course_error):
    fake.clear()
    told = json.loads((full / RUN).read_text(encoding="utf-8"))
    del told["seeds"]["43"]
    (full / RUN).write_text(json.dumps(told), encoding="utf-8")
    assert "2 of 3 training seeds" in bundle_fault(full)
    record(full)
    assert [run.seed for run in fake] == [43] and bundle_fault(full) is None
    (full / RUN).write_text(json.dumps(told | {"device": "another"}), encoding="utf-8")
    with course_error("another run"):
        record(full)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parameters": 1_837_824}, "stand-in, google/mt5-small of 1,837,824 parameters"),
        ({"profile": {"checkpoint": "mt5-tiny"}}, "stand-in, mt5-tiny"),
        (
            {"hub": "http://127.0.0.1:8090"},
            "stand-in, google/mt5-small of 300,176,768 parameters from http://127.0.0.1:8090",
        ),
        ({"parts": {"test": 3}}, "does not hold a title for each of its 3 rows"),
        ({"parameters": "many"}, "no bundle that can be read"),
        ({"note": "x" * LARGEST_BUNDLE}, "1 MB"),
    ],
)
def test_what_is_refused_for_the_package(full, parts, course_error, changes, words):
    told = json.loads((full / RUN).read_text(encoding="utf-8"))
    (full / RUN).write_text(json.dumps(told | changes), encoding="utf-8")
    assert words in bundle_fault(full)
    with course_error(*words.split(", ")):
        recorded_titles("test", parts["test"]["review_id"][:])


def test_what_cannot_be_recorded(monkeypatch, tmp_path, course_error):
    monkeypatch.setattr(recording, "best_device", lambda: "cpu")
    with course_error("no GPU", "--rehearse"):
        record(tmp_path / "bundle")
    with course_error("rehearsal", experiment.RECORDED):
        record(experiment.RECORDED, rehearse=True)
    monkeypatch.setattr(recording, "best_device", lambda: "cuda")
    monkeypatch.setattr(recording, "_own_pairs", OWN_PAIRS)
    monkeypatch.delenv("RESUMEN_DATA", raising=False)
    with course_error("RESUMEN_DATA"):
        record(tmp_path / "bundle")
    monkeypatch.setattr(recording.constants, "ENDPOINT", "http://127.0.0.1:8090")
    with course_error("HF_ENDPOINT", experiment.HUB):
        record(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_the_cells_of_the_lectures(full, root, parts, monkeypatch, capsys):
    """Without a bundle each prints what is committed; with one it shows its titles beside the tiny model's."""
    import textwrap

    rows = parts["validation"].to_pandas()
    names = {
        "stage4_trainer": {"sample": rows.assign(output="tiny title"), "textwrap": textwrap},
        "stage5_accelerate": {
            "validation": rows,
            "count_alarms": lambda column: sorted(set(rows[column])),
            "display": print,
        },
    }
    shown = {
        "stage4_trainer": "    output:    tiny title\n    mt5-small: title 42\n",
        "stage5_accelerate": "['title 42']\n",
    }
    for stage, name in CELLS.items():
        notebook = nbformat.read(root / "stages" / stage / "lecture.ipynb", as_version=4)
        (cell,) = [cell for cell in notebook.cells if cell.id == name]
        exec(cell.source, dict(names[stage]))
        assert shown[stage] in capsys.readouterr().out
        with monkeypatch.context() as patch:
            patch.setattr(experiment, "RECORDED", full / "nowhere")
            exec(cell.source, dict(names[stage]))
        assert capsys.readouterr().out == cell.outputs[0].text


@pytest.mark.slow
@pytest.mark.thorough
def test_a_rehearsal_is_refused_for_the_package(tmp_path, monkeypatch, course_error):
    """All of it but the size: training, titles, log, files. The command says what the bundle is."""
    monkeypatch.setattr(recording, "REHEARSAL", replace(recording.REHEARSAL, max_target_length=4))
    folder = tmp_path / "bundle"
    done = CliRunner().invoke(cli.app, ["record", "--rehearse", "--folder", str(folder)])
    assert done.exit_code == 0, done.output
    assert re.search("recorded with a stand-in, mt5-tiny of 1,837,824 parameters", done.output)
    told = json.loads((folder / RUN).read_text(encoding="utf-8"))
    assert set(told["seeds"]) == {"42", "43", "44"} and set(told["parts"]) == set(RECORDED_PARTS)
    assert pd.read_json(folder / "log_42.jsonl", lines=True)["eval_rougeL"].notna().sum() == 2, (
        "before training, and after its epoch"
    )
    shutil.copytree(folder, tmp_path / "recorded")
    monkeypatch.setattr(experiment, "RECORDED", tmp_path / "recorded")
    with course_error("stand-in", "mt5-tiny"):
        recorded_titles("test", ["any"])
