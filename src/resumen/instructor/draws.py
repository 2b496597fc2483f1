"""Hidden tests that are not public: the same checks on data drawn for one course, with what the reference makes of them.

The solutions of this course can be read by everybody, and so can its hidden tests. An answer that was fitted to those passes
them. It does not pass checks on data that only the instructor has. A copied reference is right, and no test can tell.
"""

import math
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pprint import pformat
from textwrap import indent

PLACE = "# The hidden tests of your own course stand below this line. Nobody else has them: change them, add to them."

NOTHING_DRAWN = "# None yet: the README of your course shows how to write one."


@dataclass(frozen=True)
class Draw:
    """How the private data of a task is made: `inputs(rng)` gives names and plain values, `call` a plain value from them.

    Numbers may differ by `tolerance`.
    """

    inputs: Callable[[random.Random], dict]
    call: str
    imports: str = ""
    tolerance: float = 1e-6


def private_tests(grade_id: str, rng: random.Random) -> str:
    """Return the lines that follow a task's public hidden tests: a place for the instructor's own, filled where that is honest.

    Args:
        grade_id: nbgrader's name of the test cell, such as `clean-text-tests`.
        rng: where the data comes from.
    """
    draw = DRAWS.get(grade_id)
    if draw is None:
        return f"{PLACE}\n{NOTHING_DRAWN}"
    inputs = draw.inputs(rng)
    namespace = {**_references(), **inputs}
    exec(draw.imports, namespace)
    expected = eval(draw.call, namespace)
    lines = ["from resumen.lab import expect", *draw.imports.splitlines(), ""]
    lines += [f"{name} = {_literal(value)}" for name, value in inputs.items()]
    lines += [f"expected = {_literal(expected)}"]
    lines += [f'expect({draw.call}, expected, hint="see the contract", tolerance={draw.tolerance})']
    # Every lab imports `quiet` from resumen.lab: what an answer warns of or logs costs nothing.
    return f"{PLACE}\nwith quiet():\n{indent(chr(10).join(lines), '    ')}"


def _literal(value) -> str:
    return pformat(value, width=110, compact=True, sort_dicts=False)


@cache
def _references() -> dict:
    """Return the course's own versions of the graded functions by name."""
    from resumen import baselines, corpus, metrics, modeling, text, tokenization, training

    modules = (text, metrics, baselines, corpus, tokenization, modeling, training)
    return {name: value for module in modules for name, value in vars(module).items() if not name.startswith("_")}


# Material -------------------------------------------------------------------------------------------------------------


@cache
def _reviews(language: str) -> list[dict]:
    """Return the training reviews of the embedded corpus that have a body and a title."""
    from resumen.corpus import EMBEDDED_REVIEWS, drop_invalid, load_reviews

    return drop_invalid(load_reviews(language, EMBEDDED_REVIEWS)["train"]).to_list()


@cache
def _tokenizer():
    """Return the tokenizer that the drawn tests load, too."""
    from transformers import AutoTokenizer

    from resumen.profiles import PROFILES

    return AutoTokenizer.from_pretrained(PROFILES["tiny"].checkpoint)


def _draw(rng: random.Random, count: int) -> list[dict]:
    """Return reviews of both languages in a random order."""
    spanish = count // 2
    rows = rng.sample(_reviews("en"), count - spanish) + rng.sample(_reviews("es"), spanish)
    return rng.sample(rows, count)


def _words(rng: random.Random, most: int) -> str:
    """Return some words in a row from the body of a review."""
    words = re.findall(r"[^\W\d_]+", rng.choice(_draw(rng, 2))["review_body"])
    first = rng.randrange(max(1, len(words) - most))
    return " ".join(words[first : first + rng.randint(1, most)])


def _nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _disguised(rng: random.Random, text: str) -> str:
    """Return a text with the same normalised body: other case, other white space, letters in pieces."""
    changes = [str.upper, str.capitalize, _nfd, lambda one: f" {one}\n", lambda one: one.replace(" ", " \u00a0")]
    for change in rng.sample(changes, 2):
        text = change(text)
    return text


def _columns(rows: list[dict], *more: str) -> dict[str, list]:
    names = ("review_id", "language", "review_body", "review_title", *more)
    return {name: [row[name] for row in rows] for name in names}


