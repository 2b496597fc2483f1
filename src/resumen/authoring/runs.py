"""Train what stage 4 compares its live run with: `python -m resumen.authoring.runs`.

It writes data/runs: the titles of two more seeds, the learning curve, the sweep over rate, epochs and batch size, the scores of several ways of
decoding, and the card. All of it comes from `training.fine_tune`, the recipe of the lecture.

Each run is a file of its own below `--work` and is skipped if it is there, so the command can be stopped and started again. The files lie in a
folder that is named after checkpoint, corpus and decoding: with other weights everything is trained anew.
"""

import argparse
import hashlib
import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from datasets import Dataset, DatasetDict

from resumen.corpus import BOOKS, EMBEDDED_REVIEWS, LANGUAGES, load_reviews, prepare_pairs
from resumen.errors import CourseError
from resumen.experiment import RUNS, test_parts
from resumen.files import write_text
from resumen.metrics import ROUGES, evaluate_system
from resumen.modeling import FINAL_DECODING, load_checkpoint
from resumen.profiles import PROFILES, SEED, Profile
from resumen.setup import quieten, seed_everything
from resumen.tokenization import tokenize_corpus
from resumen.training import best_epoch, build_trainer, course_arguments, fine_tune, write_titles

TINY = PROFILES["tiny"]
OTHER_SEEDS = (43, 44)
"""The lecture trains with `SEED` while the reader looks on."""

SEEDS = (SEED, *OTHER_SEEDS)
CURVE = {0: 0, 100: 8, 400: 6, 1_600: 4}
"""Training pairs, and how often a run sees them: few pairs need more passes. All pairs are seen as often as in the lecture."""

RATES, EPOCHS, BATCH_SIZES = (5e-4, 1e-3, 2e-3), (2, 4), (16, 32)
"""The sweep. It stops at four epochs: eight were worse on another split, see the card of the checkpoint."""

BEAMS, PENALTIES = (1, 4, 8, 16), (0.7, 1.0)
"""Ways of decoding: widths of the beam search, and exponents of the length that a beam's log-probability is divided by. Greedy decoding has no beams to compare."""

MARGIN = 0.5
"""ROUGE points within which two trainings count as equal: another seed moves a score by about as much."""

SEARCH_MARGIN = 0.25
"""The same for two ways of decoding: one model writes for the same reviews, so less is left to chance."""


@dataclass(frozen=True)
class Run:
    """One fine-tune. `pairs` is None for the whole train split; with `searches` the ways of decoding are compared.

    That is a run of its own, though the sweep has trained the same: which of its rows is the setting is known only after it.
    """

    seed: int = SEED
    pairs: int | None = None
    epochs: int = TINY.num_train_epochs
    learning_rate: float = TINY.learning_rate
    batch_size: int = TINY.batch_size
    searches: bool = False

    @property
    def name(self) -> str:
        size = "all" if self.pairs is None else self.pairs
        name = f"pairs_{size}-seed_{self.seed}-epochs_{self.epochs}-rate_{self.learning_rate:g}-batch_{self.batch_size}"
        return name + self.searches * "-searches"

    @property
    def writes_titles(self) -> bool:
        return self.seed in OTHER_SEEDS and self.pairs is None


def decodings() -> list[dict]:
    """Return generation options, none of which lets a trigram come twice."""
    wide = [{"num_beams": beams, "length_penalty": penalty} for beams in BEAMS if beams > 1 for penalty in PENALTIES]
    return [options | {"no_repeat_ngram_size": 3} for options in [{"num_beams": 1}, *wide]]


def sweep_runs() -> list[Run]:
    return [
        Run(epochs=epochs, learning_rate=rate, batch_size=size)
        for size in BATCH_SIZES
        for epochs in EPOCHS
        for rate in RATES
    ]


def curve_runs() -> list[Run]:
    """Return the runs of the learning curve, all pairs included. Without a pair the seed changes nothing, so there is one run."""
    few = [Run(seed=seed, pairs=pairs, epochs=epochs) for pairs, epochs in CURVE.items() if pairs for seed in SEEDS]
    return [Run(pairs=0, epochs=0), *few, *(Run(seed=seed) for seed in SEEDS)]


def load_pairs() -> DatasetDict:
    return prepare_pairs(*(load_reviews(language, EMBEDDED_REVIEWS) for language in LANGUAGES), BOOKS)


