"""The two profiles of the course: `tiny` (embedded, offline, CPU) and `full` (mT5-small, your corpus, GPU)."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from resumen.errors import CourseError

DATA = Path(__file__).parent / "data"
"""Folder of the embedded corpora and checkpoint. It travels inside the package, so the working directory never matters."""

SEED = 42
"""The course's one seed: shuffling, weights of new layers, bootstrap examples."""


@dataclass(frozen=True)
class Profile:
    """Everything that differs between a laptop run and a full-scale run.

    Attributes:
        name: `tiny` or `full`.
        checkpoint: a folder, or a model name on the Hugging Face Hub.
        needs_own_corpus: True if reviews come from `RESUMEN_DATA` only, a folder or a data set on the Hub.
        max_input_length: source length limit in tokens, `</s>` included.
        max_target_length: reference length limit in tokens, `</s>` included; also the number of new tokens generated.
        batch_size: examples per optimizer step.
        num_train_epochs: passes over the training split.
        learning_rate: peak learning rate of AdamW.
        offline: True if nothing may be asked of the network.
    """

    name: str
    checkpoint: str
    needs_own_corpus: bool
    max_input_length: int
    max_target_length: int
    batch_size: int
    num_train_epochs: int
    learning_rate: float
    offline: bool


PROFILES = {
    "tiny": Profile(
        name="tiny",
        checkpoint=str(DATA / "mt5-tiny"),
        needs_own_corpus=False,
        max_input_length=96,
        max_target_length=20,
        batch_size=16,
        # Batch size, epochs and rate are the row that data/runs/README.md chooses from data/runs/sweep.csv.
        num_train_epochs=2,
        learning_rate=5e-4,
        offline=True,
    ),
    # The setting of the published tutorial that the course corrects: mT5-small, 512 and 30 tokens, batches of 8,
    # 8 epochs, learning rate 5.6e-5 (Hugging Face course, chapter 7.5).
    "full": Profile(
        name="full",
        checkpoint="google/mt5-small",
        needs_own_corpus=True,
        max_input_length=512,
        max_target_length=30,
        batch_size=8,
        num_train_epochs=8,
        learning_rate=5.6e-5,
        offline=False,
    ),
}


def current_profile(name: str | None = None) -> Profile:
    """Return the profile called `name`, or the one in `RESUMEN_PROFILE`, or `tiny`.

    Raises:
        CourseError: if there is no profile of that name.
    """
    source = "profile" if name else "RESUMEN_PROFILE"
    name = name or os.environ.get("RESUMEN_PROFILE") or "tiny"
    if name not in PROFILES:
        raise CourseError(
            f"{source} is {name!r}, but the profiles are {' and '.join(map(repr, PROFILES))}: choose one of them."
        )
    return PROFILES[name]


def is_hub_id(place: str) -> bool:
    """Say whether a corpus is named by its data set on the Hub, `owner/name`, and not by a folder. A folder that is there comes first."""
    return bool(re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", place, flags=re.ASCII)) and not Path(place).exists()