def _short(rng: random.Random, count: int) -> list[dict]:
    """Return reviews with bodies of a few words: an instructor reads these in a cell."""
    return [row | {"review_body": _words(rng, 6)} for row in _draw(rng, count)]


# Stage 1 --------------------------------------------------------------------------------------------------------------


def _marked_up(rng: random.Random) -> dict:
    parts = [
        "<br />",
        "<p class='x'>",
        "</i\n>",
        "<!-- no -->",
        "&amp;",
        "&amp;lt;",
        "&ntilde;",
        "&nbsp;",
        " 3 < 5 ",
        "\t",
    ]

    def text() -> str:
        words = [rng.choice((str, _nfd))(_words(rng, 3)) for _ in range(3)]
        return "".join(word + rng.choice(("", " ")) + rng.choice(parts) for word in words)

    return {"texts": [None, *(text() for _ in range(8))]}


def _with_blanks(rng: random.Random) -> dict:
    rows = _short(rng, 9)
    for row in rng.sample(rows, 5):
        row[rng.choice(("review_body", "review_title"))] = rng.choice((None, "", " \n", "&nbsp;", "<br/>", "<p> </p>"))
    return {"columns": _columns(rows, "stars")}


def _categories(rng: random.Random) -> dict:
    names = ["book", "Book", "digital_ebook_purchase", "toy", "toys", "pc", None]

    def split() -> dict:
        return {"review_id": rng.sample(range(100), 8), "product_category": rng.choices(names, k=8)}

    return {"splits": {"train": split(), "test": split()}, "categories": rng.sample(names[:-1], 2)}


def _titles(rng: random.Random) -> dict:
    tokens = ["-", "…", "5/5", "¡!", "👍", "«Así»", "must-read", "don't", "Ñ", "3,50"]
    titles = [" ".join(rng.sample([*tokens, *_words(rng, 4).split()], rng.randint(1, 6))) for _ in range(12)]
    return {"cases": [(title, rng.randint(1, 4)) for title in titles]}


def _repeats(rng: random.Random) -> dict:
    rows = _short(rng, 5)
    rows += [row | {"review_body": _disguised(rng, row["review_body"])} for row in rows]
    rows += [row | {"language": rng.choice(("en", "es"))} for row in rng.sample(rows, 2)]
    rows = [row | {"review_id": f"r{number}"} for number, row in enumerate(rows)]
    return {"columns": _columns(rng.sample(rows, len(rows)))}


def _leaks(rng: random.Random) -> dict:
    train = _short(rng, 8)
    held_out = [
        row | {"review_body": _disguised(rng, row["review_body"]), "language": rng.choice(("en", "es"))}
        for row in rng.sample(train, 3)
    ]
    return {"train": _columns(train + train[:2]), "held_out": _columns(held_out + _short(rng, 2))}


def _two_corpora(rng: random.Random) -> dict:
    def split(language: str) -> dict:
        ids = [f"{language}{number}" for number in rng.sample(range(100), rng.randint(3, 8))]
        return {"review_id": ids, "language": [language] * len(ids)}

    parts = {language: {name: split(language) for name in ("train", "test")} for language in ("en", "es")}
    return {"english": parts["en"], "spanish": parts["es"], "seed": rng.randrange(1000)}


def _raw_corpora(rng: random.Random) -> dict:
    """Return two corpora of few rows: markup, short titles, copies, leaks across splits and languages, another category."""
    rows = [row | {"product_category": "book"} for row in _short(rng, 16)]
    rows += [
        row
        | {"review_body": rng.choice((f"<p>{row['review_body']}</p>", _disguised(rng, row["review_body"])))}
        | {"review_title": rng.choice((row["review_title"], "<b>Muy</b> bueno", "One &amp; two", None))}
        for row in rng.choices(rows, k=16)
    ]
    rows += [row | {"product_category": "toy"} for row in _short(rng, 2)]
    rows = [row | {"review_id": f"r{number}"} for number, row in enumerate(rng.sample(rows, len(rows)))]
    # A row of its own for each split, so that none is left empty.
    words = iter(rng.sample(["uno", "dos", "tres", "cuatro", "cinco", "seis"], 6))
    parts = {}
    for language in ("english", "spanish"):
        parts[language] = {}
        for split, count in (("train", 9), ("validation", 4), ("test", 4)):
            some, rows = rows[:count], rows[count:]
            own = f"{next(words)} de seis"
            own_row = some[0] | {"review_id": f"own {own}", "review_body": own, "review_title": f"El {own}"}
            some = [row | {"language": language[:2].replace("sp", "es")} for row in [*some, own_row]]
            parts[language][split] = _columns(some, "product_category")
    return parts


