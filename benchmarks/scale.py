"""Measure how cost grows with the corpus: this course's code beside the published tutorial's and beside Python row by row.

    python benchmarks/scale.py                       # all of it: an hour or two on two cores
    python benchmarks/scale.py --rows 1000 10000 --token-rows 2000 --train-rows 400 --repeat 1
    python benchmarks/scale.py --write               # and write docs/benchmarks.md and docs/pictures/benchmarks.svg
    python benchmarks/scale.py --last --write        # the same from the figures of the last run, in var/benchmarks/scale.json

Each measurement runs in a process of its own, without a cache, and the things compared take turns. What counts is the least processor time
of all rounds, helpers included: it is what others on the machine disturb least. The memory is what a process holds for itself at its peak;
files that are mapped, the result among them, are no part of it.

The reviews are composed (`resumen.authoring.composer`) and have defects planted in them. Composing takes a millisecond each, so 10,000 a
language are composed, and larger corpora join the beginning of one body to the end of another.
"""

import argparse
import html
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parents[1]
VAR = ROOT / "var" / "benchmarks"
PAGE, PICTURE = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "pictures" / "benchmarks.svg"
SIZES = (1_000, 10_000, 100_000, 400_000)
COMPOSED = 10_000
BOOKS = ["book", "digital_ebook_purchase"]
SEED = 15


# The corpus ------------------------------------------------------------------------------------------------------------