def execute(run: Run) -> dict:
    """Return `train` of the embedded reviews with the tiny profile; titles of each part only if the run writes any."""
    torch.set_num_threads(1)  # a second thread gains nothing at this size, and would disturb another run
    pairs = load_pairs()
    return train(run, TINY, pairs, test_parts(pairs, BOOKS) if run.writes_titles else {})


def train(run: Run, profile: Profile, pairs: DatasetDict, parts: Mapping[str, Dataset]) -> dict:
    """Train, and return the best epoch, the validation scores per language, the log, and the titles of each part."""
    quieten()
    seed_everything(run.seed)
    tokenizer, model = load_checkpoint(profile=profile)
    given = pairs["train"]
    if run.pairs is not None:  # the first hundred of a seed are among its first four hundred
        given = given.shuffle(seed=run.seed).select(range(run.pairs or 1))
    written = {f"titles of {name}": rows for name, rows in parts.items()}  # a part may be called validation as well
    splits = DatasetDict({"train": given, "validation": pairs["validation"], **written})
    tokenized = tokenize_corpus(splits, tokenizer, profile.max_input_length, profile.max_target_length)
    changes = {
        "num_train_epochs": run.epochs,
        "learning_rate": run.learning_rate,
        "per_device_train_batch_size": run.batch_size,
        "disable_tqdm": True,
    }
    with tempfile.TemporaryDirectory() as folder:
        if run.pairs == 0:
            trainer, epoch = build_trainer(model, course_arguments(folder, profile), tokenized, tokenizer), 0
        else:
            trainer = fine_tune(model, tokenizer, tokenized, profile, folder, run.seed, **changes)
            epoch = round(best_epoch([entry for entry in trainer.state.log_history if entry["epoch"] > 0])["epoch"])

        def score(decoding: dict) -> dict:
            titles = write_titles(trainer, tokenized["validation"], decoding)
            scores = evaluate_system(titles, pairs["validation"]["review_title"][:], pairs["validation"]["language"][:])
            return scores.loc[list(LANGUAGES), list(ROUGES)].to_dict(orient="index")

        return {
            **asdict(run),
            "parameters": model.num_parameters(),
            "best_epoch": epoch,
            "validation": score(FINAL_DECODING),
            "decodings": [options | {"scores": score(options)} for options in decodings() if run.searches],
            "log": trainer.state.log_history,
            "titles": {name: write_titles(trainer, tokenized[f"titles of {name}"]) for name in parts},
        }


def execute_into(run: Run, path: Path) -> float:
    """Write what `execute` returns, complete or not at all; return the seconds it took."""
    started = time.perf_counter()
    write_text(path, json.dumps(execute(run), ensure_ascii=False, indent=1) + "\n")
    return time.perf_counter() - started