def _lengths(rng: random.Random) -> dict:
    rows = [row | {"review_title": rng.choice((row["review_title"], "¡Bien!", "5 - 5"))} for row in _short(rng, 9)]
    return {"columns": _columns(rows)}


# Stage 2 --------------------------------------------------------------------------------------------------------------


def _texts(rng: random.Random) -> dict:
    texts = [row["review_body"] for row in _draw(rng, 4)] + ["", "  "]
    return {"texts": rng.sample(texts, 6)}


def _batch(rng: random.Random) -> dict:
    rows = _draw(rng, 3)
    return {
        "batch": {name: [row[name] for row in rows] for name in ("review_body", "review_title")},
        "limits": (rng.randint(4, 12), rng.randint(2, 5)),
    }


def _labels(rng: random.Random) -> dict:
    width = rng.randint(3, 7)
    lengths = [rng.randint(1, width) for _ in range(4)]
    labels = [[*(rng.randint(10, 99) for _ in range(n - 1)), 1] + [-100] * (width - n) for n in lengths]
    return {"labels": labels, "start": rng.randint(2, 9), "pad": rng.randint(2, 9)}


def _features(rng: random.Random) -> dict:
    def row(length: int) -> list[int]:
        return [*(rng.randint(10, 99) for _ in range(length - 1)), 1]

    bodies = [row(rng.randint(1, 6)) for _ in range(4)]
    features = [
        {"input_ids": body, "attention_mask": [1] * len(body), "labels": row(rng.randint(1, 5))} for body in bodies
    ]
    return {"features": features, "pad": rng.randint(2, 9), "start": rng.randint(2, 9)}


def _ids(rng: random.Random) -> dict:
    """Return rows of token ids: words, with padding, `</s>`, sentinels and -100 among them, wherever."""
    tokenizer = _tokenizer()
    special = [-100, *rng.sample(tokenizer.all_special_ids, 6)]
    rows = []
    for _ in range(5):
        # Special tokens stand before and behind the words: between them, what is one word is not for the contract to say.
        words = tokenizer(_words(rng, 5), add_special_tokens=False)["input_ids"]
        rows.append([*rng.choices(special, k=rng.randint(0, 2)), *words, *rng.choices(special, k=rng.randint(0, 3))])
    width = max(map(len, rows))
    return {"labels": [row + [-100] * (width - len(row)) for row in rows]}


# Stages 3 to 5 --------------------------------------------------------------------------------------------------------


def _pairs(rng: random.Random) -> dict:
    """Return predictions and references that share words, in another order, case and form."""
    pairs = []
    for _ in range(6):
        words = _words(rng, 8).split()
        other = rng.sample(words, rng.randint(1, len(words))) + _words(rng, 3).split()
        pairs.append((" ".join(words), rng.choice((str, str.upper, _nfd))(" ".join(other))))
    return {"pairs": [*pairs, ("", pairs[0][0])]}


def _lines(rng: random.Random) -> dict:
    """Return predictions and references of several lines, out of few words: lines share them, and ties occur."""
    pairs = []
    for _ in range(6):
        words = _words(rng, 5).split()
        pairs.append(tuple("\n".join(" ".join(rng.choices(words, k=4)) for _ in range(3)) for _ in range(2)))
    return {"pairs": [*pairs, ("", pairs[0][0])]}


def _with_marks(rng: random.Random) -> dict:
    marks = ["¿", "! ", "…", "_", "-", " 3,50 € ", "'", "\n", "«", "."]
    return {"texts": ["".join(f"{_words(rng, 2)}{rng.choice(marks)}" for _ in range(4)) for _ in range(8)]}


def _leads(rng: random.Random) -> dict:
    return {"cases": [(row["review_body"], row["language"], rng.randint(0, 4)) for row in _draw(rng, 4)]}


def _oracles(rng: random.Random) -> dict:
    return {"cases": [(row["review_body"], row["review_title"], row["language"]) for row in _draw(rng, 5)]}


def _is_clear(scores: list[float]) -> bool:
    """Say whether the highest score is so by far: right answers add up in different orders, so near-ties would be unfair."""
    first, second = sorted(scores)[:-3:-1]
    return first - second > 1e-6


