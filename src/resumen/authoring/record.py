"""Record the full profile once, so that everybody can read what mT5-small writes: `resumen record`.

It fine-tunes with three seeds on the corpus in `RESUMEN_DATA` and writes a bundle of at most 1 MB: the titles of the embedded texts
(`experiment.RECORDED_PARTS`) and the log of each seed, and `run.json` with checkpoint, corpus, device and versions.
Stopped at any moment, it goes on with the seeds that are missing. `experiment.bundle_fault` says whether a bundle may become part of the package.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from datasets import Dataset, DatasetDict
from huggingface_hub import constants

from resumen.authoring.runs import SEEDS, TINY, Run, load_pairs, train, write_titles_of
from resumen.corpus import BOOKS, LANGUAGES, load_reviews, prepare_pairs
from resumen.errors import CourseError
from resumen.experiment import HUB, LARGEST_BUNDLE, RECORDED, RUN, test_parts
from resumen.files import write_text
from resumen.modeling import FINAL_DECODING
from resumen.profiles import PROFILES, Profile
from resumen.setup import best_device, installed_version

FULL = PROFILES["full"]
LIBRARIES = ("resumen", "torch", "transformers", "datasets", "accelerate", "huggingface_hub")
REHEARSAL = replace(
    FULL, name="rehearsal", checkpoint=TINY.checkpoint, max_input_length=64, max_target_length=8, num_train_epochs=1
)
"""What stands in for the full profile: the embedded checkpoint, for seconds."""

FEW = 16
"""Rows of each split and part in a rehearsal."""


def embedded_parts() -> dict[str, Dataset]:
    """Return the rows that titles are written for, `RECORDED_PARTS`: the same on every machine, whatever the corpus of the run."""
    pairs = load_pairs()
    return {"validation": pairs["validation"], **test_parts(pairs, BOOKS)}


def record(
    folder: Path,
    rehearse: bool = False,
    on_seed: Callable[[int], None] = lambda seed: None,
    seeds: Sequence[int] = SEEDS,
) -> Path:
    """Train the seeds that the bundle in `folder` does not have yet, and return the folder.

    Args:
        folder: where the bundle is written, or goes on.
        rehearse: have the embedded checkpoint and a few embedded reviews stand in, which takes seconds on any machine. The package refuses such a bundle.
        on_seed: is called before each training.
        seeds: the training seeds.

    Raises:
        CourseError: if there is no GPU, no corpus or another Hub, or the folder holds another run; if a rehearsal is meant for the package.
    """
    if rehearse:
        if folder.resolve() == RECORDED.resolve():
            raise CourseError(
                f"A rehearsal is recorded with a stand-in, so it cannot go into {RECORDED}: name another folder."
            )
        profile, pairs, corpus = REHEARSAL, _few(load_pairs()), "the embedded reviews"
        parts = _few(embedded_parts())
    else:
        if best_device() == "cpu":
            raise CourseError(
                "There is no GPU here, and mT5-small needs one: `resumen record --rehearse` shows on any machine whether the rest works."
            )
        if constants.ENDPOINT != HUB:
            raise CourseError(
                f"HF_ENDPOINT is {constants.ENDPOINT}, and a recorded run comes from {HUB} itself: unset it."
            )
        profile, corpus = FULL, Path(os.environ.get("RESUMEN_DATA", "")).name
        pairs, parts = _own_pairs(), embedded_parts()
    told = _begin(folder, profile, corpus, pairs, parts)
    for seed in seeds:
        if str(seed) in told["seeds"]:
            continue
        on_seed(seed)
        started = time.perf_counter()
        run = Run(seed, None, profile.num_train_epochs, profile.learning_rate, profile.batch_size)
        found = train(run, profile, pairs, parts)
        write_titles_of(seed, parts, found["titles"], folder)
        write_text(folder / f"log_{seed}.jsonl", "".join(json.dumps(entry) + "\n" for entry in found["log"]))
        told["parameters"] = found["parameters"]
        told["seeds"][str(seed)] = {name: found[name] for name in ("best_epoch", "validation")} | {
            "seconds": round(time.perf_counter() - started)
        }
        write_text(folder / RUN, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > LARGEST_BUNDLE:
        raise CourseError(
            f"The bundle in {folder} has {size / 1e6:.1f} MB, but it may have {LARGEST_BUNDLE / 1e6:.0f} MB: shorten its logs."
        )
    return folder


def _own_pairs() -> DatasetDict:
    """Return the reader's own corpus, as the lectures prepare it under the full profile."""
    kept = os.environ.get("RESUMEN_PROFILE")
    os.environ["RESUMEN_PROFILE"] = FULL.name  # without RESUMEN_DATA, load_reviews then asks for it
    try:
        return prepare_pairs(*(load_reviews(language) for language in LANGUAGES), BOOKS)
    finally:
        os.environ.pop("RESUMEN_PROFILE") if kept is None else os.environ.update(RESUMEN_PROFILE=kept)


def _few(splits: DatasetDict | dict[str, Dataset]) -> DatasetDict:
    """Return the first rows of each split, of every language some."""
    few = {}
    for name, rows in splits.items():
        languages = rows["language"][:]
        chosen = [
            index
            for one in LANGUAGES
            for index in [place for place, other in enumerate(languages) if other == one][: FEW // 2]
        ]
        few[name] = rows.select(chosen)
    return DatasetDict(few)


def _begin(folder: Path, profile: Profile, corpus: str, pairs: DatasetDict, parts: dict[str, Dataset]) -> dict:
    """Return what `run.json` tells, with the seeds that are done."""
    told = {
        # A folder is told by its name: its path is nobody's business.
        "profile": asdict(profile)
        | {"checkpoint": Path(profile.checkpoint).name if profile is REHEARSAL else profile.checkpoint},
        "hub": constants.ENDPOINT,
        "corpus": {"name": corpus, **{split: len(rows) for split, rows in pairs.items()}},
        "parts": {name: len(rows) for name, rows in parts.items()},
        "decoding": FINAL_DECODING,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else best_device(),
        "versions": {"python": platform.python_version(), **{name: installed_version(name) for name in LIBRARIES}},
    }
    path = folder / RUN
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if any(kept.get(name) != value for name, value in told.items()):
            raise CourseError(
                f"{folder} holds another run, of other settings, device or versions: name another folder."
            )
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    return {**told, "parameters": 0, "seeds": {}}
