"""The loop of the stage 5 lecture as a script: one process or many, stopped at any moment, the same scores.

    python -m resumen.train --output run                                                  one process
    torchrun --standalone --nproc_per_node 2 -m resumen.train --output run --cpu          two processes on the CPU

`--expect-processes 2` stops a launch that silently started another number. The folder `run` then holds `metrics.json`, the
fine-tuned `model`, and the last two `checkpoints`. A run that was killed goes on from the last of them when started again.
"""

import argparse
import contextlib
import io
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from datasets import Dataset, DatasetDict
from rich.console import Console
from rich.progress import Progress
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Sampler
from transformers import get_linear_schedule_with_warmup
from transformers.trainer_pt_utils import get_length_grouped_indices

from resumen.corpus import is_written, load_reviews, load_synopses, prepare_pairs
from resumen.errors import CourseError
from resumen.files import METRICS, write_text
from resumen.metrics import evaluate_system
from resumen.modeling import load_checkpoint
from resumen.profiles import SEED, Profile, current_profile
from resumen.setup import setup
from resumen.tokenization import IGNORE, collate, decode_labels, tokenize_corpus

CATEGORIES = ("book", "digital_ebook_purchase")
MAX_GRADIENT_NORM = 1.0
"""Gradients longer than this are shortened to it: the Trainer's default, so stage 4 did the same."""

WEIGHT_DECAY = 0.01
KEPT_CHECKPOINTS = 2
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


class Parser(argparse.ArgumentParser):
    """argparse, with one sentence instead of a page of usage for a wrong argument."""

    def error(self, message: str) -> None:
        raise CourseError(f"{message}; see --help")


def parse_arguments(arguments: list[str] | None, profile: Profile) -> argparse.Namespace:
    """Read the command line. What is not given comes from the profile (`RESUMEN_PROFILE`).

    Raises:
        CourseError: naming the first wrong argument.
    """
    parser = Parser(
        prog="python -m resumen.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder for checkpoints, model and metrics.json")
    add("--checkpoint", default=profile.checkpoint, help="a checkpoint folder or a Hub name")
    add("--data", choices=("reviews", "synopses"), default="reviews", help="which corpus")
    add("--epochs", type=_positive(int), default=profile.num_train_epochs, help="passes over the training split")
    add(
        "--learning-rate",
        type=_positive(float),
        default=profile.learning_rate,
        help="peak learning rate of AdamW, linear to 0",
    )
    add(
        "--batch-size",
        type=_positive(int),
        default=profile.batch_size,
        help="rows per optimizer step, over all processes together",
    )
    add(
        "--gradient-accumulation",
        type=_positive(int),
        help="pieces that each process works through, one after another, per step; by default 2 on one process, else 1",
    )
    add("--mixed-precision", choices=("no", "bf16"), default="no", help="fp16 is not offered: mT5 overflows in it")
    add("--limit", type=_positive(int), help="use only the first LIMIT rows of each split")
    add("--seed", type=int, default=SEED, help="seed of shuffling and dropout")
    add(
        "--resume",
        choices=("auto", "no"),
        default="auto",
        help="auto: go on from the last complete checkpoint; no: remove checkpoints and begin again",
    )
    add("--cpu", action="store_true", help="do not use a GPU")
    add("--expect-processes", type=_positive(int), help="stop unless this many processes run")
    return parser.parse_args(arguments)


def _positive(kind: type):
    def convert(text: str):
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a positive number")
        return value

    convert.__name__ = {int: "whole number", float: "number"}[kind]
    return convert


