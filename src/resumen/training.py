"""Fine-tuning, twice: with Seq2SeqTrainer (stage 4) and with a loop of our own on Accelerate (stage 5).

The course's central run, as the lecture of stage 4 shows it piece by piece:

trainer = fine_tune(model, tokenizer, tokenized, profile, "run")
titles = write_titles(trainer, tokenized["test"])
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import psutil
import torch
from datasets import Dataset, DatasetDict
from transformers import (
    DataCollatorForSeq2Seq,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)

from resumen.metrics import ROUGES, score_examples
from resumen.modeling import FINAL_DECODING
from resumen.profiles import SEED, Profile
from resumen.setup import best_device, best_precision
from resumen.tokenization import IGNORE, decode_labels

FLOAT, TRAINED = 4, 16
"""Bytes a parameter: of a float32 number; in training with AdamW (weights, gradients, two moments), whatever the precision."""


def training_memory(parameters: int, vocabulary: int, batch_size: int, max_target_length: int) -> int:
    """Return the bytes that a training step takes at least: the model with AdamW, and the logits with their gradients.

    With mT5's vocabulary the logits are the largest of what grows with the batch; the other activations are not counted.
    """
    return TRAINED * parameters + 2 * FLOAT * batch_size * max_target_length * vocabulary


def free_memory(device: str) -> int:
    """Return the bytes that are free on a device. An Apple GPU shares the memory of its machine."""
    return torch.cuda.mem_get_info()[0] if device.startswith("cuda") else psutil.virtual_memory().available


def fit_batch(
    parameters: int, vocabulary: int, batch_size: int, max_target_length: int, free: float
) -> tuple[int, int]:
    """Return (rows at a time, times that gradients are added up): their product is `batch_size`, so the training is the same.

    All rows go at once if `training_memory` says that they fit into `free` bytes. Otherwise the batch is cut into the fewest equal
    parts that do, or into single rows.
    """
    for parts in range(1, batch_size + 1):
        rows, rest = divmod(batch_size, parts)
        if not rest and training_memory(parameters, vocabulary, rows, max_target_length) <= free:
            return rows, parts
    return 1, batch_size


def make_compute_metrics(tokenizer: PreTrainedTokenizerBase) -> Callable:
    """Return the function that Seq2SeqTrainer calls with (predictions, labels) arrays of token ids.

    It gives `ROUGES` (F-measure × 100) and gen_len, the mean number of non-padding tokens, `</s>` counted. -100 is masked on both sides: the
    Trainer pads predictions with it too.
    """

    def compute_metrics(outputs) -> dict[str, float]:
        predictions, labels = outputs
        if isinstance(predictions, tuple):
            predictions = predictions[0]
        predictions = np.asarray(predictions)
        scores = score_examples(decode_labels(predictions, tokenizer), decode_labels(labels, tokenizer)).mean()
        real = (predictions != IGNORE) & (predictions != tokenizer.pad_token_id)
        return {**scores.to_dict(), "gen_len": float(real.sum(axis=1).mean())}

    return compute_metrics


def make_training_arguments(
    output_dir: str, num_train_epochs: float, learning_rate: float, batch_size: int, max_target_length: int
) -> Seq2SeqTrainingArguments:
    """Return arguments that evaluate and save once per epoch and keep the best epoch by rougeL."""
    return Seq2SeqTrainingArguments(
        output_dir, **_options(num_train_epochs, learning_rate, batch_size, max_target_length, SEED)
    )


def course_arguments(output_dir: str, profile: Profile, seed: int = SEED, **changes) -> Seq2SeqTrainingArguments:
    """Return the arguments of the course's central run, those of stage 4's lecture.

    `make_training_arguments` with a warm-up, rows of like length in one batch, and an evaluation before the first step.

    Args:
        output_dir: folder of the checkpoints.
        profile: epochs, learning rate, batch size and title limit.
        seed: order of the training rows, and dropout.
        changes: training arguments in place of the profile's, by their names in transformers.
    """
    options = _options(
        profile.num_train_epochs, profile.learning_rate, profile.batch_size, profile.max_target_length, seed
    )
    options |= {
        "per_device_eval_batch_size": 2 * profile.batch_size,
        "warmup_steps": 0.05,
        "train_sampling_strategy": "group_by_length",
        "eval_on_start": True,
        "generation_num_beams": 1,
        "save_total_limit": 2,
        "bf16": best_precision(best_device()) == "bf16",
    }
    return Seq2SeqTrainingArguments(output_dir, **{**options, **changes})


def _options(epochs: float, learning_rate: float, batch_size: int, max_target_length: int, seed: int) -> dict:
    return {
        "num_train_epochs": epochs,
        "learning_rate": learning_rate,
        "per_device_train_batch_size": batch_size,
        "per_device_eval_batch_size": batch_size,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "logging_strategy": "epoch",
        "save_total_limit": 3,
        "predict_with_generate": True,
        "generation_max_length": max_target_length + 1,  # the start token counts
        "load_best_model_at_end": True,
        "metric_for_best_model": "rougeL",
        "greater_is_better": True,
        "weight_decay": 0.01,
        "seed": seed,
        "data_seed": seed,
        "report_to": "none",
        "logging_nan_inf_filter": False,  # the default replaces NaN by 0.0 in the log, and no guard can see it
    }


def build_trainer(
    model: PreTrainedModel,
    arguments: Seq2SeqTrainingArguments,
    tokenized: DatasetDict,
    tokenizer: PreTrainedTokenizerBase,
) -> Seq2SeqTrainer:
    """Return a trainer over the splits train and validation, with the seq2seq collator, the metrics and the NaN guard."""
    return Seq2SeqTrainer(
        model,
        arguments,
        train_dataset=tokenized["train"],
        eval_dataset=tokenized["validation"],
        data_collator=DataCollatorForSeq2Seq(tokenizer, model=model),
        processing_class=tokenizer,
        compute_metrics=make_compute_metrics(tokenizer),
        callbacks=[NanGuard()],
    )


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tokenized: DatasetDict,
    profile: Profile,
    output_dir: str,
    seed: int = SEED,
    **changes,
) -> Seq2SeqTrainer:
    """Train the model in place with `course_arguments`; return its trainer, with the best epoch loaded.

    A batch that does not fit into the free memory is worked through in parts (`fit_batch`), unless `changes` say how many rows go at once.
    """
    rows, parts = fit_batch(
        model.num_parameters(),
        model.config.vocab_size,
        profile.batch_size,
        profile.max_target_length,
        free_memory(best_device()),
    )
    if parts > 1 and "per_device_train_batch_size" not in changes:
        changes = {
            "per_device_train_batch_size": rows,
            "per_device_eval_batch_size": 2 * rows,
            "gradient_accumulation_steps": parts,
            **changes,
        }
    trainer = build_trainer(model, course_arguments(output_dir, profile, seed, **changes), tokenized, tokenizer)
    if trainer.args.gradient_accumulation_steps > 1:
        # The Trainer takes mT5 for a model that divides by the tokens of the whole batch. It does not: the gradients of the parts
        # would be added up undivided (stage 5).
        trainer.model_accepts_loss_kwargs = False
    trainer.remove_callback(PrinterCallback)  # without a progress bar it would print every entry of the log
    trainer.train()
    return trainer


def write_titles(trainer: Seq2SeqTrainer, rows: Dataset, decoding: Mapping = FINAL_DECODING) -> list[str]:
    """Return the title that the trainer's model writes for each tokenized row, in order."""
    # With group_by_length this version of the Trainer sorts what it predicts for as well.
    trainer.args.train_sampling_strategy = "random"
    titles = decode_labels(trainer.predict(rows, **decoding).predictions, trainer.processing_class)
    return [title.strip() for title in titles]


