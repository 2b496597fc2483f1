"""The loop itself. `arguments`, `folder`, `data` and `scoring` hold what stands around it."""

import argparse
import contextlib
import copy
import math
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedType
from datasets import Dataset
from rich.console import Console
from rich.progress import Progress
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from resumen.errors import CourseError
from resumen.lora import add_lora, count_parameters, merge
from resumen.metrics import score_examples
from resumen.modeling import FINAL_DECODING, load_checkpoint
from resumen.profiles import Profile
from resumen.tokenization import IGNORE, tokenize_corpus
from resumen.train.arguments import plan_pieces
from resumen.train.data import EpochSampler, load_corpus, make_collator
from resumen.train.folder import best_epoch, checkpoint_of, open_run, read_history, save_model, save_state
from resumen.train.scoring import assemble, fill, generate, print_scores, score

MAX_GRADIENT_NORM = 1.0
"""Gradients longer than this are shortened to it: the Trainer's default, so stage 4 did the same."""

WARM_UP = 0.05
"""Share of the steps in which the learning rate rises, as in stage 4."""

WEIGHT_DECAY = 0.01


def run(options: argparse.Namespace, profile: Profile) -> None:
    """Train, evaluate, save. Every process runs this; only the main one prints and writes text files."""
    accelerator = Accelerator(
        cpu=options.cpu, mixed_precision=options.mixed_precision, step_scheduler_with_optimizer=False
    )
    try:
        accumulation = plan_pieces(options, accelerator.num_processes)
        tokenizer, model = load_checkpoint(options.checkpoint, profile)
        if options.lora_rank:
            model = add_lora(model, options.lora_rank, options.seed)
        with accelerator.main_process_first():  # the others then find the tokenized rows in the cache
            corpus = load_corpus(options.data, options.limit)
            tokenized = tokenize_corpus(corpus, tokenizer, profile.max_input_length, profile.max_target_length)
        # FSDP leaves each process a part of every weight. To generate and to save takes all of them, in a second model.
        sharded = accelerator.distributed_type == DistributedType.FSDP
        if sharded and not accelerator.is_fsdp2:
            raise CourseError(
                "FSDP 1 keeps weights in a form that cannot be read: set fsdp_version to 2 in the configuration."
            )
        spare = copy.deepcopy(model).to(accelerator.device) if sharded else None
        if sharded:  # encoder and decoder share one table in two modules; FSDP wants it in one
            model.set_input_embeddings(model.get_input_embeddings())

        def write_titles(split: str, **search) -> list[str]:
            whole = fill(spare, model) if sharded else model
            return generate(whole, tokenized[split], tokenizer, accelerator, options.eval_batch_size, **search)

        def validate() -> float:
            titles = write_titles("validation")  # greedy decoding, as in stage 4
            return float(score_examples(titles, corpus["validation"]["review_title"][:])["rougeL"].mean())

        checkpoints = open_run(options, accelerator)
        history = train(model, tokenized["train"], validate, checkpoints, accumulation, options, accelerator)
        titles = write_titles("test", **FINAL_DECODING)
        if accelerator.is_main_process:
            metrics = {"rouge": score(titles, corpus["test"]), "history": history}
            metrics["processes"] = accelerator.num_processes
            whole = spare if sharded else model
            metrics["trained_parameters"], metrics["parameters"] = count_parameters(whole)
            if options.lora_rank:
                save_model({"model": [merge(whole), tokenizer], "adapter": [whole]}, metrics, options.output)
            else:
                save_model({"model": [whole, tokenizer]}, metrics, options.output)
            print_scores(metrics["rouge"])
        accelerator.wait_for_everyone()
    finally:
        accelerator.end_training()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


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
        CourseError: in every process at the same step, if there is less than one batch, or a gradient is no longer a number.
    """
    sampler = EpochSampler(rows, options.batch_size, options.seed)
    steps = len(sampler) // options.batch_size
    # One piece per batch of the loader. After prepare, process p of n reads the pieces p, p + n, p + 2n and so on.
    piece = options.batch_size // options.pieces
    loader = DataLoader(rows, batch_size=piece, sampler=sampler, collate_fn=make_collator(model))
    optimizer = torch.optim.AdamW(parameter_groups(model), lr=options.learning_rate)
    updates = options.epochs * steps
    scheduler = LambdaLR(optimizer, rising_and_falling(math.ceil(WARM_UP * updates), updates))
    wrapped, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
    history = read_history(checkpoints)
    if history:
        accelerator.load_state(str(checkpoint_of(checkpoints, history[-1])))
        accelerator.print(f"going on after epoch {len(history)}")
    accelerator.print(
        f"{options.pieces} pieces of {piece} rows a step, {accumulation} on each of {accelerator.num_processes} processes · "
        f"{steps} steps an epoch"
    )
    with Progress(console=Console(stderr=True), disable=not accelerator.is_main_process) as bar:
        task = bar.add_task("training", total=updates, completed=len(history) * steps)
        for epoch in range(len(history), options.epochs):
            counts = sampler.token_counts(epoch)
            # Not sampler.set_epoch: the loader counts its own epochs, from 0 after a restart, and tells the sampler.
            loader.set_epoch(epoch)
            wrapped.train()
            pieces, losses = iter(loader), []
            for step, count in enumerate(counts, start=epoch * steps):
                chosen = [next(pieces) for _ in range(accumulation)]
                first = step * options.pieces + accelerator.process_index
                numbers = range(first, first + len(chosen) * accelerator.num_processes, accelerator.num_processes)
                seeds = [options.seed * 1_000_003 + number for number in numbers]
                loss, norm = train_step(wrapped, chosen, seeds, count, optimizer, scheduler, accelerator)
                # The gradient is the same in all processes, so all stop at this step, and none waits for another.
                if not math.isfinite(norm):
                    raise CourseError(
                        f"The gradient of step {step - epoch * steps + 1} in epoch {epoch + 1} is not a number: lower --learning-rate and "
                        f"begin again in another --output, since {options.output} keeps the {len(history)} epochs before."
                    )
                losses.append(loss)
                bar.advance(task)
            for _ in pieces:  # the loader learns that its epoch is over
                pass
            mean = accelerator.reduce(torch.stack(losses).sum()).item() / sum(counts)
            history.append({"epoch": epoch + 1, "loss": mean, "rougeL": validate()})
            save_state(accelerator, checkpoints, history)
            accelerator.print(
                f"epoch {epoch + 1} of {options.epochs}: loss {mean:.4f} per token, rougeL {history[-1]['rougeL']:.2f} on validation"
            )
    best = best_epoch(history)
    accelerator.load_state(str(checkpoint_of(checkpoints, best)))
    accelerator.print(f"best epoch: {best['epoch']}")
    return history


def train_step(
    wrapped, pieces: list[dict], seeds: list[int], count: int, optimizer, scheduler, accelerator: Accelerator
) -> tuple[torch.Tensor, float]:
    """Make one optimizer step from this process's pieces of a batch; return the sum of its token losses, and the length of the gradient.

    Nothing is stepped if that length is not a number. It is the same in every process.

    The loss of a batch is the mean over the target tokens of all its pieces, wherever they are. A mean per piece, averaged, would give a token of a short title more
    weight than a token of a long one, and how much more would depend on how the batch was cut. So each piece contributes the sum over its tokens divided by `count`, the
    number of tokens of the whole batch. DDP divides the summed gradients by the number of processes; the factor `num_processes` undoes that.
    """
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
    norm = assemble(accelerator.clip_grad_norm_(wrapped.parameters(), MAX_GRADIENT_NORM)).item()
    if math.isfinite(norm):
        optimizer.step()
        scheduler.step()
    optimizer.zero_grad()
    return total, norm


def rising_and_falling(warm_up: int, updates: int) -> Callable[[int], float]:
    """Return transformers' linear schedule with warm-up, whose module takes two seconds to import: it loads peft."""
    return lambda done: min(1.0, done / warm_up, (updates - done) / max(1, updates - warm_up))


def parameter_groups(model: torch.nn.Module) -> list[dict]:
    """Return the parameters that are trained, with weight decay for all but norms and biases, as the Trainer has it."""
    groups: dict[bool, list] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups["norm" not in name and "bias" not in name].append(parameter)
    return [{"params": groups[True], "weight_decay": WEIGHT_DECAY}, {"params": groups[False], "weight_decay": 0.0}]
