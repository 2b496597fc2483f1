"""The shipped runs: files, scores and choice are what the script makes of them, and a run is trained once."""

import json

import pandas as pd
import pytest

from resumen.authoring import nights, runs
from resumen.errors import CourseError
from resumen.experiment import RUNS
from resumen.modeling import FINAL_DECODING
from resumen.profiles import PROFILES, SEED

TINY = PROFILES["tiny"]


def test_the_card_has_the_scores_of_the_shipped_titles():
    """All its figures are computed again, and it names the checkpoint and the corpus of today."""
    text = (RUNS / "README.md").read_text(encoding="utf-8")
    pairs = pd.read_csv(RUNS / "curve.csv")["pairs"].max()
    assert text == runs.card(RUNS, pairs), "run `python -m resumen.authoring.runs` again"


def test_the_curve():
    curve = pd.read_csv(RUNS / "curve.csv")
    sizes = [*runs.CURVE, len(runs.load_pairs()["train"])]
    assert sorted(curve["pairs"].unique()) == sizes
    assert set(curve["seed"]) == {42, 43, 44} == set(runs.SEEDS)
    assert len(curve) == len(sizes) * 3 * 2 and not curve.isna().any(axis=None)
    assert {tuple(sorted(group)) for _, group in curve.groupby(["pairs", "seed"])["language"]} == {("en", "es")}
    means = curve.groupby("pairs")["rougeL"].mean()
    assert means.iloc[-1] > means.iloc[1] > means.iloc[0] - 1e-9, "more pairs, better titles"


def test_the_profile_has_what_the_sweep_chooses():
    sweep = pd.read_csv(RUNS / "sweep.csv")
    assert len(sweep) == len(runs.sweep_runs())
    choice = runs.chosen_setting(sweep)
    assert (choice["batch_size"], choice["epochs"], choice["learning_rate"]) == (
        TINY.batch_size,
        TINY.num_train_epochs,
        TINY.learning_rate,
    )


def test_the_search_is_what_the_scores_choose():
    table = pd.read_csv(RUNS / "decoding.csv")
    assert len(table) == len(runs.decodings()) == 7
    choice = runs.chosen_search(table)
    assert {name: choice[name] for name in ("num_beams", "length_penalty")} | {
        "no_repeat_ngram_size": 3
    } == FINAL_DECODING
    greedy = table[table["num_beams"] == 1]
    assert len(greedy) == 1 and greedy["length_penalty"].isna().all()


def test_the_rule_of_the_choice():
    table = pd.DataFrame(
        [(16, 3, 1e-3, 14.0, 14.0), (16, 2, 1e-3, 13.5, 13.6), (32, 2, 2e-3, 13.6, 13.7), (16, 1, 1e-3, 13.0, 13.0)],
        columns=["batch_size", "epochs", "learning_rate", "en", "es"],
    )
    choice = runs.chosen_setting(table)
    assert (choice["batch_size"], choice["epochs"]) == (32, 2), (
        "half a point is no difference, and two epochs cost less"
    )


def test_every_run_has_a_file_of_its_own():
    every = [*runs.sweep_runs(), *runs.curve_runs()]
    assert len({run.name for run in every}) == len(set(every))
    assert runs.Run() in runs.sweep_runs() and runs.Run(seed=SEED) in runs.curve_runs(), "one training serves both"
    assert [run.seed for run in runs.curve_runs() if run.writes_titles] == list(runs.OTHER_SEEDS)


class FakePool:
    """Runs everything in this process."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        future = Future()
        future.set_result(function(*arguments))
        return future


def test_a_run_that_is_there_is_not_trained_again(tmp_path, monkeypatch):
    """The second call does what the first left, and nothing twice."""
    trained = []

    def execute(run):
        trained.append(run)
        if len(trained) == 5:
            raise KeyboardInterrupt
        rouge = dict.fromkeys(runs.ROUGES, 10.0)
        best = (
            run.learning_rate == TINY.learning_rate
            and run.batch_size == TINY.batch_size
            and run.epochs == TINY.num_train_epochs
        )
        rouge["rougeL"] = 12.0 if best else 10.0
        return {"best_epoch": 2, "validation": {"en": rouge, "es": rouge}, "titles": {}}

    monkeypatch.setattr(runs, "execute", execute)
    monkeypatch.setattr(runs, "ProcessPoolExecutor", FakePool)
    command = ["--work", str(tmp_path), "--folder", str(tmp_path / "results"), "--sweep"]
    with pytest.raises(KeyboardInterrupt):
        runs.main(command)
    (folder,) = tmp_path.iterdir()
    files = sorted(path.name for path in folder.iterdir())
    assert files == sorted(f"{run.name}.json" for run in trained[:4])
    runs.main(command)
    assert len(trained) == len(runs.sweep_runs()) + 1
    assert set(trained) == set(runs.sweep_runs())
    for path in folder.iterdir():
        json.loads(path.read_text(encoding="utf-8"))
    assert not (tmp_path / "results").exists(), "the sweep alone writes no results"


def test_another_choice_than_the_profile_s_is_said(tmp_path, monkeypatch):
    def execute(run):
        rouge = dict.fromkeys(runs.ROUGES, 30.0 if run.batch_size != TINY.batch_size else 10.0)
        return {"best_epoch": 2, "validation": {"en": rouge, "es": rouge}, "titles": {}}

    monkeypatch.setattr(runs, "execute", execute)
    monkeypatch.setattr(runs, "ProcessPoolExecutor", FakePool)
    with pytest.raises(CourseError, match="put it into the profile tiny"):
        runs.main(["--work", str(tmp_path), "--sweep"])


def test_each_night_shows_its_mistake_and_no_other():
    """Lab 4's key, read off the logs: the sign of each mistake is in one night only."""
    logs = dict(list(pd.read_csv(RUNS / "nights.csv").groupby("night")))
    assert list(logs) == list(nights.NIGHTS)
    signs = {
        "A": lambda log: log["eval_loss"].nunique() == 1,
        "B": lambda log: log["eval_rougeL"].max() > 0 and log["eval_gen_len"].max() < 4,
        "C": lambda log: log["loss"].max() < 5 and log["eval_gen_len"].min() > 5,
        "D": lambda log: log["loss"].max() > 20,
    }
    assert {night: [other for other in logs if shows(logs[other])] for night, shows in signs.items()} == {
        night: [night] for night in signs
    }
    assert logs["C"]["loss"].is_monotonic_decreasing and logs["C"]["eval_loss"].is_monotonic_decreasing


def test_the_titles_to_rate():
    """Lab 5 has them rated: they are there, whole, in both languages, and without a key."""
    outputs = pd.read_csv(RUNS / "outputs.csv")
    assert list(outputs) == ["item", "review_id", "language", "title", "review_body"]
    assert outputs["item"].tolist() == list(range(1, 25)) and outputs["review_id"].is_unique
    assert dict(outputs["language"].value_counts()) == {"en": 12, "es": 12}
    assert not outputs.isna().any(axis=None)