def overfit_one_batch(
    model: PreTrainedModel, batch: dict[str, torch.Tensor], steps: int, learning_rate: float
) -> list[float]:
    """Train the model in place on one batch with AdamW; return the loss before each of the `steps` updates."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    model.train()
    losses = []
    for _ in range(steps):
        loss = model(**batch).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def best_epoch(log_history: list[dict], metric: str = "eval_rougeL") -> dict:
    """Return the log entry with the largest value of the metric, the first on a tie.

    Raises:
        ValueError: if no entry has the metric.
    """
    entries = [entry for entry in log_history if metric in entry]
    if not entries:
        raise ValueError(f"No log entry has {metric!r}: was the model evaluated?")
    return max(entries, key=lambda entry: entry[metric])


class NanGuard(TrainerCallback):
    """Stop training as soon as a logged loss is NaN or infinite. Needs logging_nan_inf_filter=False."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            control.should_training_stop = True
        return control


def train_epoch(model, dataloader, optimizer, scheduler, accelerator) -> float:
    """Train for one pass over the dataloader; return the mean loss over this process's batches.

    Under gradient accumulation Accelerate skips the optimizer's and the scheduler's steps until a full batch is gathered.
    """
    model.train()
    total = 0.0
    for batch in dataloader:
        with accelerator.accumulate(model):
            loss = model(**batch).loss
            accelerator.backward(loss)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        total += loss.item()
    return total / len(dataloader)


def backward_accumulated(model, batches: Sequence[dict], accelerator) -> float:
    """Add the gradient of the mean loss over all label tokens of all batches to `.grad`; return that mean.

    Every token weighs the same, however the batches were cut. Nothing is stepped or clipped. One process, one `accelerator.backward` per batch, and an Accelerator without
    accumulation of its own, which would divide once more.

    Raises:
        ValueError: if no batch has a label token.
    """
    counts = [int((batch["labels"] != IGNORE).sum()) for batch in batches]
    if not sum(counts):
        raise ValueError("No batch has a label token.")
    mean = 0.0
    for batch, count in zip(batches, counts, strict=True):
        if count:  # the loss of a batch without tokens is NaN
            loss = model(**batch).loss * (count / sum(counts))
            accelerator.backward(loss)
            mean += loss.item()
    return mean


def evaluate(
    model, dataloader, tokenizer: PreTrainedTokenizerBase, accelerator, max_new_tokens: int
) -> dict[str, float]:
    """Generate for every example and return the mean of each of `ROUGES` (F-measure × 100).

    Each example counts once on any number of processes: `gather_for_metrics` drops the rows that were repeated to fill the last batch.
    The model's mode is restored.
    """
    was_training = model.training
    model.eval()
    predictions: list[str] = []
    references: list[str] = []
    for batch in dataloader:
        with torch.inference_mode():
            output = accelerator.unwrap_model(model).generate(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=max_new_tokens
            )
        output = accelerator.pad_across_processes(output, dim=1, pad_index=tokenizer.pad_token_id)
        labels = accelerator.pad_across_processes(batch["labels"], dim=1, pad_index=IGNORE)
        output, labels = accelerator.gather_for_metrics((output, labels))
        predictions += decode_labels(output.cpu(), tokenizer)
        references += decode_labels(labels.cpu(), tokenizer)
    model.train(was_training)
    return score_examples(predictions, references).mean()[list(ROUGES)].to_dict()