def _constants(rng: random.Random) -> dict:
    """Return titles and references that share words, one title of which is the best by far."""
    while True:
        words = _words(rng, 6).split() + _words(rng, 6).split()
        titles, references = ([" ".join(rng.choices(words, k=rng.randint(1, 4))) for _ in range(6)] for _ in range(2))
        rouge_1 = _references()["rouge_n"]
        if _is_clear([sum(rouge_1(title, other).fmeasure for other in references) for title in set(titles)] + [0.0]):
            return {"titles": titles, "references": references}


def _lookups(rng: random.Random) -> dict:
    """Return texts and a train split with one nearest text for each of them, some in another case and form."""
    words_of = _references()["tokenize_words"]

    def cosines(text: str, others: list[str]) -> list[float]:
        counts = Counter(words_of(text))
        bags = [Counter(words_of(other)) for other in others]
        return [sum(counts[word] * bag[word] for word in counts) / math.hypot(*bag.values()) for bag in bags]

    while True:
        rows = _draw(rng, 7)
        words = [word for row in rows for word in row["review_body"].split()[:6]]
        train, texts = ([" ".join(rng.choices(words, k=rng.randint(2, 7))) for _ in range(n)] for n in (7, 3))
        if all(map(words_of, train)) and all(_is_clear(cosines(text, train)) for text in texts):
            return {
                "texts": [_disguised(rng, text) for text in texts],
                "train_texts": train,
                "train_titles": [row["review_title"] for row in rows],
            }


def _system(rng: random.Random) -> dict:
    rows = _draw(rng, 6)
    predictions = [" ".join([rng.choice(row["review_title"].split()), _words(rng, 3)]) for row in rows]
    return {
        "predictions": predictions,
        "references": [row["review_title"] for row in rows],
        "languages": [row["language"] for row in rows],
    }


def _scores(rng: random.Random) -> dict:
    """Return two systems, and what one has more than the other, the same in each example: all samples are alike then."""
    scores = [rng.randrange(100) for _ in range(12)]
    return {"one": scores, "other": [*rng.sample(scores, 11), rng.randrange(100)], "more": rng.choice((-3, -1, 2, 5))}


def _runs(rng: random.Random) -> dict:
    """Return a baseline's scores, and what two runs have more than it: on each example a gain, on each a loss, or one run of either kind."""

    def run(sign: int) -> list[int]:
        return [sign * rng.randint(2, 6) for _ in range(12)]

    kinds = rng.sample([(1, 1), (-1, -1), (1, -1)], 3)
    return {
        "baseline": [rng.randrange(100) for _ in range(12)],
        "more": [[run(sign) for sign in signs] for signs in kinds],
    }


def _id_batches(rng: random.Random) -> dict:
    """Return predicted and reference ids of titles, as an evaluation hands them over."""
    tokenizer = _tokenizer()
    predictions, labels = [], []
    for row in _draw(rng, 4):
        words = row["review_title"].split()
        predictions.append([0, *tokenizer(" ".join(rng.sample(words, len(words))))["input_ids"]])
        labels.append(tokenizer(row["review_title"])["input_ids"])
    return {
        name: [ids + [fill] * (max(map(len, rows)) - len(ids)) for ids, fill in zip(rows, fills, strict=True)]
        for name, rows, fills in (
            ("predictions", predictions, rng.sample((0, -100, 0, -100), 4)),
            ("labels", labels, [-100] * 4),
        )
    }


def _orders(rng: random.Random) -> dict:
    orders = (rng.choice((1.5, 2.0, 7.0)), rng.choice((2e-5, 5e-4)), rng.randint(3, 40), rng.randint(21, 60))
    return {"orders": orders}


def _log(rng: random.Random) -> dict:
    metric = rng.choice(("eval_rougeL", "eval_rouge2", "eval_loss"))
    log = []
    for epoch in range(1, 7):
        log += [{"loss": rng.randint(1, 50) / 10, "epoch": epoch}, {metric: rng.randint(-2, 2) / 2, "epoch": epoch}]
    return {"log": log, "metric": metric}


