"""Profiles and setup(): the first lines of every notebook."""

import os
import warnings

import datasets
import pytest
import transformers

import resumen.setup as first_line
from resumen.profiles import DATA, PROFILES, current_profile, first_sentence
from resumen.setup import STAGES, diagnose, setup


def test_profile_by_argument_then_environment_then_tiny(monkeypatch):
    assert current_profile() is PROFILES["tiny"]
    monkeypatch.setenv("RESUMEN_PROFILE", "full")
    assert current_profile() is PROFILES["full"]
    assert current_profile("tiny") is PROFILES["tiny"]
    monkeypatch.setenv("RESUMEN_PROFILE", "")
    assert current_profile() is PROFILES["tiny"]


def test_unknown_profile(monkeypatch, course_error):
    with course_error("profile is 'medium'", "'tiny'", "'full'"):
        current_profile("medium")
    monkeypatch.setenv("RESUMEN_PROFILE", "Tiny")
    with course_error("RESUMEN_PROFILE is 'Tiny'"):
        current_profile()


def test_the_tiny_profile_travels_with_the_package():
    tiny = PROFILES["tiny"]
    assert tiny.offline and not tiny.needs_own_corpus
    assert tiny.checkpoint == str(DATA / "mt5-tiny")
    assert not PROFILES["full"].offline and PROFILES["full"].needs_own_corpus


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", ""),
        ("One", "One"),
        ("One. Two.", "One"),
        ("In row 0.5 of a.b. End", "In row 0.5 of a.b"),
        ("First line\nsecond", "First line"),
        ("\n Why? Because.", "Why"),
    ],
)
def test_first_sentence(text, sentence):
    assert first_sentence(text) == sentence


def test_setup_prints_one_line_and_quietens(monkeypatch, capfd):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    datasets.enable_progress_bars()
    transformers.logging.set_verbosity_info()
    assert setup("stage1_corpus") is PROFILES["tiny"]
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    rows = datasets.Dataset.from_dict({"a": [1, 2]}).map(lambda row: row)
    warnings.warn("advice", stacklevel=1)
    transformers.logging.get_logger("transformers").warning("more advice")
    out, err = capfd.readouterr()
    assert out.count("\n") == 1 and out.endswith("\n")
    for word in ("stage1_corpus", "profile tiny", "device ", "seed 42", f"datasets {datasets.__version__}"):
        assert word in out
    assert err == ""
    assert len(rows) == 2


def test_setup_seeds(capfd):
    import random

    import numpy as np
    import torch

    draws = []
    for _ in range(2):
        setup("stage1_corpus")
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]


def test_setup_leaves_the_full_profile_online(monkeypatch, capfd):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert setup("stage4_trainer", profile="full") is PROFILES["full"]
    assert os.environ["HF_HUB_OFFLINE"] == "0"
    assert "profile full" in capfd.readouterr().out


def test_setup_refuses_what_does_not_fit(monkeypatch, course_error):
    with course_error("'big'"):
        setup("stage1_corpus", profile="big")
    monkeypatch.setattr(first_line, "OLDEST", {"torch": (99, 1)})
    with course_error("torch", "too old", "99.1", "pip install"):
        setup("stage1_corpus")
    monkeypatch.setattr(first_line, "OLDEST", {"not_a_library": (1, 0)})
    with course_error("not_a_library is not installed", "pip install"):
        setup("stage1_corpus")


def test_students_do_not_need_nbgrader(monkeypatch):
    version = first_line.metadata.version

    def without_nbgrader(name):
        if name == "nbgrader":
            raise first_line.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(first_line.metadata, "version", without_nbgrader)
    rows = {what: (state, advice) for what, state, advice in diagnose()}
    assert rows["nbgrader"][0] == "missing" and rows["nbgrader"][1].startswith("instructors only: pip install nbgrader")


def test_diagnose(monkeypatch):
    rows = {what: (state, advice) for what, state, advice in diagnose()}
    assert rows["datasets"] == (datasets.__version__, "")
    assert rows["profile"] == ("tiny", "")
    assert {"Python", "torch", "nbgrader", "device", "sandbox"} <= set(rows)
    monkeypatch.setenv("RESUMEN_PROFILE", "full")
    assert "folder" in {what: advice for what, _, advice in diagnose()}["RESUMEN_DATA"]
    monkeypatch.setenv("RESUMEN_PROFILE", "big")
    monkeypatch.setattr(first_line, "OLDEST", {"torch": (99, 1)})
    rows = {what: (state, advice) for what, state, advice in diagnose()}
    assert rows["profile"][0] == "big" and "'tiny'" in rows["profile"][1]
    assert "torch>=99.1" in rows["torch"][1]


def test_stages_are_in_order():
    assert [stage[:7] for stage in STAGES] == [f"stage{number}_" for number in range(1, 6)]
