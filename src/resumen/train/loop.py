"""The loop itself, and how its result is scored."""

import argparse
import contextlib
import math
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

from resumen.corpus import load_reviews, load_synopses, prepare_pairs
from resumen.errors import CourseError
from resumen.metrics import evaluate_system, score_examples
from resumen.modeling import FINAL_DECODING, load_checkpoint
from resumen.profiles import Profile
from resumen.tokenization import IGNORE, collate, decode_labels, tokenize_corpus
from resumen.train.arguments import plan_pieces
from resumen.train.folder import checkpoint_of, complete_checkpoints, open_run, read_history, save_model, save_state
from resumen.training import best_epoch

CATEGORIES = ("book", "digital_ebook_purchase")
MAX_GRADIENT_NORM = 1.0
"""Gradients longer than this are shortened to it: the Trainer's default, so stage 4 did the same."""

WARM_UP = 0.05
"""Share of the steps in which the learning rate rises, as in stage 4."""

WEIGHT_DECAY = 0.01
ROWS_TO_GENERATE = 32
"""Rows of one call of `generate`: without gradients there is room for more than a piece."""


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

        def validate() -> float:
            titles = generate(model, tokenized["validation"], tokenizer, accelerator)  # greedy decoding, as in stage 4
            return float(score_examples(titles, corpus["validation"]["review_title"][:])["rougeL"].mean())

        checkpoints = open_run(options, accelerator)
        history = train(model, tokenized["train"], validate, checkpoints, accumulation, options, accelerator)
        titles = generate(model, tokenized["test"], tokenizer, accelerator, **FINAL_DECODING)
        if accelerator.is_main_process:
            metrics = {"rouge": score(titles, corpus["test"]), "history": history}
            metrics["processes"] = accelerator.num_processes
            save_model(accelerator.unwrap_model(model), tokenizer, metrics, options.output)
            print_scores(metrics["rouge"])
        accelerator.wait_for_everyone()
    finally:
        accelerator.end_training()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def load_corpus(name: str, limit: int | None) -> DatasetDict:
    """Return the clean bilingual pairs of the reviews (books and e-books) or of the synopses, validation and test by length."""
    if name == "reviews":
        pairs = prepare_pairs(load_reviews("en"), load_reviews("es"), CATEGORIES)
    else:
        pairs = prepare_pairs(load_synopses("en"), load_synopses("es"))
    if limit is not None:
        pairs = DatasetDict({split: rows.select(range(min(limit, len(rows)))) for split, rows in pairs.items()})
    # Short rows first. Rows of like length share a batch, and the rows that Accelerate repeats to fill the last batch come
    # from the beginning: being short, they do not lengthen the padding of the others.
    for split in ("validation", "test"):
        lengths = [len(body) for body in pairs[split]["review_body"][:]]
        pairs[split] = pairs[split].select(sorted(range(len(lengths)), key=lengths.__getitem__))
    return pairs


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
    validate,
    checkpoints: Path,
    accumulation: int,
    options: argparse.Namespace,
    accelerator: Accelerator,
) -> list[dict]:
    """Train to the last epoch, from the last complete checkpoint if there is one; leave the model as the best epoch had it.

    Args:
        validate: returns rougeL on validation; every process calls it after each epoch.

    Returns:
        the history: one entry per epoch, see `folder.HISTORY`.

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
    scheduler = get_linear_schedule_with_warmup(optimizer, math.ceil(WARM_UP * updates), updates)
    wrapped, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
    history = read_history(checkpoints)
    if history:
        accelerator.load_state(str(complete_checkpoints(checkpoints)[-1]))
        accelerator.print(f"going on after epoch {len(history)}")
    accelerator.print(
        f"{options.pieces} pieces of {options.batch_size // options.pieces} rows a step, {accumulation} on each of {accelerator.num_processes} processes · "
        f"{steps} steps an epoch"
    )
    with Progress(console=Console(stderr=True), disable=not accelerator.is_main_process) as bar:
        task = bar.add_task("training", total=updates, completed=len(history) * steps)
        for epoch in range(len(history), options.epochs):
            # Not sampler.set_epoch: the loader counts its own epochs, from 0 after a restart, and tells the sampler.
            loader.set_epoch(epoch)
            wrapped.train()
            pieces, losses, tokens = iter(loader), [], 0
            for step in range(epoch * steps, (epoch + 1) * steps):
                chosen = [next(pieces) for _ in range(accumulation)]
                numbers = [
                    (step * accumulation + number) * accelerator.num_processes + accelerator.process_index
                    for number in range(accumulation)
                ]
                seeds = [options.seed * 1_000_003 + number for number in numbers]
                loss, count = train_step(wrapped, chosen, seeds, optimizer, scheduler, accelerator)
                losses.append(loss)
                tokens += count
                bar.advance(task)
            for _ in pieces:  # the loader learns that its epoch is over
                pass
            mean = (accelerator.reduce(torch.stack(losses).sum()) / tokens).item()
            if not math.isfinite(mean):
                raise CourseError(f"The loss of epoch {epoch + 1} is not a number: lower --learning-rate.")
            history.append({"epoch": epoch + 1, "loss": mean, "rougeL": validate()})
            save_state(accelerator, checkpoints, history)
            accelerator.print(
                f"epoch {epoch + 1} of {options.epochs}: loss {mean:.4f} per token, rougeL {history[-1]['rougeL']:.2f} on validation"
            )
    best = best_epoch(history, "rougeL")
    accelerator.load_state(str(checkpoint_of(checkpoints, best)))
    accelerator.print(f"best epoch: {best['epoch']}")
    return history


def train_step(
    wrapped, pieces: list[dict], seeds: list[int], optimizer, scheduler, accelerator: Accelerator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make one optimizer step from this process's pieces of a batch; return the sum of its token losses, and the number of tokens of the whole batch.

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
    return total, count


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


def generate(model, rows: Dataset, tokenizer, accelerator: Accelerator, **search) -> list[str]:
    """Return one title per row, in order, on every process; the model is left in eval mode.

    `gather_for_metrics` drops the rows that were repeated to fill the last batch. The row numbers travel along and are checked.
    """
    collator = make_collator(model)

    def numbered(features: list[dict]) -> dict[str, torch.Tensor]:
        return {**collator(features), "row": torch.tensor([feature["row"] for feature in features])}

    loader = accelerator.prepare(
        DataLoader(rows.add_column("row", list(range(len(rows)))), batch_size=ROWS_TO_GENERATE, collate_fn=numbered)
    )
    plain = accelerator.unwrap_model(model)  # DDP has no generate
    plain.eval()
    titles: list[str] = []
    numbers: list[int] = []
    for batch in loader:
        with torch.inference_mode(), accelerator.autocast():
            output = plain.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **search)
        output = accelerator.pad_across_processes(output, dim=1, pad_index=tokenizer.pad_token_id)
        output, row = accelerator.gather_for_metrics((output, batch["row"]))
        titles += decode_labels(output.cpu(), tokenizer)
        numbers += row.tolist()
    if numbers != list(range(len(rows))):
        raise CourseError(
            f"{len(rows)} rows gave {len(numbers)} titles: this is a fault of the script, please report it."
        )
    return titles


def score(titles: list[str], test: Dataset) -> dict[str, dict]:
    """Return {"all" or language: scores} of titles for the rows of a split; a language without rows is left out."""
    table = evaluate_system(titles, test["review_title"][:], test["language"][:])
    return {language: row for language, row in table.to_dict(orient="index").items() if row["n"]}


def print_scores(scores: dict[str, dict]) -> None:
    """Print one line per language."""
    for language, row in scores.items():
        values = " ".join(f"{name} {value:.2f}" for name, value in row.items() if name != "n")
        print(f"{language:3} {values} · {row['n']:.0f} test rows")