def _summaries(rng: random.Random) -> dict:
    cases = []
    for row in _draw(rng, 6):
        words = re.findall(r"\w+", row["review_body"])
        summary = [*words[:3], *rng.choices(words, k=3), rng.choice(words).upper(), _words(rng, 1)]
        cases.append((" ".join(rng.sample(summary, len(summary))), row["review_body"], rng.randint(1, 3)))
    return {"cases": cases}


def _numbers(rng: random.Random) -> dict:
    forms = ["{}", "{}.5", "{},50", "1.{}00,75", "{}nd", "-{}", "{}%"]

    def some(count: int) -> list[str]:
        return [rng.choice(forms).format(rng.randint(1, 4)) for _ in range(count)]

    return {"cases": [(f"{_words(rng, 2)} ".join(some(5)), f" {_words(rng, 2)} ".join(some(4))) for _ in range(8)]}


def _card(rng: random.Random) -> dict:
    names = ("rouge1", "rouge2", "rougeL")
    metrics = {
        language: {name: rng.randrange(100_000) / 1000 + 0.0004 for name in names} for language in ("all", "en", "es")
    }
    return {
        "metrics": metrics,
        "base": f"course/{rng.randrange(10_000)}",
        "languages": rng.sample(["en", "es"], 2),
        "license": rng.choice(["mit", "cc-by-4.0"]),
    }


_DATASET = "from datasets import Dataset"
_SPLITS = "from datasets import Dataset, DatasetDict"
_TOKENIZER = """from transformers import AutoTokenizer
from resumen.profiles import PROFILES
fresh = AutoTokenizer.from_pretrained(PROFILES["tiny"].checkpoint)"""