def main(arguments: list[str] | None = None) -> int:
    """Run the script; a wrong argument costs one sentence on stderr and exit code 1."""
    is_main = os.environ.get("RANK", "0") == "0"
    try:
        options = parse_arguments(arguments, current_profile())
        with contextlib.nullcontext() if is_main else contextlib.redirect_stdout(io.StringIO()):
            profile = setup("stage5_accelerate")
        run(options, profile)
    except CourseError as error:
        if is_main:
            print(f"train: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace, profile: Profile) -> None:
    """Train, evaluate, save. Every process runs this; only the main one prints and writes text files."""
    accelerator = Accelerator(
        cpu=options.cpu, mixed_precision=options.mixed_precision, step_scheduler_with_optimizer=False
    )
    try:
        accumulation = plan_pieces(options, accelerator.num_processes)
        tokenizer, model = load_checkpoint(options.checkpoint, profile)
        with accelerator.main_process_first():  # the others then find the tokenized rows in the cache
            corpus = load_corpus(options.data, options.limit)
            tokenized = tokenize_corpus(corpus, tokenizer, profile.max_input_length, profile.max_target_length)
        checkpoints = open_run(options, accelerator)
        losses = train(model, tokenized["train"], checkpoints, accumulation, options, accelerator)
        predictions = generate_all(
            model, tokenized["test"], tokenizer, options.batch_size // options.pieces, accelerator
        )
        if accelerator.is_main_process:
            metrics = {**score(predictions, corpus["test"]), "losses": losses, "processes": accelerator.num_processes}
            save_model(accelerator.unwrap_model(model), tokenizer, metrics, options.output)
            print_scores(metrics)
        accelerator.wait_for_everyone()
    finally:
        accelerator.end_training()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def plan_pieces(options: argparse.Namespace, processes: int) -> int:
    """Decide how a batch is cut; return the pieces per process and set `options.pieces`, the pieces in all.

    A piece is what one forward pass sees. Dropout draws its random numbers per piece, and padding is as long as the longest
    row of the piece, so runs agree if their pieces agree: 1 process × 2 pieces = 2 processes × 1 piece.

    Raises:
        CourseError: if the launch started another number of processes than expected, or the batch can't be cut evenly.
    """
    if options.expect_processes not in (None, processes):
        raise CourseError(
            f"{options.expect_processes} processes were expected and {processes} started: launch with torchrun --nproc_per_node "
            f"{options.expect_processes} (accelerate launch --cpu --num_processes {options.expect_processes} starts one process)."
        )
    accumulation = options.gradient_accumulation
    if accumulation is None:
        accumulation = 2 if processes == 1 and options.batch_size % 2 == 0 else 1
    options.pieces = processes * accumulation
    if options.batch_size % options.pieces:
        raise CourseError(
            f"A batch of {options.batch_size} rows cannot be cut into {options.pieces} equal pieces, {accumulation} for each of {processes} processes: "
            f"choose a --batch-size that {options.pieces} divides."
        )
    return accumulation


def load_corpus(name: str, limit: int | None) -> DatasetDict:
    """Return the clean bilingual pairs of the reviews (books and e-books) or of the synopses, the test split by length."""
    if name == "reviews":
        pairs = prepare_pairs(load_reviews("en"), load_reviews("es"), CATEGORIES)
    else:
        pairs = prepare_pairs(load_synopses("en"), load_synopses("es"))
    if limit is not None:
        pairs = DatasetDict({split: rows.select(range(min(limit, len(rows)))) for split, rows in pairs.items()})
    # Short rows first. Rows of like length share a batch, and the rows that Accelerate repeats to fill the last batch come
    # from the beginning: being short, they do not lengthen the padding of the others.
    test = pairs["test"]
    lengths = [len(body) for body in test["review_body"][:]]
    pairs["test"] = test.select(sorted(range(len(test)), key=lengths.__getitem__))
    return pairs


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
        prune(checkpoints, KEPT_CHECKPOINTS if options.resume == "auto" else 0)
        shutil.rmtree(checkpoints / "partial", ignore_errors=True)
        (options.output / METRICS).unlink(missing_ok=True)  # it tells the score of a finished run only
        checkpoints.mkdir(parents=True, exist_ok=True)
        write_text(record, json.dumps(settings, indent=2) + "\n")
    accelerator.wait_for_everyone()
    return checkpoints


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints that were saved to the end, oldest first. Only those have their final name."""
    return sorted(path for path in folder.glob("epoch-*") if re.fullmatch(r"epoch-\d{4,}", path.name))


def prune(folder: Path, kept: int) -> None:
    """Remove all complete checkpoints but the last `kept`."""
    checkpoints = complete_checkpoints(folder)
    for old in checkpoints[: len(checkpoints) - min(kept, len(checkpoints))]:
        shutil.rmtree(old)


class EpochSampler(Sampler):
    """A new order of the rows for every epoch, known from the seed and the epoch alone: no state to save.

    Rows of like length share a batch, as in stage 4: a batch is padded to its longest row. Rows that do not fill a batch are left out, other
    ones in each epoch. Accelerate would otherwise repeat rows to give every process as many as the others, and how many depends on the
    number of processes.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int):
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths) - len(self.lengths) % self.batch_size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator)[: len(self)])