def composed(language: str) -> list[dict]:
    """Return the reviews that larger corpora are made of, from the disk after the first time."""
    from resumen.authoring.composer import compose

    path = VAR / f"{language}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(compose(language, COMPOSED)), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def crossed(reviews: list[dict]) -> Iterator[dict]:
    """Yield the reviews, and then, without end, the beginning of each with the end of another."""
    yield from reviews
    halves = []
    for review in reviews:
        body = review["review_body"]
        place = body.find(". ", len(body) // 2) + 1 or len(body)
        halves.append((body[:place], body[place:].strip()))
    step = 0
    while True:
        step += 37
        for number, review in enumerate(reviews):
            body = f"{halves[number][0]} {halves[(number + step) % len(halves)][1]}".strip()
            yield review | {"review_id": f"{review['review_id']}_{step}", "review_body": body}


def with_defects(reviews: Iterable[dict], rng: random.Random) -> Iterator[dict]:
    """Yield reviews, some with a defect of those that stage 1 cleans: one in eight bodies, one in sixteen titles."""
    lately: list[dict] = []
    for review in reviews:
        yield review | _body_defect(review["review_body"], rng, lately) | _title_defect(review["review_title"], rng)
        lately = [*lately[-50:], review]


def _body_defect(body: str, rng: random.Random, lately: list[dict]) -> dict:
    defects = {
        0: lambda: rng.choice([None, "", " \t", "&nbsp;", "<br />"]),
        1: lambda: html.escape(body).replace(" ", "<br/>", 1),
        2: lambda: unicodedata.normalize("NFD", body),
        3: lambda: f" {body.replace(' ', rng.choice(['  ', chr(160), chr(10)]))}",
        4: lambda: rng.choice(lately)["review_body"].upper() if lately else body,
    }
    return {"review_body": defects.get(rng.randrange(40), lambda: body)()}


def _title_defect(title: str, rng: random.Random) -> dict:
    defects = {
        0: lambda: rng.choice([None, "", "&nbsp;"]),
        1: lambda: f"<b>{title}</b>",
        2: lambda: f"{title} &amp; 👍🏽 ❤️",
    }
    return {"review_title": defects.get(rng.randrange(48), lambda: title)()}


def raw_corpus(language: str, rows: int):
    """Return a corpus of `rows` training reviews of a language and a twentieth as many in each of the other splits."""
    from datasets import Dataset, DatasetDict

    from resumen.corpus import COLUMNS, SCHEMA, SPLITS

    rng = random.Random(f"{language}-{SEED}")
    reviews = with_defects(crossed(composed(language)), rng)
    sizes = dict(zip(SPLITS, (rows, max(20, rows // 40), max(20, rows // 40)), strict=True))
    import pyarrow as pa

    corpus = DatasetDict()
    for split, size in reversed(sizes.items()):
        batches = []
        while size:
            some = list(islice(reviews, min(size, 10_000)))
            size -= len(some)
            batches.append(pa.RecordBatch.from_pylist([{name: row[name] for name in COLUMNS} for row in some], SCHEMA))
        corpus[split] = Dataset(pa.Table.from_batches(batches))
    # Some bodies of the training split are in the test split as well.
    leaks = corpus["test"].select(range(0, len(corpus["test"]), 10)).to_list()
    train = corpus["train"].data.table.slice(0, rows - len(leaks))
    corpus["train"] = Dataset(pa.concat_tables([train, pa.Table.from_pylist(leaks, SCHEMA)]))
    return corpus


# Stage 1 ---------------------------------------------------------------------------------------------------------------


def tutorial(english, spanish):
    """Filter and concatenate as the Hugging Face course does, chapter 7.5. It cleans nothing and leaves copies and leaks."""
    from datasets import DatasetDict, concatenate_datasets

    def filter_books(example):
        return example["product_category"] == "book" or example["product_category"] == "digital_ebook_purchase"

    english, spanish = english.filter(filter_books), spanish.filter(filter_books)
    books = DatasetDict()
    for split in english:
        books[split] = concatenate_datasets([english[split], spanish[split]]).shuffle(seed=42)
    return books.filter(lambda example: len((example["review_title"] or "").split()) > 2)


def row_by_row(english, spanish, categories=BOOKS):
    """Return the rows of `prepare_pairs` by the functions of one text and one row that lab 1 teaches."""
    from datasets import DatasetDict, concatenate_datasets

    from resumen.corpus import build_bilingual, clean_text, has_min_words, normalized_body

    texts = ["review_body", "review_title"]
    parts = []
    for corpus in (english, spanish):
        splits = corpus.filter(lambda category: category in categories, input_columns=["product_category"])
        for split, rows in splits.items():
            rows = rows.filter(
                lambda body, title: bool(clean_text(body)) and bool(clean_text(title)), input_columns=texts
            )
            rows = rows.map(
                lambda body, title: {"review_body": clean_text(body), "review_title": clean_text(title)},
                input_columns=texts,
            )
            splits[split] = unrepeated(rows.filter(has_min_words, input_columns=["review_title"]))
        parts.append(splits)
    pairs = DatasetDict(build_bilingual(*parts))
    held_out = concatenate_datasets([pairs["validation"], pairs["test"]])
    forbidden = {normalized_body(body) for body in held_out["review_body"][:]}
    pairs["train"] = pairs["train"].filter(
        lambda body: normalized_body(body) not in forbidden, input_columns=["review_body"]
    )
    return pairs


def unrepeated(rows):
    """Keep the first row for each pair of language and normalised body."""
    from resumen.corpus import normalized_body

    seen, kept = set(), []
    for number, (language, body) in enumerate(zip(rows["language"][:], rows["review_body"][:], strict=True)):
        key = (language, normalized_body(body))
        if key not in seen:
            seen.add(key)
            kept.append(number)
    return rows.select(kept)


def ours(english, spanish):
    from resumen.corpus import prepare_pairs

    return prepare_pairs(english, spanish, BOOKS)


# Tokens ----------------------------------------------------------------------------------------------------------------


def tokenizing(way: str, rows, tokenizer, profile):
    """Tokenize as the tutorial does, one by one or in batches, or with `tokenize_corpus`."""
    from datasets import DatasetDict

    from resumen.tokenization import tokenize_corpus

    def preprocess_function(examples):
        model_inputs = tokenizer(examples["review_body"], max_length=profile.max_input_length, truncation=True)
        labels = tokenizer(examples["review_title"], max_length=profile.max_target_length, truncation=True)
        model_inputs["labels"] = labels["input_ids"]
        return model_inputs

    if way in ("unbatched", "batched"):
        return rows.map(preprocess_function, batched=way == "batched")
    limits = profile.max_input_length, profile.max_target_length
    processes = 2 if way == "two processes" else None
    return tokenize_corpus(DatasetDict(train=rows), tokenizer, *limits, num_proc=processes)["train"]


# ROUGE -----------------------------------------------------------------------------------------------------------------


def evaluate_rouge(aggregate: bool):
    """Return what `evaluate.load("rouge")` does, built here as the Hub holds its code: rouge_score, and its bootstrap by default."""
    import datasets
    import evaluate
    from rouge_score import rouge_scorer, scoring

    from resumen.metrics import ROUGES, WordTokenizer

    class Rouge(evaluate.Metric):
        def _info(self):
            text = datasets.Value("string")
            return evaluate.MetricInfo(
                description="",
                citation="",
                features=datasets.Features({"predictions": text, "references": text}),
            )

        def _compute(self, predictions, references):
            scorer = rouge_scorer.RougeScorer(list(ROUGES), tokenizer=WordTokenizer())
            scores = [scorer.score(*pair) for pair in zip(references, predictions, strict=True)]
            if not aggregate:
                return {name: [score[name].fmeasure for score in scores] for name in ROUGES}
            aggregator = scoring.BootstrapAggregator()
            for score in scores:
                aggregator.add_scores(score)
            return {name: score.mid.fmeasure for name, score in aggregator.aggregate().items()}

    return Rouge()


def rouge(way: str, count: int) -> list[float]:
    """Score the first sentences of bodies against titles; return the means of the four scores."""
    import numpy as np

    from resumen.metrics import ROUGES, score_examples

    reviews = composed("en") + composed("es")
    reviews = (reviews[:: len(reviews) // min(count, len(reviews))] * count)[:count]
    references = [review["review_title"] for review in reviews]
    predictions = [review["review_body"].split(". ")[0] for review in reviews]
    metric = None if way == "ours" else evaluate_rouge(way == "aggregated")
    with Meter() as meter:
        if metric is None:
            means = score_examples(predictions, references).mean().to_list()
        else:
            found = metric.compute(predictions=predictions, references=references)
            means = [100 * float(np.mean(found[name])) for name in ROUGES]
    return meter.figures | {"means": means}


# Training --------------------------------------------------------------------------------------------------------------


def training(way: str, rows: int) -> dict:
    """Train the tiny checkpoint for one epoch on the embedded corpus; return examples a second and the loss on validation."""
    import torch

    from resumen.corpus import EMBEDDED_REVIEWS, load_reviews, prepare_pairs
    from resumen.modeling import load_checkpoint
    from resumen.profiles import PROFILES
    from resumen.tokenization import tokenize_corpus
    from resumen.training import build_trainer, course_arguments

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    profile = PROFILES["tiny"]
    pairs = prepare_pairs(*(load_reviews(language, EMBEDDED_REVIEWS) for language in ("en", "es")), BOOKS)
    pairs["train"] = pairs["train"].select(range(min(rows, len(pairs["train"]))))
    pairs["validation"] = pairs["validation"].select(range(min(400, len(pairs["validation"]))))
    tokenizer, model = load_checkpoint(profile.checkpoint, profile)
    limits = profile.max_input_length, profile.max_target_length
    tokenized = tokenize_corpus(pairs, tokenizer, *limits)
    changes = {"num_train_epochs": 1, "eval_strategy": "no", "save_strategy": "no", "eval_on_start": False}
    changes |= {"load_best_model_at_end": False, "predict_with_generate": False, "disable_tqdm": True}
    if way == "tutorial":
        changes |= {"per_device_train_batch_size": 8, "train_sampling_strategy": "random", "warmup_steps": 0}
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(model, course_arguments(folder, profile, **changes), tokenized, tokenizer)
        trainer.compute_metrics = None
        with Meter() as meter:
            trainer.train()
        loss = trainer.evaluate()["eval_loss"]
    return meter.figures | {"rows": len(pairs["train"]), "loss": loss}


# Measuring -------------------------------------------------------------------------------------------------------------


class Meter:
    """Time, processor time and the peak of a process's own memory inside a block."""

    def __enter__(self):
        self._stop = threading.Event()
        self._peak = self._start = own_memory()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self._began, self._spent = time.perf_counter(), _processor()
        return self

    def __exit__(self, *_):
        seconds, spent = time.perf_counter() - self._began, _processor() - self._spent
        self._stop.set()
        self._watcher.join()
        self.figures = {"seconds": seconds, "processor": spent, "memory": self._peak, "more": self._peak - self._start}

    def _watch(self):
        while not self._stop.wait(0.005):
            self._peak = max(self._peak, own_memory())


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def own_memory() -> float:
    """Return the megabytes that this process holds for itself, mapped files not counted where the system tells them apart."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000
    except (OSError, StopIteration):
        import psutil

        return psutil.Process().memory_info().rss / 1e6


def digest(pairs) -> str:
    """Return one number for all rows of all splits in their order."""
    import hashlib

    found = hashlib.sha256()
    for split, rows in pairs.items():
        for batch in rows.iter(1000):
            found.update(json.dumps([split, batch], sort_keys=True, default=str).encode())
    return found.hexdigest()[:16]


def one(part: str, way: str, rows: int, folder: str) -> dict:
    """Measure one thing in this process."""
    import datasets

    datasets.disable_progress_bars()
    datasets.disable_caching()
    datasets.logging.set_verbosity_error()
    if part == "make":
        for language in ("en", "es"):
            raw_corpus(language, rows // 2).save_to_disk(f"{folder}/{language}")
        return {}
    if part == "pairs":
        english, spanish = (datasets.load_from_disk(f"{folder}/{language}") for language in ("en", "es"))
        run = {"ours": ours, "tutorial": tutorial, "row by row": row_by_row}[way]
        with Meter() as meter:
            pairs = run(english, spanish)
        same = digest(pairs) if rows <= 100_000 and way != "tutorial" else None
        return meter.figures | {"kept": sum(map(len, pairs.values())), "digest": same}
    if part == "tokens":
        from resumen.corpus import clean_pairs
        from resumen.modeling import load_checkpoint
        from resumen.profiles import PROFILES

        pairs = [clean_pairs(datasets.load_from_disk(f"{folder}/{language}")["train"]) for language in ("en", "es")]
        pairs = datasets.concatenate_datasets(pairs).flatten_indices()
        tokenizer, _ = load_checkpoint(PROFILES["tiny"].checkpoint, PROFILES["tiny"])
        if way == "again":
            datasets.enable_caching()
            tokenizing(way, pairs, tokenizer, PROFILES["tiny"])
        with Meter() as meter:
            tokens = tokenizing(way, pairs, tokenizer, PROFILES["tiny"])
        return meter.figures | {"kept": len(tokens), "sum": sum(map(sum, tokens[:2000]["input_ids"]))}
    return {"rouge": rouge, "training": training}[part](way, rows)


def measure(part: str, ways: list[str], rows: int, repeat: int, folder: Path | None = None) -> dict[str, dict]:
    """Measure each way in turn, `repeat` times, and return the least of each figure."""
    found: dict[str, list[dict]] = {way: [] for way in ways}
    for _ in range(repeat):
        for way in ways:
            command = [sys.executable, __file__, "--one", part, way, str(rows), str(folder)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{part}, {rows:,} rows, {way}: {json.dumps(found[way][-1])}", file=sys.stderr, flush=True)
    least = {}
    for way, figures in found.items():
        keys = ("seconds", "processor", "memory", "more")
        least[way] = figures[0] | {key: min(one[key] for one in figures) for key in keys if key in figures[0]}
    return least


# The table -------------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--token-rows", type=int, default=SIZES[-1])
    parser.add_argument("--rouge-pairs", type=int, default=10_000)
    parser.add_argument("--train-rows", type=int, default=4_000)
    parser.add_argument("--repeat", type=int, default=3, help="rounds; of each figure the least counts")
    parser.add_argument("--write", action="store_true", help="write the page and the picture")
    parser.add_argument("--last", action="store_true", help="measure nothing, and take the figures of the last run")
    options = parser.parse_args()
    found = last() if options.last else measured(options)
    page = report(found)
    print(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
        draw(found["pairs"])
    if wrong := different(found):
        sys.exit("; ".join(wrong))


def last() -> dict:
    found = json.loads((VAR / "scale.json").read_text(encoding="utf-8"))
    return found | {"pairs": {int(rows): ways for rows, ways in found["pairs"].items()}}


def measured(options: argparse.Namespace) -> dict:
    """Measure everything, and keep the figures."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    found = {"pairs": {}, "options": vars(options)}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HF_DATASETS_CACHE"] = f"{folder}/cache"
        for rows in sorted({*options.rows, options.token_rows}):
            place = Path(folder, str(rows))
            measure("make", ["make"], rows, 1, place)
            if rows in options.rows:
                found["pairs"][rows] = measure("pairs", ["ours", "tutorial", "row by row"], rows, options.repeat, place)
            if rows == options.token_rows:
                ways = ["ours", "batched", "unbatched", "two processes", "again"]
                found["tokens"] = measure("tokens", ways, rows, options.repeat, place)
            shutil.rmtree(place)
        found["rouge"] = measure("rouge", ["ours", "aggregated", "one by one"], options.rouge_pairs, options.repeat)
        found["training"] = measure("training", ["ours", "tutorial"], options.train_rows, options.repeat)
    VAR.mkdir(parents=True, exist_ok=True)
    (VAR / "scale.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def ratio(part: dict, slow: str, figure: str = "processor") -> float:
    return part[slow][figure] / part["ours"][figure]


def rates(found: dict) -> dict[str, tuple[float, float]]:
    """Return each ratio, and its bar: how many times as cheap ours has to be."""
    pairs = found["pairs"]
    sizes = sorted(pairs)
    largest, smaller = pairs[sizes[-1]], pairs[sizes[-min(3, len(sizes))]]
    growth = largest["ours"]["memory"] / smaller["ours"]["memory"]
    each = [pairs[size]["ours"]["processor"] / size for size in (sizes[-1], sizes[max(0, len(sizes) - 2)])]
    tokens, scores, trained = found["tokens"], found["rouge"], found["training"]
    return {
        f"`prepare_pairs`, {sizes[-1]:,} rows: the tutorial's filter and concatenation": (
            ratio(largest, "tutorial"),
            1,
        ),
        f"`prepare_pairs`, {sizes[-1]:,} rows: row by row in Python, the same rows": (ratio(largest, "row by row"), 10),
        f"`tokenize_corpus`, {found['tokens']['ours']['kept']:,} pairs: the tutorial's map, unbatched": (
            ratio(tokens, "unbatched"),
            3,
        ),
        f"`tokenize_corpus`, {found['tokens']['ours']['kept']:,} pairs: the tutorial's map, batched": (
            ratio(tokens, "batched"),
            1,
        ),
        f"`score_examples`, {found['options']['rouge_pairs']:,} pairs: `evaluate`'s module": (
            ratio(scores, "aggregated"),
            5,
        ),
        f"`score_examples`, {found['options']['rouge_pairs']:,} pairs: the same without its bootstrap": (
            ratio(scores, "one by one"),
            1,
        ),
        "Fine-tuning for an epoch: the tutorial's recipe": (ratio(trained, "tutorial"), 1.5),
        "MEMORY": (growth, 1.5),
        "GROWTH": (each[0] / each[1], 1.5),
    }


def different(found: dict) -> list[str]:
    """Return what is not the same where it must be."""
    wrong = []
    for rows, ways in found["pairs"].items():
        if ways["ours"]["digest"] != ways["row by row"]["digest"] or ways["ours"]["kept"] != ways["row by row"]["kept"]:
            wrong.append(f"other rows of {rows:,}")
    if len({(one["kept"], one["sum"]) for one in found["tokens"].values()}) > 1:
        wrong.append("other tokens")
    ours, same = (found["rouge"][way]["means"] for way in ("ours", "one by one"))
    if max(abs(a - b) for a, b in zip(ours, same, strict=True)) > 1e-6:
        wrong.append("other ROUGE")
    return wrong


def machine() -> str:
    import psutil

    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()}, Python {platform.python_version()}"
    )


def report(found: dict) -> str:
    """Return the page: what was measured, every ratio, the table of sizes."""
    ratios = rates(found)
    growth, linear = ratios.pop("MEMORY")[0], ratios.pop("GROWTH")[0]
    sizes = sorted(found["pairs"])
    lines = [
        "# Cost as the corpus grows",
        "",
        f"`python benchmarks/scale.py --write` measured this page and its picture on a machine with {machine()}. "
        f"Other programs ran at the same time. Rounds: {found['options']['repeat']}. In each the things compared take turns, and the least of each figure counts. "
        "Seconds are processor time, of all processes together.",
        *(["", found["note"]] if "note" in found else []),
        "",
        "## Ratios",
        "",
        "How many times the processor time of the course's code the other one takes. More is better.",
        "",
        "| the course's code: compared with | times | bar |",
        "|---|---|---|",
        *(f"| {name} | {times:.1f} | {bar:g} |" for name, (times, bar) in ratios.items()),
        "",
        "The tutorial's filter cleans nothing. It leaves copies, leaks and markup in the corpus.",
        "",
        f"## `prepare_pairs` from {sizes[0]:,} to {sizes[-1]:,} rows",
        "",
        "![Processor seconds for each number of rows, on logarithmic axes](pictures/benchmarks.svg)",
        "",
        "| rows | the course | tutorial | row by row | the course's own memory | rows kept |",
        "|---|---|---|---|---|---|",
    ]
    for rows in sizes:
        ways = found["pairs"][rows]
        seconds = " | ".join(f"{ways[way]['processor']:.2f} s" for way in ("ours", "tutorial", "row by row"))
        lines.append(f"| {rows:,} | {seconds} | {ways['ours']['memory']:.0f} MB | {ways['ours']['kept']:,} |")
    memory = {way: found["tokens"][way] for way in ("two processes", "again")}
    base = found["tokens"]["ours"]
    quality = {way: figures["loss"] for way, figures in found["training"].items()}
    lines += [
        "",
        f"Memory is what the process holds at its peak, Python and its libraries included, and files that are mapped left out. From {sizes[-min(3, len(sizes))]:,} to {sizes[-1]:,} rows it grows {growth:.2f} times (bar 1.5). "
        f"A row of the largest corpus takes {linear:.2f} times the time of a row of the next smaller one.",
        "",
        "The rows are the same, in the same order, as row by row: the script compares a digest of all of them up to 100,000, and their number above.",
        "",
        "## Tokens and training",
        "",
        f"`tokenize_corpus` with two processes ends after {memory['two processes']['seconds'] / base['seconds']:.2f} times the wall-clock time of one. "
        f"A second call with the same tokenizer takes {memory['again']['seconds']:.2f} s, as it finds the result in the cache.",
        "",
        f"After one epoch of {found['training']['ours']['rows']:,} reviews the loss on validation is {quality['ours']:.3f} by the course's recipe and {quality['tutorial']:.3f} by the tutorial's "
        "(batches of 8 in random order). Learning rate and optimizer are the same. Nothing is evaluated during the epoch. The course's recipe takes half as many steps.",
        "",
        "`evaluate`'s module lies on the Hub. The script holds the same steps: rouge_score, with its bootstrap by default. The words are the course's in both.",
        "",
    ]
    return "\n".join(lines)


def draw(pairs: dict) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "scale"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    styles = {
        "ours": ("o-", "this course"),
        "tutorial": ("s--", "tutorial, cleans nothing"),
        "row by row": ("^:", "row by row"),
    }
    for way, (style, label) in styles.items():
        axes.plot(list(pairs), [ways[way]["processor"] for ways in pairs.values()], style, label=label)
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="processor time (s)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        part, way, rows, folder = sys.argv[2:6]
        print(json.dumps(one(part, way, int(rows), folder)))
    else:
        main()
