"""What the script can be told, and how a batch is cut for the processes that run."""

import argparse
from pathlib import Path

from resumen import train
from resumen.errors import CourseError
from resumen.profiles import SEED, Profile


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
        prog="python -m resumen.train",
        description=train.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
        "--eval-batch-size",
        type=_positive(int),
        default=32,
        help="rows that each process generates titles for at a time; the scores do not depend on it",
    )
    add(
        "--gradient-accumulation",
        type=_positive(int),
        help="pieces that each process works through, one after another, per step; by default 2 on one process, else 1",
    )
    add("--mixed-precision", choices=("no", "bf16"), default="no", help="fp16 is not offered: mT5 overflows in it")
    add(
        "--lora-rank",
        type=_positive(int),
        help="train pairs of matrices of this rank beside the frozen checkpoint, not the checkpoint (needs peft)",
    )
    add("--limit", type=_positive(int), help="use only the first LIMIT rows of each split")
    add("--seed", type=int, default=SEED, help="seed of shuffling and dropout")
    add(
        "--resume",
        choices=("auto", "no"),
        default="auto",
        help="auto (the default): go on from the last complete checkpoint in --output, if its settings are the same, else stop; no: remove "
        "the checkpoints there and begin again",
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