def train(
    model: torch.nn.Module,
    rows: Dataset,
    checkpoints: Path,
    accumulation: int,
    options: argparse.Namespace,
    accelerator: Accelerator,
) -> list[float]:
    """Train to the last epoch, from the last complete checkpoint if there is one; return the mean loss per token of each epoch.

    Raises:
        CourseError: if there is less than one batch, or the loss is no longer a number.
    """
    lengths = [len(ids) for ids in rows["input_ids"][:]]
    sampler = EpochSampler(lengths, options.batch_size, options.seed)
    if len(sampler) == 0:
        raise CourseError(
            f"The training split has {len(rows)} rows, fewer than one batch of {options.batch_size}: lower --batch-size."
        )
    steps = len(sampler) // options.batch_size
    # One piece per batch of the loader. After prepare, process p of n reads the pieces p, p + n, p + 2n and so on.
    loader = DataLoader(
        rows, batch_size=options.batch_size // options.pieces, sampler=sampler, collate_fn=make_collator(model)
    )
    optimizer = torch.optim.AdamW(parameter_groups(model), lr=options.learning_rate)
    updates = options.epochs * steps
    scheduler = get_linear_schedule_with_warmup(optimizer, math.ceil(0.05 * updates), updates)
    wrapped, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
    done = complete_checkpoints(checkpoints)
    losses = []
    if done:
        accelerator.load_state(str(done[-1]))
        losses = json.loads((done[-1] / "losses.json").read_text(encoding="utf-8"))
        accelerator.print(f"going on after epoch {len(losses)}")
    accelerator.print(
        f"{options.pieces} pieces of {options.batch_size // options.pieces} rows a step, {accumulation} on each of {accelerator.num_processes} processes · "
        f"{steps} steps an epoch"
    )
    bar = Progress(console=Console(stderr=True), disable=not accelerator.is_main_process)
    with bar:
        task = bar.add_task("training", total=options.epochs * steps, completed=len(losses) * steps)
        for epoch in range(len(losses), options.epochs):
            loader.set_epoch(
                epoch
            )  # not sampler.set_epoch: the loader counts its own epochs, from 0 after a restart, and tells the sampler
            wrapped.train()
            pieces = iter(loader)
            total, tokens = torch.zeros(2, device=accelerator.device)
            for step in range(steps):
                chosen = [next(pieces) for _ in range(accumulation)]
                first = ((epoch * steps + step) * accumulation * accelerator.num_processes) + accelerator.process_index
                seeds = [
                    options.seed * 1_000_003 + first + number * accelerator.num_processes
                    for number in range(accumulation)
                ]
                loss, count = train_step(wrapped, chosen, seeds, optimizer, scheduler, accelerator)
                total += loss
                tokens += count
                bar.advance(task)
            for _ in pieces:  # the loader learns that its epoch is over
                pass
            losses.append((total / tokens).item())
            if not torch.isfinite(total):
                raise CourseError(f"The loss of epoch {epoch + 1} is not a number: lower --learning-rate.")
            save_state(accelerator, checkpoints, losses)
            accelerator.print(f"epoch {epoch + 1} of {options.epochs}: loss {losses[-1]:.4f} per token")
    return losses


