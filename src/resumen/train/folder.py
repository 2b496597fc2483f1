"""The folder of a run: its settings, its checkpoints, its result. A kill leaves each of them whole or absent."""

import argparse
import json
import os
import re
import shutil
from pathlib import Path

from accelerate import Accelerator

from resumen.errors import CourseError
from resumen.files import METRICS, write_text
from resumen.training import best_epoch

KEPT_CHECKPOINTS = 2
"""The last ones; the one of the best epoch stays too."""

HISTORY = "history.json"
"""In a checkpoint: one entry per epoch so far, {"epoch": from 1, "loss": per token, "rougeL": on validation}."""

TIED_TO_RUN = (
    "data",
    "checkpoint",
    "epochs",
    "learning_rate",
    "batch_size",
    "pieces",
    "limit",
    "seed",
    "mixed_precision",
)
"""Settings that may not change between a run and its continuation. The number of processes may, if the pieces stay."""


def open_run(options: argparse.Namespace, accelerator: Accelerator) -> Path:
    """Return the folder of the run's checkpoints, without the leftovers of a save that was cut short.

    Raises:
        CourseError: if the output folder holds checkpoints of a run with other settings.
    """
    settings = {name: getattr(options, name) for name in TIED_TO_RUN}
    checkpoints, record = options.output / "checkpoints", options.output / "run.json"
    if options.output.exists() and not options.output.is_dir():
        raise CourseError(f"--output {options.output} is a file: name a folder.")
    if options.resume == "auto" and complete_checkpoints(checkpoints):
        before = json.loads(record.read_text(encoding="utf-8"))
        changed = [
            f"{name} {before.get(name)} there, {value} now"
            for name, value in settings.items()
            if before.get(name) != value
        ]
        if changed:
            raise CourseError(
                f"{options.output} holds a run with other settings ({'; '.join(changed)}): repeat its settings, name another --output, or begin again with --resume no."
            )
    accelerator.wait_for_everyone()  # nobody writes before everybody has read
    if accelerator.is_main_process:
        if options.resume == "no":
            for old in complete_checkpoints(checkpoints):
                shutil.rmtree(old)
        prune(checkpoints)
        shutil.rmtree(checkpoints / "partial", ignore_errors=True)
        (options.output / METRICS).unlink(missing_ok=True)  # it tells the score of a finished run only
        checkpoints.mkdir(parents=True, exist_ok=True)
        write_text(record, json.dumps(settings, indent=2) + "\n")
    accelerator.wait_for_everyone()
    return checkpoints


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


def prune(folder: Path) -> None:
    """Remove the complete checkpoints but the last ones and the best."""
    done = complete_checkpoints(folder)
    if done:
        best = checkpoint_of(folder, best_epoch(read_history(folder), "rougeL"))
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
        os.replace(partial, checkpoint_of(checkpoints, history[-1]))
        prune(checkpoints)
    accelerator.wait_for_everyone()


def save_model(model, tokenizer, metrics: dict, output: Path) -> None:
    """Write `output/model`, then `output/metrics.json`: whoever finds the metrics finds the model too."""
    partial = output / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    shutil.rmtree(output / "model", ignore_errors=True)
    os.replace(partial, output / "model")
    write_text(output / METRICS, json.dumps(metrics, indent=2) + "\n")
