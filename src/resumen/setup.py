"""First line of every notebook: `setup("stage1_corpus")`."""

import logging
import os
import platform
import random
import sys
import warnings
from importlib import metadata
from importlib.util import find_spec

from resumen.profiles import SEED, CourseError, Profile, current_profile

STAGES = ("stage1_corpus", "stage2_tokenization", "stage3_rouge_baseline", "stage4_trainer", "stage5_accelerate")

PROJECTS = ("premier", "capstone")

OLDEST = {"torch": (2, 13), "transformers": (5, 20), "datasets": (5, 2), "accelerate": (1, 15)}
"""Oldest versions that the course's code was run on."""


def setup(stage: str, profile: str | None = None) -> Profile:
    """Seed every generator, quieten the libraries, check their versions, print one line, return the profile.

    Args:
        stage: the stage's slug, such as `stage1_corpus`, or the name of a project.
        profile: `tiny` or `full`; by default the one in `RESUMEN_PROFILE`, else `tiny`.

    Raises:
        CourseError: if a library is missing or too old, or the profile is unknown.
    """
    chosen = current_profile(profile)
    if chosen.offline:
        # Set before any Hugging Face library is imported: they read it once, at import.
        os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    _check_versions()
    _quieten()
    device = seed_everything()
    print(
        f"{stage} · profile {chosen.name} · device {device} · seed {SEED} · "
        + " · ".join(f"{name} {metadata.version(name).split('+')[0]}" for name in ("torch", "transformers", "datasets"))
    )
    return chosen


def seed_everything(seed: int = SEED) -> str:
    """Seed Python, NumPy and PyTorch; return the device that a model would use: `cuda`, `mps` or `cpu`."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    # Numbers below 1e-38 become 0. A CPU takes many times longer over them, and softmax gradients are full of them:
    # a training step of the embedded checkpoint takes half the time without.
    torch.set_flush_denormal(True)
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_versions() -> None:
    for name, oldest in OLDEST.items():
        wanted = ".".join(map(str, oldest))
        if find_spec(name) is None:
            raise CourseError(
                f"{name} is not installed: run `pip install -e '.[notebooks]' -c constraints.txt` in the repository."
            )
        version = metadata.version(name)
        if tuple(int(part) for part in version.split(".")[:2]) < oldest:
            raise CourseError(
                f"{name} {version} is too old, the course needs {wanted} or later: run `pip install -U '{name}>={wanted}'`."
            )


def _quieten() -> None:
    """Silence progress bars, advice and warnings: they would bury what a cell shows, and differ from run to run."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")


def diagnose() -> list[tuple[str, str, str]]:
    """Return the rows of `resumen doctor`: (what, state, what to do). The last is empty when nothing is to be done."""
    rows = [
        (
            "Python",
            platform.python_version(),
            "" if sys.version_info >= (3, 10) else "the course needs Python 3.10 or later",
        )
    ]
    for name in (
        "torch",
        "transformers",
        "datasets",
        "accelerate",
        "evaluate",
        "rouge_score",
        "nltk",
        "jupyterlab",
        "nbgrader",
    ):
        try:
            version, advice = metadata.version(name), ""
        except metadata.PackageNotFoundError:
            version, advice = "missing", f"pip install {name} -c constraints.txt"
            if name == "nbgrader":
                advice = f"instructors only: {advice}"
        else:
            oldest = OLDEST.get(name)
            if oldest and tuple(int(part) for part in version.split(".")[:2]) < oldest:
                advice = f"pip install -U '{name}>={'.'.join(map(str, oldest))}'"
        rows.append((name, version, advice))
    try:
        profile = current_profile()
        rows.append(("profile", profile.name, ""))
        if profile.needs_own_corpus and not os.environ.get("RESUMEN_DATA"):
            rows.append(("RESUMEN_DATA", "not set", "point it at the folder of your review corpus"))
    except CourseError as error:
        rows.append(("profile", os.environ["RESUMEN_PROFILE"], str(error)))
    if find_spec("torch") is not None:
        rows.append(("device", seed_everything(), ""))
    rows.append(_sandbox())
    return rows


def _sandbox() -> tuple[str, str, str]:
    """Say whether submissions could be graded in a bubblewrap sandbox here. Students do not need one."""
    from shutil import which

    if which("bwrap"):
        return ("sandbox", "bubblewrap", "")
    return ("sandbox", "none", "instructors only: apt install bubblewrap")