def train_step(
    wrapped, pieces: list[dict], seeds: list[int], optimizer, scheduler, accelerator: Accelerator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make one optimizer step from this process's pieces of a batch; return the loss summed over the batch's tokens, and their number.

    The loss of a batch is the mean over the target tokens of all its pieces, wherever they are. A mean per piece, averaged, would give a token of a short title more
    weight than a token of a long one, and how much more would depend on how the batch was cut. So each piece contributes the sum over its tokens divided by the
    number of tokens of the whole batch. DDP divides the summed gradients by the number of processes; the factor `num_processes` undoes that.
    """
    count = accelerator.reduce(sum((piece["labels"] != IGNORE).sum() for piece in pieces))
    total = torch.zeros((), device=accelerator.device)
    for number, (piece, seed) in enumerate(zip(pieces, seeds, strict=True), start=1):
        torch.manual_seed(seed)  # dropout depends on the piece, not on who works on it or what came before
        last = number == len(pieces)
        # Until the last piece the gradients stay in the process; its backward pass adds those of all processes.
        with contextlib.nullcontext() if last else accelerator.no_sync(wrapped):
            inputs = {name: value for name, value in piece.items() if name != "labels"}
            logits = wrapped(**inputs).logits
            loss = cross_entropy(logits.flatten(0, 1), piece["labels"].flatten(), ignore_index=IGNORE, reduction="sum")
            accelerator.backward(loss / count * accelerator.num_processes)
        total += loss.detach()
    accelerator.clip_grad_norm_(wrapped.parameters(), MAX_GRADIENT_NORM)
    optimizer.step()
    scheduler.step()
    optimizer.zero_grad()
    return accelerator.reduce(total), count


def parameter_groups(model: torch.nn.Module) -> list[dict]:
    """Return the model's parameters with weight decay for all but norms and biases, as the Trainer has it."""
    groups: dict[bool, list] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups["norm" not in name and "bias" not in name].append(parameter)
    return [{"params": groups[True], "weight_decay": WEIGHT_DECAY}, {"params": groups[False], "weight_decay": 0.0}]


def make_collator(model):
    """Return the function that pads a list of rows to a batch for this model."""
    config = model.config
    return lambda features: collate(features, config.pad_token_id, config.decoder_start_token_id)


def save_state(accelerator: Accelerator, checkpoints: Path, losses: list[float]) -> None:
    """Save model, optimizer and schedule under a temporary name, then rename: a kill leaves a whole checkpoint or none."""
    partial = checkpoints / "partial"
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (partial / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
        os.replace(partial, checkpoints / f"epoch-{len(losses):04d}")
        prune(checkpoints, KEPT_CHECKPOINTS)
    accelerator.wait_for_everyone()


def generate_all(model, rows: Dataset, tokenizer, batch_size: int, accelerator: Accelerator) -> list[str]:
    """Return one prediction per row, in order, on every process.

    `gather_for_metrics` drops the rows that were repeated to fill the last batch. The row numbers travel along and are checked.
    """
    collator = make_collator(model)

    def numbered(features: list[dict]) -> dict[str, torch.Tensor]:
        return {**collator(features), "row": torch.tensor([feature["row"] for feature in features])}

    loader = accelerator.prepare(
        DataLoader(rows.add_column("row", list(range(len(rows)))), batch_size=batch_size, collate_fn=numbered)
    )
    plain = accelerator.unwrap_model(model)  # DDP has no generate
    plain.eval()
    predictions: list[str] = []
    numbers: list[int] = []
    with Progress(console=Console(stderr=True), disable=not accelerator.is_main_process) as bar:
        for batch in bar.track(loader, description="generating", total=len(loader)):
            with torch.inference_mode(), accelerator.autocast():
                output = plain.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
            output = accelerator.pad_across_processes(output, dim=1, pad_index=tokenizer.pad_token_id)
            output, row = accelerator.gather_for_metrics((output, batch["row"]))
            predictions += decode_labels(output.cpu(), tokenizer)
            numbers += row.tolist()
    if numbers != list(range(len(rows))):
        raise CourseError(
            f"{len(rows)} test rows gave {len(numbers)} predictions: this is a fault of the script, please report it."
        )
    return predictions


def score(predictions: list[str], test: Dataset) -> dict:
    """Return {"rouge": {language: scores}} over all rows, and the same per origin if some of the reviews were individually written."""
    written = [is_written(name) for name in test["review_id"]]
    parts = {"rouge": [True] * len(written)}
    if any(written):
        parts |= {"composed": [not flag for flag in written], "written": written}
    metrics = {}
    for part, mask in parts.items():
        columns = [predictions, test["review_title"][:], test["language"][:]]
        table = evaluate_system(
            *([value for value, keep in zip(column, mask, strict=True) if keep] for column in columns)
        )
        metrics[part] = {language: row for language, row in table.to_dict(orient="index").items() if row["n"]}
    return metrics


def save_model(model, tokenizer, metrics: dict, output: Path) -> None:
    """Write `output/model`, then `output/metrics.json`: whoever finds the metrics finds the model too."""
    partial = output / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    shutil.rmtree(output / "model", ignore_errors=True)
    os.replace(partial, output / "model")
    write_text(output / METRICS, json.dumps(metrics, indent=2) + "\n")


def print_scores(metrics: dict) -> None:
    """Print one line per language, for all test rows and for each origin."""
    for part, label in (("rouge", "rows"), ("composed", "composed rows"), ("written", "individually written rows")):
        for language, row in metrics.get(part, {}).items():
            scores = " ".join(f"{name} {value:.2f}" for name, value in row.items() if name != "n")
            print(f"{language:3} {scores} · {row['n']} {label}")


if __name__ == "__main__":
    sys.exit(main())