def fingerprint() -> str:
    """Return a name for checkpoint, corpus and decoding together: their runs can be compared with one another only."""
    digest = hashlib.sha256(json.dumps(FINAL_DECODING).encode())
    for path in (Path(TINY.checkpoint) / "model.safetensors", *sorted(EMBEDDED_REVIEWS.glob("*.parquet"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def curve_table(results: dict[str, dict]) -> pd.DataFrame:
    """Return one row per number of pairs, seed and language, with the validation scores."""
    every = len(load_pairs()["train"])
    rows = []
    for run in curve_runs():
        for seed in SEEDS if run.pairs == 0 else (run.seed,):
            for language, scores in results[run.name]["validation"].items():
                pairs = every if run.pairs is None else run.pairs
                rows.append({"pairs": pairs, "seed": seed, "language": language, **_rounded(scores)})
    return pd.DataFrame(rows)


def sweep_table(results: dict[str, dict]) -> pd.DataFrame:
    """Return one row per setting, with the validation rougeL of each language."""
    rows = []
    for run in sweep_runs():
        found = results[run.name]
        rouge = {language: round(found["validation"][language]["rougeL"], 2) for language in LANGUAGES}
        setting = {"batch_size": run.batch_size, "epochs": run.epochs, "learning_rate": run.learning_rate}
        rows.append({**setting, "best_epoch": found["best_epoch"], **rouge})
    return pd.DataFrame(rows)


def decoding_table(results: dict[str, dict]) -> pd.DataFrame:
    """Return one row per way of decoding, with the validation rougeL of each language: the lecture's setting, seed 42."""
    rows = []
    for found in results[Run(searches=True).name]["decodings"]:
        rouge = {language: round(found["scores"][language]["rougeL"], 2) for language in LANGUAGES}
        rows.append({"num_beams": found["num_beams"], "length_penalty": found.get("length_penalty"), **rouge})
    return pd.DataFrame(rows)


def chosen(table: pd.DataFrame, costs: Sequence[str], margin: float) -> pd.Series:
    """Return the row that the course takes: within `margin` of the best mean over the languages, the cheapest, and of those the one with the best mean.

    Args:
        table: with a column of rougeL for each language, such as sweep.csv.
        costs: the columns that say what a row costs, the one that counts most first.
        margin: points within which rows count as equally good.
    """
    mean = table[list(LANGUAGES)].mean(axis=1)
    good = table.assign(mean=mean)[mean >= mean.max() - margin]
    return good.sort_values([*costs, "mean"], ascending=[True] * len(costs) + [False]).iloc[0]


def chosen_setting(sweep: pd.DataFrame) -> pd.Series:
    """Return the row of the fewest epochs, then of the best mean."""
    return chosen(sweep, ["epochs"], MARGIN)


def chosen_search(table: pd.DataFrame) -> pd.Series:
    """Return the row of the fewest beams, then of the smallest penalty: titles are short."""
    return chosen(table, ["num_beams", "length_penalty"], SEARCH_MARGIN)


def write_titles_of(seed: int, parts: Mapping[str, Dataset], titles: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Write `seed_<seed>.jsonl`, which `experiment` reads: one line for each row of each part."""
    lines = [
        {"part": part, "review_id": name, "title": title}
        for part, rows in parts.items()
        for name, title in zip(rows["review_id"][:], titles[part], strict=True)
    ]
    write_text(folder / f"seed_{seed}.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def write_results(results: dict[str, dict], folder: Path) -> None:
    """Write the titles of `OTHER_SEEDS`, curve.csv, sweep.csv, decoding.csv and the card."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = load_pairs()
    parts = test_parts(pairs, BOOKS)
    for seed in OTHER_SEEDS:
        write_titles_of(seed, parts, results[Run(seed=seed).name]["titles"], folder)
    tables = {"curve": curve_table(results), "sweep": sweep_table(results), "decoding": decoding_table(results)}
    for name, table in tables.items():
        write_text(folder / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "README.md", card(folder, len(pairs["train"])))


def shipped_scores(folder: Path = RUNS) -> pd.DataFrame:
    """Return the scores of the shipped titles: index part, language and seed, columns `ROUGES`, one decimal."""
    parts = test_parts(load_pairs(), BOOKS)
    rows = {}
    for path in sorted(folder.glob("seed_*.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for part, given in parts.items():
            titles = [line["title"] for line in lines if line["part"] == part]
            scores = evaluate_system(titles, given["review_title"][:], given["language"][:])
            for language in LANGUAGES:
                rows[part, language, path.stem.removeprefix("seed_")] = scores.loc[language, list(ROUGES)].round(1)
    return pd.DataFrame.from_dict(rows, orient="index")


def card(folder: Path, pairs: int) -> str:
    """Return README.md for the files in the folder."""
    scores = shipped_scores(folder)
    table = [
        f"| {part} | {language} | {seed} | " + " | ".join(f"{row[name]:.1f}" for name in ROUGES) + " |"
        for (part, language, seed), row in scores.iterrows()
    ]
    choice = chosen_setting(pd.read_csv(folder / "sweep.csv"))
    search = chosen_search(pd.read_csv(folder / "decoding.csv"))
    passes = ", ".join(f"{epochs} over {count:,}" for count, epochs in CURVE.items() if count)
    return f"""# Runs that nobody has to train again

Made by `python -m resumen.authoring.runs` from the embedded reviews and `mt5-tiny`, with the recipe of stage 4's lecture (`resumen.training.fine_tune`). Do not edit them. Licence: CC BY 4.0 (`LICENSE-CONTENT`).

| file | what it holds |
|---|---|
| `seed_43.jsonl`, `seed_44.jsonl` | the titles of two more training seeds, one line for each review of `test`, `literary` and `synopses`: `part`, `review_id`, `title`. The lecture trains the third seed, {SEED} |
| `curve.csv` | validation ROUGE against the number of training pairs, for the seeds {", ".join(map(str, SEEDS))}. The small sets are drawn by the seed, each among the next larger one |
| `sweep.csv` | validation rougeL against batch size, epochs and learning rate, seed {SEED} |
| `decoding.csv` | validation rougeL against the width of the beam search and its length penalty, seed {SEED}, the setting below |
| `outputs.csv` | twenty-four titles of the seeds 43 and 44 with their reviews, picked by hand so that every kind of fault occurs; lab 5 has them rated, so they stay as they are when the runs are made anew |
| `nights.csv` | what the Trainer logged in four short runs on the second corpus, all but one with a mistake that raises no error; lab 4 has them diagnosed. Made by `python -m resumen.authoring.nights`, which says what the mistakes are |

The best epoch by rougeL was kept in each run. Few pairs need more passes, so the curve takes {passes}, and as many as the lecture over all {pairs:,}. Without a pair there is nothing to train, and the three seeds have one score.

Titles were written with `resumen.modeling.FINAL_DECODING`, see below. Floating-point sums depend on the processor: the same seed gives other weights, and some other titles, on another machine.

## Setting

Of the rows of `sweep.csv` within {MARGIN} of the best rougeL (mean of the two languages), those with the fewest epochs, and of these the best: batches of {choice["batch_size"]:.0f}, {choice["epochs"]:.0f} epochs, learning rate {choice["learning_rate"]:g}. The profile `tiny` has it. The sweep stops at four epochs: eight were worse on another split (`../mt5-tiny/README.md`).

Of the rows of `decoding.csv` within {SEARCH_MARGIN} of the best rougeL, the one with the fewest beams, and then with the smallest penalty, since titles are short: {search["num_beams"]:.0f} beams, length penalty {search["length_penalty"]:g}. `FINAL_DECODING` has it. No trigram may come twice in a title.

## Scores

ROUGE F-measure × 100 of the shipped titles.

| part | language | seed | {" | ".join(ROUGES)} |
|---|---|---|{"---|" * len(ROUGES)}
{chr(10).join(table)}

Checkpoint, corpus and decoding: `{fingerprint()}`
"""


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(score, 2) for name, score in scores.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m resumen.authoring.runs", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--work", type=Path, default=Path("var/runs"), help="where the single runs are kept")
    parser.add_argument("--sweep", action="store_true", help="train the sweep only and say what it chooses")
    parser.add_argument("--folder", type=Path, default=RUNS, help="where the results go")
    options = parser.parse_args(arguments)
    work = options.work / fingerprint()
    work.mkdir(parents=True, exist_ok=True)
    runs = sweep_runs() if options.sweep else list(dict.fromkeys([*sweep_runs(), *curve_runs(), Run(searches=True)]))
    files = {run: work / f"{run.name}.json" for run in runs}
    missing = [run for run, path in files.items() if not path.is_file()]
    print(f"{len(runs)} runs, {len(missing)} of them to train, into {work}", flush=True)
    load_pairs()  # into the cache, before several processes look for it
    # A run starts in a process of its own, so that nothing of another one is left.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=spawn) as pool:
        started = {pool.submit(execute_into, run, files[run]): run for run in missing}
        for done in as_completed(started):
            print(f"{started[done].name}: {done.result():.0f} s", flush=True)
    results = {run.name: json.loads(path.read_text(encoding="utf-8")) for run, path in files.items()}
    sweep = sweep_table(results)
    print(sweep.to_string(index=False))
    choice = chosen_setting(sweep)
    settings = {"num_train_epochs": "epochs", "learning_rate": "learning_rate", "batch_size": "batch_size"}
    if any(getattr(TINY, name) != choice[column] for name, column in settings.items()):
        raise CourseError(
            f"The sweep chooses {', '.join(f'{name}={choice[column]:g}' for name, column in settings.items())}: put it into the profile tiny and start again."
        )
    if not options.sweep:
        search = chosen_search(decoding_table(results))
        if any(FINAL_DECODING[name] != search[name] for name in ("num_beams", "length_penalty")):
            raise CourseError(
                f"The scores choose num_beams={search['num_beams']:.0f} and length_penalty={search['length_penalty']:g}: put them into modeling.FINAL_DECODING and start again."
            )
        write_results(results, options.folder)
        print((options.folder / "README.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
