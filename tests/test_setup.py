"""Profiles and setup(): the first lines of every notebook."""

import os
import re
import warnings

import datasets
import nbformat
import pytest
import torch
import transformers

import resumen.setup as first_line
from resumen.errors import first_sentence
from resumen.profiles import DATA, PROFILES, current_profile
from resumen.setup import STAGES, setup


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
    monkeypatch.setattr(first_line, "OLDEST", {"torch": "99.1"})
    with course_error("torch", "too old", "99.1", "pip install"):
        setup("stage1_corpus")
    monkeypatch.setattr(first_line, "OLDEST", {"not_a_library": "1.0"})
    with course_error("not_a_library is not installed", "pip install"):
        setup("stage1_corpus")


@pytest.mark.parametrize(
    ("installed", "wanted"),
    [
        ("2.13", ""),
        ("2.13.0+cpu", ""),
        ("3.0rc1", ""),
        ("2.13.0.dev20261101", ""),
        ("2.12.9", "2.13"),
        ("2.9", "2.13"),
        ("a build of mine", ""),
        (None, ""),
    ],
)
def test_versions_are_compared_as_versions(monkeypatch, installed, wanted):
    monkeypatch.setattr(first_line.metadata, "version", lambda name: installed)
    assert first_line.newer_than_installed("torch") == wanted


def test_a_library_that_does_not_say_its_version(monkeypatch):
    def version(name):
        raise first_line.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(first_line.metadata, "version", version)
    assert first_line.newer_than_installed("torch") == ""
    assert first_line.installed_version("torch") == "unknown"


def test_stages_are_in_order():
    assert [stage[:7] for stage in STAGES] == [f"stage{number}_" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("device", "computes", "precision"),
    [("cuda", True, "bf16"), ("cuda", False, "fp32"), ("mps", True, "fp32"), ("cpu", True, "fp32")],
)
def test_precision_is_never_fp16(monkeypatch, device, computes, precision):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: computes)
    assert first_line.best_precision(device) == precision


LOADED = re.compile(r"(\w+) = load_checkpoint\(\)(?:\[1\])?$", re.MULTILINE)
"""A model of the profile's checkpoint that gets a name; the labs name the tiny profile and stay on the CPU."""


@pytest.mark.parametrize(
    "path",
    [
        "stages/stage2_tokenization/lecture.ipynb",
        "stages/stage4_trainer/lecture.ipynb",
        "stages/stage5_accelerate/lecture.ipynb",
        "solutions/premier/project.ipynb",
        "solutions/capstone/project.ipynb",
    ],
)
def test_each_model_moves_to_the_device(root, path):
    """There is no GPU here: what is shown is that somebody moves each model, and that its inputs follow."""
    cells = [cell.source for cell in nbformat.read(root / path, as_version=4).cells if cell.cell_type == "code"]
    code = "\n".join(cells)
    names = {name for name in LOADED.findall(code) if name != "_"}
    assert names, "the notebook loads no model"
    for name in names:
        moved = rf"\b{name}\.to\(best_device\(\)\)|\.prepare\(\s*{name}\b"
        assert re.search(moved, code), f"{name} stays on the CPU"
    first = next(number for number, source in enumerate(cells) if LOADED.search(source))
    for source in cells[first:]:
        for line in re.findall(r".*return_tensors=\"pt\"\).*", source):
            assert ".to(" in line or ".to(model.device)" in source, f"stays on the CPU: {line}"
