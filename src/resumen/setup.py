"""First line of every notebook: `setup("stage1_corpus")`."""

import logging
import os
import random
import warnings
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.version import InvalidVersion, Version

from resumen.errors import CourseError
from resumen.files import LECTURE
from resumen.profiles import SEED, Profile, current_profile

STAGES = ("stage1_corpus", "stage2_tokenization", "stage3_rouge_baseline", "stage4_trainer", "stage5_accelerate")

PRIMER = "primer"
"""How the model works: optional, before stage 2. It has a lecture and a self-check, and neither lab nor graded quiz."""

LESSONS = (PRIMER, *STAGES)

PROJECTS = ("premier", "capstone")

OLDEST = {"torch": "2.13", "transformers": "5.20", "datasets": "5.2", "accelerate": "1.15"}
"""Oldest versions that the course's code was run on."""


def lecture_path(root: Path, lesson: str) -> Path:
    """Return where the lecture of a stage, or the primer, stands in the repository."""
    folder = root / "stages"
    return folder / f"{PRIMER}.ipynb" if lesson == PRIMER else folder / lesson / LECTURE


def objectives_path(root: Path, lesson: str) -> Path:
    """Return the page with the objectives of a stage: its README, and the syllabus for the primer."""
    folder = root / "stages"
    return (folder if lesson == PRIMER else folder / lesson) / "README.md"


def objective_prefix(lesson: str) -> str:
    """Return how the names of a lesson's objectives begin, before their numbers: `S3.`, and `P` for the primer."""
    return "P" if lesson == PRIMER else f"S{STAGES.index(lesson) + 1}."


def setup(stage: str, profile: str | None = None) -> Profile:
    """Seed every generator, quieten the libraries, check their versions, print one line, return the profile.

    Args:
        stage: the stage's slug, such as `stage1_corpus`, `primer`, or the name of a project.
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
    quieten()
    device = seed_everything()
    if stage == PRIMER:
        device = "cpu"  # it computes by hand what the small checkpoint does
    print(
        f"{stage} · profile {chosen.name} · device {device} · seed {SEED} · "
        + " · ".join(f"{name} {installed_version(name)}" for name in ("torch", "transformers", "datasets"))
    )
    return chosen


def seed_everything(seed: int = SEED) -> str:
    """Seed Python, NumPy and PyTorch; return `best_device`."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    # Numbers below 1e-38 become 0. A CPU takes many times longer over them, and softmax gradients are full of them:
    # a training step of the embedded checkpoint takes half the time without.
    torch.set_flush_denormal(True)
    return best_device()


def best_device() -> str:
    """Return the device that a model should use here: `cuda`, `mps` or `cpu`."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def best_precision(device: str) -> str:
    """Return the number format to train in: `bf16` on a GPU that computes in it, else `fp32`. mT5 overflows in fp16."""
    import torch

    return "bf16" if device == "cuda" and torch.cuda.is_bf16_supported() else "fp32"


def _check_versions() -> None:
    for name in OLDEST:
        if find_spec(name) is None:
            raise CourseError(
                f"{name} is not installed: run `pip install -e '.[notebooks]' -c constraints.txt` in the repository."
            )
        if wanted := newer_than_installed(name):
            raise CourseError(
                f"{name} {metadata.version(name)} is too old, the course needs {wanted} or later: run "
                f"`pip install -U '{name}>={wanted}'`."
            )


def newer_than_installed(name: str) -> str:
    """Return the oldest version of a library that will do, "" if what is installed will.

    A preview counts as what it previews. A version that cannot be read, as of a build of one's own, is taken for new enough.
    """
    oldest = OLDEST.get(name, "0")
    try:
        return oldest if Version(metadata.version(name)).release < Version(oldest).release else ""
    except (InvalidVersion, TypeError, metadata.PackageNotFoundError):
        return ""


def installed_version(name: str) -> str:
    """Return the version of a library without its build, "unknown" if it does not say."""
    try:
        return (metadata.version(name) or "unknown").split("+")[0]
    except metadata.PackageNotFoundError:
        return "unknown"


def quieten() -> None:
    """Silence progress bars, advice and warnings: they would bury what a cell shows, and differ from run to run."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
