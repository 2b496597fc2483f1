"""The folder of a run: its settings, its checkpoints, its result. A kill or a power cut leaves each of them whole or absent."""

import argparse
import json
import os
import re
import shutil
import time
from pathlib import Path

import torch
from accelerate import Accelerator

from resumen.errors import CourseError
from resumen.files import METRICS, write_text

KEPT_CHECKPOINTS = 2
"""The last ones; the one of the best epoch stays too."""

HISTORY = "history.json"
"""In a checkpoint: one entry per epoch so far, {"epoch": from 1, "loss": per token, "rougeL": on validation}."""

PATIENCE = 60
"""Seconds until another machine sees what was written on a shared disk."""

TIED_TO_RUN = (
    "data",
    "checkpoint",
    "epochs",
    "learning_rate",
    "batch_size",
    "pieces",
    "lora_rank",
    "limit",
    "seed",
    "mixed_precision",
)
"""Settings that may not change between a run and its continuation. The number of processes may, if the pieces stay."""


def open_run(options: argparse.Namespace, accelerator: Accelerator) -> Path:
    """Return the folder of the run's checkpoints, without the leftovers of a save that was cut short.

    A folder that holds a run with the same settings is gone on with, and with `--resume no` the run begins again there.

    Raises:
        CourseError: in every process, if the output folder holds something else, or not all processes share it.
    """
    settings = {name: getattr(options, name) for name in TIED_TO_RUN}
    output, checkpoints, record = options.output, options.output / "checkpoints", options.output / "run.json"
    if output.exists() and not output.is_dir():
        raise CourseError(f"--output {output} is a file: name a folder.")
    if not record.exists() and any((output / name).exists() for name in ("checkpoints", "model", "adapter", METRICS)):
        raise CourseError(f"{output} holds files that no run of this script left there: name another --output.")
    if options.resume == "auto" and complete_checkpoints(checkpoints):
        before = json.loads(record.read_text(encoding="utf-8"))
        changed = [
            f"{name} {before.get(name)} there, {value} now"
            for name, value in settings.items()
            if before.get(name) != value
        ]
        if changed:
            raise CourseError(
                f"{output} holds a run with other settings ({'; '.join(changed)}): repeat its settings, name another --output, or begin again with --resume no."
            )
    accelerator.wait_for_everyone()  # nobody writes before everybody has read
    if accelerator.is_main_process:
        if options.resume == "no":
            for old in complete_checkpoints(checkpoints):
                shutil.rmtree(old)
        prune(checkpoints)
        shutil.rmtree(checkpoints / "partial", ignore_errors=True)
        (output / METRICS).unlink(missing_ok=True)  # it tells the score of a finished run only
        output.mkdir(parents=True, exist_ok=True)
        _write_json(record, settings)  # before the folder of checkpoints: by it the run is known
        checkpoints.mkdir(exist_ok=True)
    accelerator.wait_for_everyone()
    _must_be_shared(record, accelerator)
    return checkpoints


def _must_be_shared(record: Path, accelerator: Accelerator) -> None:
    """Stop all processes if one does not see the file: each machine would go on from a checkpoint of its own, or from none."""
    end = time.monotonic() + PATIENCE
    while not record.exists() and time.monotonic() < end:
        time.sleep(0.2)
    seen = accelerator.reduce(torch.tensor(float(record.exists()), device=accelerator.device)).item()
    if seen < accelerator.num_processes:
        raise CourseError(
            f"{accelerator.num_processes - seen:.0f} of {accelerator.num_processes} processes do not see what the first one wrote to --output: "
            "name a folder that all machines share."
        )


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints that were saved to the end, oldest first. Only those have their final name."""
    return sorted(path for path in folder.glob("epoch-*") if re.fullmatch(r"epoch-\d{4,}", path.name))


def read_history(folder: Path) -> list[dict]:
    """Return the epochs of a run so far, from its last complete checkpoint; none if there is none."""
    done = complete_checkpoints(folder)
    return json.loads((done[-1] / HISTORY).read_text(encoding="utf-8")) if done else []


def checkpoint_of(folder: Path, entry: dict) -> Path:
    """Return where the checkpoint of an epoch of the history lies. Four digits: the names sort as numbers do."""
    return folder / f"epoch-{entry['epoch']:04d}"


def best_epoch(history: list[dict]) -> dict:
    """Return the entry with the best rougeL, the first on a tie: `resumen.training` has this too, and takes seconds to import."""
    return max(history, key=lambda entry: entry["rougeL"])


def prune(folder: Path) -> None:
    """Remove the complete checkpoints but the last ones and the best."""
    done = complete_checkpoints(folder)
    if done:
        best = checkpoint_of(folder, best_epoch(read_history(folder)))
        for old in done[:-KEPT_CHECKPOINTS]:
            if old != best:
                shutil.rmtree(old)


def save_state(accelerator: Accelerator, checkpoints: Path, history: list[dict]) -> None:
    """Save model, optimizer and schedule under a temporary name, then rename: a kill leaves a whole checkpoint or none."""
    partial = checkpoints / "partial"
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (partial / HISTORY).write_text(json.dumps(history), encoding="utf-8")
        _give_name(partial, checkpoint_of(checkpoints, history[-1]))
        prune(checkpoints)
    accelerator.wait_for_everyone()


def save_model(folders: dict[str, list], metrics: dict, output: Path) -> None:
    """Write the folders, then `output/metrics.json`: whoever finds the metrics finds the model too.

    Args:
        folders: name -> what has a `save_pretrained`, such as model and tokenizer.
        metrics: scores and history.
        output: the folder of the run.
    """
    for name, parts in folders.items():
        partial = output / f"{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for part in parts:
            part.save_pretrained(partial)
        shutil.rmtree(output / name, ignore_errors=True)
        _give_name(partial, output / name)
    _write_json(output / METRICS, metrics)


def _give_name(partial: Path, name: Path) -> None:
    """Rename a folder when all that is in it is on the disk. A system may otherwise write the name first, and then lose power."""
    for path in [*partial.rglob("*"), partial]:
        _flush(path)
    os.replace(partial, name)
    _flush(name.parent)


def _write_json(path: Path, value: dict) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Return when a file, or the names in a folder, are on the disk. Windows opens no folders, and needs none flushed."""
    if path.is_dir() and os.name == "nt":
        return
    # Windows flushes what was opened for writing only.
    number = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
