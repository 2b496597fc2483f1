"""What a GPU makes of mt5-small's shape: tokens a second and memory, in bf16 and as the fp32 tutorial trains, in one run of ten minutes at most.

    .venv/bin/python benchmarks/gpu.py

The weights are random, so nothing is downloaded and nothing is learned: only time and memory count. Rows have the lengths of the
embedded reviews and titles, cut at the limits of the full profile. The tutorial takes fp32, batches of 8 and rows in any order. The
course takes the precision of `best_precision` and rows of like length together. A batch of 8 cannot keep a large GPU busy, so larger
ones are measured for both. Without a GPU it prints "not run", and the exit code is 0.
"""

import random
import sys
import time
from itertools import cycle

import pandas as pd
import torch
from transformers import AutoTokenizer

from resumen.corpus import LANGUAGES, load_reviews
from resumen.preflight import SHAPES, built
from resumen.profiles import PROFILES, SEED
from resumen.setup import best_device, best_precision
from resumen.training import training_memory

FULL = PROFILES["full"]
BATCHES = (FULL.batch_size, 32, 128)
WARM_UP, SECONDS = 5, 30
BAR = 3.0
"""The fastest in `best_precision` should train on so many times the tokens a second of the tutorial's recipe."""


def lengths() -> list[tuple[int, int]]:
    """Return tokens of body and title of each training review, by the embedded tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(PROFILES["tiny"].checkpoint)
    found = []
    for language in LANGUAGES:
        rows = load_reviews(language)["train"].to_pandas().dropna(subset=["review_body", "review_title"])
        sides = [rows["review_body"].tolist(), rows["review_title"].tolist()]
        limits = FULL.max_input_length, FULL.max_target_length
        cut = [
            [min(len(ids), limit) for ids in tokenizer(side)["input_ids"]]
            for side, limit in zip(sides, limits, strict=True)
        ]
        found += zip(*cut, strict=True)
    random.Random(SEED).shuffle(found)
    return found


def measure(rows: list[tuple[int, int]], size: int, precision: str, by_length: bool, device: str) -> dict:
    """Train for some seconds; return real tokens a second, padding not counted, and the most memory that was taken."""
    if by_length:  # sorted in pieces of 50 batches, as the Trainer does
        pieces = [sorted(rows[start : start + 50 * size]) for start in range(0, len(rows), 50 * size)]
        rows = [row for piece in pieces for row in piece]
    cut = [rows[start : start + size] for start in range(0, len(rows) - size + 1, size)]
    random.Random(SEED).shuffle(cut)
    config = SHAPES[FULL.checkpoint]
    model = built(config).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=FULL.learning_rate, fused=True)
    torch.cuda.reset_peak_memory_stats()
    tokens, started = 0, 0.0
    for step, batch in enumerate(cycle(cut)):
        if step == WARM_UP:
            torch.cuda.synchronize()
            tokens, started = 0, time.perf_counter()
        if step > WARM_UP and step % 10 == 0:
            torch.cuda.synchronize()
            if time.perf_counter() - started > SECONDS:
                break
        widths = [max(row[side] for row in batch) for side in (0, 1)]
        source, labels = (torch.randint(3, config.vocab_size, (size, width), device=device) for width in widths)
        mask = torch.arange(widths[0], device=device) < torch.tensor([row[0] for row in batch], device=device)[:, None]
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = model(input_ids=source, attention_mask=mask.long(), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        tokens += sum(map(sum, batch))
    return {
        "tokens a second": round(tokens / (time.perf_counter() - started)),
        "peak (GB)": round(torch.cuda.max_memory_allocated() / 1e9, 1),
    }


def main() -> int:
    """Print the table and the ratio."""
    device = best_device()
    if device != "cuda":
        print(f"not run: there is no CUDA GPU here, the device is {device}")
        return 0
    print(f"{torch.cuda.get_device_name()} · torch {torch.__version__} · {best_precision(device)}")
    rows, config = lengths(), SHAPES[FULL.checkpoint]
    with torch.device("meta"):
        parameters = built(config).num_parameters()
    found = {}
    for size in BATCHES:
        for name, precision, by_length in (
            ("tutorial, fp32", "fp32", False),
            (f"course, {best_precision(device)}", best_precision(device), True),
        ):
            try:
                found[name, size] = measure(rows, size, precision, by_length, device)
            except torch.OutOfMemoryError:
                found[name, size] = {"tokens a second": float("nan"), "peak (GB)": float("nan")}
            torch.cuda.empty_cache()
            least = training_memory(parameters, config.vocab_size, size, FULL.max_target_length) / 1e9
            found[name, size]["at least, by estimate (GB)"] = round(least, 1)
    table = pd.DataFrame(found).T.rename_axis(["recipe", "batch"])
    print(table.to_string())
    speed = table["tokens a second"]
    ratio = speed.drop("tutorial, fp32").max() / speed["tutorial, fp32", FULL.batch_size]
    print(
        f"fastest of the course against the tutorial's batches of {FULL.batch_size}: {ratio:.1f} times (bar: {BAR:g})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
