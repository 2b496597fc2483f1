"""Print LoRA beside full fine-tuning of the embedded checkpoint: trained share, quality, memory, side by side in one run:

    python benchmarks/lora.py [--seeds 42 43 44] [--limit ROWS] [--epochs N] [--rates 3e-3 1e-2 3e-2] [--rank 8]

Every run is `python -m resumen.train` on one CPU process. Full fine-tuning has the profile's rate, which a sweep chose. LoRA needs
a higher one: each of `--rates` is tried with the first seed, and validation rougeL chooses. The test scores of the rates that lost are not
read. The table has the mean over the seeds. Runs that are finished in `--folder` are not made again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from resumen.files import markdown_table
from resumen.profiles import SEED, current_profile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[SEED, SEED + 1, SEED + 2])
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-3, 1e-2, 3e-2])
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--limit", type=int, help="only the first LIMIT rows of each split")
    parser.add_argument("--epochs", type=int, default=current_profile().num_train_epochs)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "resumen-lora"))
    options = parser.parse_args()
    first, *others = options.seeds
    full, tried = [train(options, first)], {rate: train(options, first, rate) for rate in options.rates}
    for rate, run in tried.items():
        print(f"LoRA, rate {rate:g}: validation rougeL {validation(run):.2f}", flush=True)
    best = max(tried, key=lambda rate: validation(tried[rate]))
    lora = [tried[best]]
    for seed in others:
        full.append(train(options, seed))
        lora.append(train(options, seed, best))
    print()
    columns = {"full fine-tuning": full, f"LoRA, rank {options.rank}": lora}
    rows = {name: row(runs) for name, runs in columns.items()}
    head = ["", *rows]
    print(markdown_table(head, [[key, *(rows[name][key] for name in rows)] for key in next(iter(rows.values()))]))
    rows_read = f"{options.limit or 'all'} rows of each split"
    print(f"\n{len(options.seeds)} seed(s), {rows_read}, {options.epochs} epochs, LoRA's rate {best:g}.")


def train(options: argparse.Namespace, seed: int, rate: float | None = None) -> dict:
    """Return the metrics of one run: LoRA with this rate, without one full fine-tuning, as the profile has it."""
    name = f"{options.limit or 'all'}-{options.epochs}-{seed}-" + (
        "full" if rate is None else f"lora{options.rank}-{rate:g}"
    )
    output = options.folder / name
    if not (output / "metrics.json").is_file() or not (output / "peak").is_file():
        command = [sys.executable, "-m", "resumen.train", "--cpu", "--output", str(output), "--seed", str(seed)]
        command += ["--epochs", str(options.epochs)]
        command += ["--limit", str(options.limit)] if options.limit else []
        command += ["--lora-rank", str(options.rank), "--learning-rate", str(rate)] if rate else []
        run = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(run.pid, 0)  # what this one process used at most, and no other
        if status:
            sys.exit(f"{name} failed.")
        (output / "peak").write_text(str(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)))
    metrics = json.loads((output / "metrics.json").read_text())
    metrics["peak"] = int((output / "peak").read_text())
    metrics["optimizer"] = max(path.stat().st_size for path in output.glob("checkpoints/*/optimizer.bin"))
    kept = output / ("model/model.safetensors" if rate is None else "adapter/adapter_model.safetensors")
    return metrics | {"kept": kept.stat().st_size}


def validation(run: dict) -> float:
    """Return rougeL of the best epoch."""
    return max(entry["rougeL"] for entry in run["history"])


def row(runs: list[dict]) -> dict[str, str]:
    """Return what the table says of some runs: the mean, and the smallest and largest where seeds differ."""

    def spread(values: list[float]) -> str:
        mean = f"{sum(values) / len(values):.1f}"
        return mean if len(values) == 1 else f"{mean} ({min(values):.1f} to {max(values):.1f})"

    trained, everything = runs[0]["trained_parameters"], runs[0]["parameters"]
    return {
        "trained parameters": f"{trained:,} of {everything:,} ({100 * trained / everything:.1f} %)",
        "validation rougeL": spread([validation(run) for run in runs]),
        **{f"test rougeL, {name}": spread([run["rouge"][name]["rougeL"] for run in runs]) for name in ("en", "es")},
        "AdamW's averages, MB": f"{runs[0]['optimizer'] / 1e6:.2f}",
        "peak memory of the process, MB": f"{max(run['peak'] for run in runs) / 1e6:,.0f}",
        "what a task adds on disk, MB": f"{runs[0]['kept'] / 1e6:.2f}",
    }


if __name__ == "__main__":
    main()