DRAWS = {
    "clean-text-tests": Draw(_marked_up, "[clean_text(text) for text in texts]"),
    "drop-invalid-tests": Draw(_with_blanks, "drop_invalid(Dataset.from_dict(columns)).to_dict()", _DATASET),
    "filter-categories-tests": Draw(
        _categories,
        "{split: rows.to_dict() for split, rows in filter_categories(DatasetDict({name: Dataset.from_dict(columns)"
        " for name, columns in splits.items()}), categories).items()}",
        _SPLITS,
    ),
    "has-min-words-tests": Draw(_titles, "[has_min_words(title, least) for title, least in cases]"),
    "deduplicate-tests": Draw(_repeats, "deduplicate(Dataset.from_dict(columns)).to_dict()", _DATASET),
    "remove-leakage-tests": Draw(
        _leaks, "remove_leakage(Dataset.from_dict(train), Dataset.from_dict(held_out)).to_dict()", _DATASET
    ),
    "build-bilingual-tests": Draw(
        _two_corpora,
        "{split: rows.to_dict() for split, rows in build_bilingual(*(DatasetDict({name: Dataset.from_dict(columns)"
        " for name, columns in part.items()}) for part in (english, spanish)), seed=seed).items()}",
        _SPLITS,
    ),
    "prepare-pairs-tests": Draw(
        _raw_corpora,
        "{split: rows.to_dict() for split, rows in prepare_pairs(*(DatasetDict({name: Dataset.from_dict(columns)"
        ' for name, columns in part.items()}) for part in (english, spanish)), ["book"]).items()}',
        _SPLITS,
    ),
    "length-stats-tests": Draw(_lengths, "length_stats(Dataset.from_dict(columns)).to_dict()", _DATASET),
    "fertility-tests": Draw(_texts, "fertility(texts, fresh)", _TOKENIZER),
    "truncation-rate-tests": Draw(
        _texts, "[truncation_rate(texts, fresh, limit) for limit in range(1, 120, 7)]", _TOKENIZER
    ),
    "preprocess-tests": Draw(
        _batch,
        "{name: [list(row) for row in rows] for name, rows in preprocess(batch, fresh, *limits).items()}",
        _TOKENIZER,
    ),
    "tokenize-corpus-tests": Draw(
        _batch,
        'tokenize_corpus(DatasetDict(test=Dataset.from_dict(batch)), fresh, *limits)["test"].to_dict()',
        f"{_SPLITS}\n{_TOKENIZER}",
    ),
    "shift-right-tests": Draw(_labels, "shift_right(torch.tensor(labels), start, pad).tolist()", "import torch"),
    "collate-tests": Draw(
        _features, "{name: tensor.tolist() for name, tensor in collate(features, pad, start).items()}"
    ),
    "decode-labels-tests": Draw(
        _ids, "list(decode_labels(torch.tensor(labels), fresh))", f"import torch\n{_TOKENIZER}"
    ),
    "tokenize-words-tests": Draw(_with_marks, "[tokenize_words(text) for text in texts]"),
    "rouge-n-tests": Draw(_pairs, "[tuple(rouge_n(*pair, n)) for pair in pairs for n in (1, 2)]"),
    "rouge-l-tests": Draw(_pairs, "[tuple(rouge_l(*pair)) for pair in pairs]"),
    "rouge-lsum-tests": Draw(_lines, "[tuple(rouge_lsum(*pair)) for pair in pairs]"),
    "lead-k-tests": Draw(_leads, "[lead_k(*case) for case in cases]"),
    "oracle-sentence-tests": Draw(_oracles, "[oracle_sentence(*case) for case in cases]"),
    "constant-baseline-tests": Draw(_constants, "constant_baseline(titles, references)"),
    "nearest-title-tests": Draw(_lookups, "[nearest_title(text, train_texts, train_titles) for text in texts]"),
    "evaluate-system-tests": Draw(_system, "evaluate_system(predictions, references, languages).to_dict()"),
    "paired-bootstrap-tests": Draw(
        _scores,
        '[paired_bootstrap(one, other)["mean_difference"], paired_bootstrap([score + more for score in one], one)]',
    ),
    "make-compute-metrics-tests": Draw(
        _id_batches,
        "make_compute_metrics(fresh)(EvalPrediction(np.array(predictions), np.array(labels)))",
        f"import numpy as np\nfrom transformers import EvalPrediction\n{_TOKENIZER}",
        tolerance=1e-3,  # the public tests let an answer round to four decimals
    ),
    "make-training-arguments-tests": Draw(
        _orders,
        '[getattr(make_training_arguments("night", *orders), name) for name in ("num_train_epochs", "learning_rate",'
        ' "per_device_train_batch_size", "per_device_eval_batch_size")]',
    ),
    "best-epoch-tests": Draw(_log, "best_epoch(log, metric)"),
    "verdict-tests": Draw(
        _scores, "[verdict([score + more for score in one], one), verdict(one, [score + more for score in one])]"
    ),
    "verdict-over-seeds-tests": Draw(
        _runs,
        '[[found["mean_difference"], found["verdict"]] for found in (verdict_over_seeds([[score + gain for score, gain in'
        " zip(baseline, run)] for run in runs], baseline) for runs in more)]",
    ),
    "novel-ngram-rate-tests": Draw(_summaries, "[novel_ngram_rate(*case) for case in cases]"),
    "unsupported-numbers-tests": Draw(_numbers, "[unsupported_numbers(*case) for case in cases]"),
    "model-card-tests": Draw(
        _card,
        "(lambda card: [card.data.language, card.data.license, card.data.base_model,"
        ' [f"{score:.2f}" in card.text for scores in metrics.values() for score in scores.values()]])'
        "(ModelCard(model_card(metrics, base, languages, license)))",
        "from huggingface_hub import ModelCard",
    ),
}
"""For each test cell: its private data. The README of a private course lists the tasks that are not here, and why."""

PUBLIC_ONLY = {
    "split-sentences-tests": "right answers differ on texts that the rules do not mention, and a drawn text may be one",
    "causal-mask-tests": "it depends on one number, and the public tests see five",
    "greedy-decode-tests": "the checks compare with `generate` on models in the cell, and watch how a model is called",
    "rate-baselines-tests": "the key is one person's reading of these titles, and nobody has read a drawn one",
    "overfit-one-batch-tests": "the loss depends on the model in the cell, not on data",
    "NanGuard-tests": "it has two outcomes, and the public tests see both",
    "build-trainer-tests": "the checks look at the parts of a Trainer, not at values",
    "diagnose-tests": "the logs are of real runs, and a drawn one would be invented",
    "train-epoch-tests": "the checks count steps and compare gradients",
    "backward-accumulated-tests": "the checks compare gradients",
    "evaluate-tests": "the checks need several processes",
    "save-checkpoint-tests": "the checks compare files and logits",
    "summarizer-tests": "the checks watch how a model is called",
    "rate-titles-tests": "the key is a reading of these titles, and nobody has read a drawn one",
    "wrong-language-tests": "the contract leaves the word lists free, so a drawn text may be unfair to a right answer",
}
"""For each test cell without private data: why a program cannot draw any that is honest."""
