"""Score a checkpoint on the test split with any number of processes; the scores must not depend on it.

    python -m resumen.projects.capstone.processes --checkpoint model --corpus corpus.jsonl --output one.json
    torchrun --standalone --nproc_per_node 2 -m resumen.projects.capstone.processes --checkpoint model --corpus corpus.jsonl --output two.json --expect-processes 2

`accelerate launch --cpu --num_processes 2` starts one process only, without a word; `--expect-processes` stops such a launch.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader
from transformers.utils import logging

from resumen.errors import CourseError
from resumen.modeling import load_checkpoint
from resumen.projects.capstone.contract import read_corpus
from resumen.tokenization import collate, preprocess
from resumen.training import evaluate


def main(arguments: list[str] | None = None) -> int:
    """Run the script; a mistake costs one sentence on stderr and exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="a checkpoint folder or a Hub name")
    parser.add_argument("--corpus", required=True, nargs="+", help="the corpus, as in the data contract")
    parser.add_argument("--output", required=True, type=Path, help="where to write the scores")
    parser.add_argument("--expect-processes", type=int, help="stop unless this many processes run")
    parser.add_argument("--max-input-length", type=int, default=128, help="tokens of a text that are read")
    parser.add_argument("--max-new-tokens", type=int, default=36)
    parser.add_argument("--batch-size", type=int, default=16, help="rows that each process generates at a time")
    parser.add_argument("--limit", type=int, help="score only the LIMIT shortest test rows of each language")
    options = parser.parse_args(arguments)
    try:
        run(options)
    except CourseError as error:
        if os.environ.get("RANK", "0") == "0":
            print(f"processes: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Score and write the scores. Every process runs this; the main one writes."""
    logging.disable_progress_bar()
    accelerator = Accelerator(cpu=True)
    try:
        if options.expect_processes not in (None, accelerator.num_processes):
            raise CourseError(
                f"{options.expect_processes} processes were expected and {accelerator.num_processes} started: launch with "
                f"torchrun --standalone --nproc_per_node {options.expect_processes} -m resumen.projects.capstone.processes."
            )
        corpus = read_corpus(options.corpus)
        test = corpus[corpus["split"] == "test"]
        tokenizer, model = load_checkpoint(options.checkpoint)
        scores = {}
        for language, rows in test.groupby("language"):
            features = _features(rows, tokenizer, options)
            # Each process takes every second batch, so a batch is the same on one process and on two. Short rows come first:
            # the rows that are repeated to fill the last batch are the first, and do not lengthen its padding.
            loader = DataLoader(
                features, batch_size=options.batch_size, collate_fn=lambda chosen: _batch(chosen, model.config)
            )
            loader = accelerator.prepare(loader)
            scores[language] = {
                **evaluate(model, loader, tokenizer, accelerator, options.max_new_tokens),
                "n": len(features),
            }
        if accelerator.is_main_process:
            result = {"processes": accelerator.num_processes, "scores": scores}
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        accelerator.wait_for_everyone()
    finally:
        accelerator.end_training()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _features(rows, tokenizer, options: argparse.Namespace) -> list[dict]:
    batch = {"review_body": rows["source"].to_list(), "review_title": rows["reference"].to_list()}
    # References are decoded again to be scored, so they are not cut.
    columns = preprocess(batch, tokenizer, options.max_input_length, 10_000)
    features = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return sorted(features, key=lambda feature: len(feature["input_ids"]))[: options.limit]


def _batch(chosen: list[dict], config) -> dict[str, torch.Tensor]:
    return collate(chosen, config.pad_token_id, config.decoder_start_token_id)


if __name__ == "__main__":
    sys.exit(main())
