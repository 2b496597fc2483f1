"""Train the runs whose logs lab 4 has diagnosed: `python -m resumen.authoring.nights`, about a minute on one idle core.

It writes data/runs/nights.csv, one row for each night and epoch, as the Trainer logged it. All nights but one hold a mistake that raises no error. `NIGHTS`
makes each of them for real, so nothing in a log is invented.
"""

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from datasets import DatasetDict
from transformers import PrinterCallback, Seq2SeqTrainer

from resumen.authoring.runs import TINY, load_pairs
from resumen.experiment import RUNS
from resumen.files import write_text
from resumen.modeling import load_checkpoint
from resumen.profiles import SEED
from resumen.setup import quieten, seed_everything
from resumen.tokenization import tokenize_corpus
from resumen.training import build_trainer, make_training_arguments

ROWS = {"train": 128, "validation": 32}
"""Enough for the signs to show, and few enough for a night of seconds."""

EPOCHS = 4
COLUMNS = ["loss", "grad_norm", "learning_rate", "eval_loss", "eval_rougeL", "eval_gen_len"]


def _nothing(trainer: Seq2SeqTrainer) -> None:
    """Change nothing."""


def _other_weights(trainer: Seq2SeqTrainer) -> None:
    """Give the optimizer the parameters of a copy, as when it is made before the model is replaced."""
    trainer.optimizer = torch.optim.AdamW(copy.deepcopy(trainer.model).parameters(), lr=trainer.args.learning_rate)


def _short_titles(trainer: Seq2SeqTrainer) -> None:
    """Let the checkpoint store a length of its own, which beats the Trainer's argument."""
    trainer.model.generation_config.max_new_tokens = 4


@dataclass(frozen=True)
class Night:
    """One run: what is wrong with it."""

    spoil: Callable[[Seq2SeqTrainer], None] = _nothing
    learning_rate: float = 1e-3


NIGHTS = {"A": Night(_other_weights), "B": Night(_short_titles), "C": Night(), "D": Night(learning_rate=0.1)}


def log(night: Night) -> pd.DataFrame:
    """Train, and return `COLUMNS` for each epoch."""
    quieten()
    seed_everything(SEED)
    torch.set_num_threads(1)
    pairs = load_pairs()
    splits = DatasetDict({split: pairs[split].select(range(count)) for split, count in ROWS.items()})
    tokenizer, model = load_checkpoint(profile=TINY)
    tokenized = tokenize_corpus(splits, tokenizer, TINY.max_input_length, TINY.max_target_length)
    with tempfile.TemporaryDirectory() as folder:
        arguments = make_training_arguments(
            folder, EPOCHS, night.learning_rate, TINY.batch_size, TINY.max_target_length
        )
        arguments.disable_tqdm = True
        trainer = build_trainer(model, arguments, tokenized, tokenizer)
        trainer.remove_callback(PrinterCallback)
        night.spoil(trainer)
        trainer.train()
    return pd.DataFrame(trainer.state.log_history).groupby("epoch").first()[COLUMNS]


def main() -> None:
    table = pd.concat({letter: log(night) for letter, night in NIGHTS.items()}, names=["night"])
    write_text(RUNS / "nights.csv", table.to_csv(float_format="%.4g", lineterminator="\n"))


if __name__ == "__main__":
    main()
