"""Make the embedded checkpoint `data/mt5-tiny` again: its tokenizer, and span-corruption pretraining on the train splits.

Run `OMP_NUM_THREADS=1 python -m resumen.authoring.checkpoint`. The tokenizer is the same, byte for byte, on every machine
(`tests/unit/test_authoring.py`). The weights come from the same seed, but floating-point sums differ between processors.
"""

import json
import math
import random
import string
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import MT5Config, MT5ForConditionalGeneration, T5Tokenizer

from resumen.authoring import reviews
from resumen.corpus import LANGUAGES, clean_text, load_reviews, normalized_body
from resumen.profiles import DATA, SEED
from resumen.tokenization import collate

FOLDER = DATA / "mt5-tiny"
VOCABULARY = 3_200
"""Pieces of the Unigram model, special tokens included, sentinels not."""

ALPHABET = string.printable.strip() + "áéíóúüñçàèìòùâêîôûäëïöãõåÁÉÍÓÚÜÑÇÀÈÖ¿¡ªº«»“”‘’–—…€£°·½"
"""Characters that get a piece even where our reviews lack them: readers bring texts of their own."""

SENTINELS = 100
CORRUPTION = 0.15
"""Share of tokens that are hidden (Raffel et al., 2020, section 3.3)."""

MEAN_SPAN = 3.0
"""Mean length of a hidden span in tokens (the same source)."""

EXTRA_CORPORA = 4
"""Corpora composed from other seeds, for pretraining only."""

TITLE_SHARE = 0.6
"""Share of the texts whose hidden span is the title. A million parameters and half an hour of one CPU core need the hint."""

LONGEST = 72
"""Tokens of a text that are read; most reviews are shorter."""

BATCH_SIZE = 32
STEPS = 5_500
WARMUP_STEPS = 60
LEARNING_RATE = 5e-4
EMBEDDING_LEARNING_RATE = 6e-2
"""Embeddings start with a deviation of 1, far above the other weights, so their steps are larger too."""


def documents() -> list[tuple[str, str]]:
    """Return the (title, body) pairs of the embedded corpus: every cleaned train review of both languages that has either."""
    pairs = set()
    for language in LANGUAGES:
        train = load_reviews(language, DATA / "reviews")["train"]
        for title, body in zip(train["review_title"][:], train["review_body"][:], strict=True):
            pair = (clean_text(title).rstrip("."), clean_text(body))
            if any(pair):
                pairs.add(pair)
    return sorted(pairs)


def more_documents() -> list[tuple[str, str]]:
    """Return (title, body) pairs composed from other seeds: a model must see many more texts than it is tuned on.

    No body of the embedded validation and test splits is among them.
    """
    held_out = set()
    for language in LANGUAGES:
        corpus = load_reviews(language, DATA / "reviews")
        for split in ("validation", "test"):
            held_out |= {normalized_body(clean_text(body)) for body in corpus[split]["review_body"][:]}
    pairs = set()
    for seed in range(reviews.SEED + 1, reviews.SEED + 1 + EXTRA_CORPORA):
        for language in LANGUAGES:
            for rows in reviews.compose(language, seed).values():
                pairs |= {(row["review_title"], row["review_body"]) for row in rows}
    return sorted(pair for pair in pairs if normalized_body(pair[1]) not in held_out)


def train_tokenizer(pairs: list[tuple[str, str]]) -> T5Tokenizer:
    """Train a Unigram tokenizer with the sentinels of mT5. Input and vocabulary are sorted: the trainer breaks ties at random."""
    texts = {". ".join(part for part in pair if part) for pair in pairs}
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
        max_piece_length=16,
        initial_alphabet=list(ALPHABET),
    )
    tokenizer.train_from_iterator(sorted(texts), trainer)
    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    # The trainer adds the characters that no piece covers in random order, each with a slightly lower score: they get one
    # score here. Rounding hides last-digit differences between machines.
    floor = min(score for piece, score in pieces[3:] if len(piece) > 1)
    scores = {piece: round(score if score >= floor else floor - 0.5, 3) for piece, score in pieces[3:]}
    learned = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    specials = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return T5Tokenizer(vocab=specials + learned, extra_ids=SENTINELS)


def new_model(tokenizer: T5Tokenizer) -> MT5ForConditionalGeneration:
    """Return an untrained mT5 of about one million parameters."""
    torch.manual_seed(SEED)
    config = MT5Config(
        vocab_size=len(tokenizer),
        d_model=128,
        d_kv=32,
        d_ff=192,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        relative_attention_num_buckets=32,
        dropout_rate=0.0,  # a third of a step's time on a CPU, and the model is too small to overfit in a few epochs
        feed_forward_proj="gated-gelu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    model = MT5ForConditionalGeneration(config)
    # mT5's logits are sums over the width of products with embeddings of deviation 1: without this factor, which T5 has and
    # mT5 leaves out, the loss starts at 38 instead of 8 (T5: Raffel et al., 2020, in the code of tied embeddings).
    with torch.no_grad():
        model.decoder.final_layer_norm.weight.mul_(config.d_model**-0.5)
    return model


def corrupt(ids: list[int], sentinels: list[int], eos: int, rng: random.Random) -> dict[str, list[int]]:
    """Hide spans of a token sequence: each becomes one sentinel in the input and is spelled out after it in the labels."""
    hidden_total = max(1, round(len(ids) * CORRUPTION))
    spans = max(1, min(round(hidden_total / MEAN_SPAN), len(ids) - hidden_total - 1))
    hidden = _partition(hidden_total, spans, rng)
    # Tokens kept before, between and after the spans. A text may start or end with a hidden span.
    kept = _partition(len(ids) - hidden_total + 2, spans + 1, rng)
    kept[0] -= 1
    kept[-1] -= 1
    inputs, labels, position = [], [], 0
    for sentinel, keep, hide in zip(sentinels, kept, hidden, strict=False):
        inputs += [*ids[position : position + keep], sentinel]
        position += keep
        labels += [sentinel, *ids[position : position + hide]]
        position += hide
    return {"input_ids": [*inputs, *ids[position:], eos], "labels": [*labels, eos]}


def _partition(total: int, parts: int, rng: random.Random) -> list[int]:
    """Cut `total` into `parts` positive lengths at random."""
    cuts = sorted(rng.sample(range(1, total), parts - 1))
    return [end - start for start, end in zip([0, *cuts], [*cuts, total], strict=True)]


def hide_title(title: list[int], rest: list[int], sentinel: int, eos: int) -> dict[str, list[int]]:
    """Hide the title, whole, and nothing else: PEGASUS hides whole sentences in the same way (Zhang et al., 2020)."""
    return {"input_ids": [sentinel, *rest, eos], "labels": [sentinel, *title, eos]}


def pretrain(model, tokenizer, pairs: list[tuple[str, str]], steps: int, report=print) -> list[dict]:
    """Train in place by span corruption for `steps` batches; return the log, one entry per 100 steps.

    A text is a title, a full stop and a body. Its hidden spans are drawn at random, or, with probability `TITLE_SHARE`, its title is hidden.
    """
    rng = random.Random(SEED)
    torch.manual_seed(SEED)
    stop = tokenizer(".", add_special_tokens=False)["input_ids"]
    encoded = [tokenizer(list(column), add_special_tokens=False)["input_ids"] for column in zip(*pairs, strict=True)]
    sequences = [(title, [*stop, *body][: LONGEST - len(title)]) for title, body in zip(*encoded, strict=True)]
    sequences = [(title, rest) for title, rest in sequences if title and len(rest) >= 4]
    sentinels = [tokenizer.convert_tokens_to_ids(f"<extra_id_{number}>") for number in range(SENTINELS)]
    embeddings = model.shared.weight
    others = [parameter for parameter in model.parameters() if parameter is not embeddings]
    optimizer = torch.optim.AdamW(
        [{"params": others}, {"params": [embeddings], "lr": EMBEDDING_LEARNING_RATE}],
        lr=LEARNING_RATE,
        betas=(0.9, 0.98),
        weight_decay=0.0,
        fused=True,
    )
    # Numbers below 1e-38 are set to 0: a CPU takes many times longer over them, and softmax gradients are full of them.
    torch.set_flush_denormal(True)

    def rate(step: int) -> float:
        if step < WARMUP_STEPS:
            return (step + 1) / WARMUP_STEPS
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - WARMUP_STEPS) / max(1, steps - WARMUP_STEPS)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    model.train()
    log, losses, queue = [], [], []
    started = time.perf_counter()
    for step in range(1, steps + 1):
        if not queue:
            # Batches of like length, in random order: a third of the padding of random batches.
            order = sorted(range(len(sequences)), key=lambda index: (len(sequences[index][1]), rng.random()))
            queue = [order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE)]
            rng.shuffle(queue)
        features = []
        for title, rest in (sequences[index] for index in queue.pop()):
            if rng.random() < TITLE_SHARE:
                features.append(hide_title(title, rest, sentinels[0], tokenizer.eos_token_id))
            else:
                features.append(corrupt(title + rest, sentinels, tokenizer.eos_token_id, rng))
        features = [feature | {"attention_mask": [1] * len(feature["input_ids"])} for feature in features]
        loss = model(**collate(features, tokenizer.pad_token_id, model.config.decoder_start_token_id)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if step % 100 == 0:
            log.append({"step": step, "loss": round(sum(losses) / len(losses), 4)})
            losses.clear()
            report(
                f"step {step} of {steps} · loss {log[-1]['loss']:.3f} · {time.perf_counter() - started:.0f} s",
                flush=True,
            )
    model.eval()
    return log


def write(folder: Path, steps: int) -> None:
    """Pretrain from scratch and write the checkpoint, its loss curve (CSV and PNG) and its model card."""
    import matplotlib.pyplot as plt

    pairs = documents()
    tokenizer = train_tokenizer(pairs)
    model = new_model(tokenizer)
    pairs = sorted({*pairs, *more_documents()})
    log = pretrain(model, tokenizer, pairs, steps)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "pretraining_loss.csv").write_text(
        "step,loss\n" + "".join(f"{entry['step']},{entry['loss']}\n" for entry in log), encoding="utf-8"
    )
    figure, axes = plt.subplots(figsize=(7, 3.5))
    axes.plot([entry["step"] for entry in log], [entry["loss"] for entry in log])
    axes.set(
        xlabel=f"step (batches of {BATCH_SIZE} reviews)",
        ylabel="cross-entropy (nats per token)",
        title="Span-corruption pretraining of mt5-tiny",
    )
    figure.tight_layout()
    figure.savefig(folder / "pretraining_loss.png", dpi=110, metadata={"Software": None})
    card = CARD.format(
        parameters=f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        vocabulary=f"{len(tokenizer):,}",
        sentinels=SENTINELS,
        texts=f"{len(pairs):,}",
        steps=f"{steps:,}",
        batch=BATCH_SIZE,
        passes=f"{steps * BATCH_SIZE / len(pairs):.0f}",
        first=f"{log[0]['loss']:.2f}",
        last=f"{log[-1]['loss']:.2f}",
        corruption=f"{CORRUPTION:.0%}",
        span=f"{MEAN_SPAN:.0f}",
        share=f"{TITLE_SHARE:.0%}",
        extra=EXTRA_CORPORA,
        seed=SEED,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


CARD = """---
language:
- en
- es
license: cc-by-4.0
pipeline_tag: text-generation
tags:
- mt5
- span-corruption
---

# mt5-tiny

A real `MT5ForConditionalGeneration` with {parameters} parameters and {vocabulary} pieces, small enough to fine-tune on a laptop in a minute. It stands in for
`google/mt5-small` (300 million parameters) in the tiny profile of the course, and behaves like it: it was pretrained by span corruption only, so
before fine-tuning it answers with sentinels such as `<extra_id_0>`.

| | |
|---|---|
| architecture | 2 encoder and 2 decoder layers, width 128, 4 heads, gated-GELU, tied embeddings |
| tokenizer | Unigram, trained on the same texts, {sentinels} sentinels |
| pretraining texts | {texts} reviews, title first, both languages, all categories: the train splits of the embedded corpus and {extra} corpora composed from other seeds; no body of validation or test |
| objective | span corruption: {corruption} of the tokens hidden, mean span {span} (Raffel et al., 2020, <https://jmlr.org/papers/v21/20-074.html>); in {share} of the texts the hidden span is the whole title (after PEGASUS, Zhang et al., 2020, <https://arxiv.org/abs/1912.08777>) |
| training | {steps} steps of {batch} reviews, {passes} passes; AdamW, cosine schedule; one CPU thread, seed {seed} |
| loss | {first} over the first 100 steps, {last} over the last 100 (`pretraining_loss.csv`, curve below) |

![Cross-entropy per token against the step: it falls steeply at first and flattens out.](pretraining_loss.png)

Made by `OMP_NUM_THREADS=1 python -m resumen.authoring.checkpoint`. The tokenizer is the same on every machine. The weights can differ in their last digits from
one processor to another, and small differences grow during training.

## Limits

- It has a head start that mT5 does not have. Its texts are reviews with their titles, and {share} of the time the title is what is hidden. So the model has practised
  on titles before fine-tuning, in every category. It has not seen a body of validation or test, but it has seen their phrase banks.
- It has seen our phrase banks only, so fine-tuning gains more on composed reviews than on individually written ones.
- It knows a few thousand words about shopping. It is a teaching aid, not a summarizer.
"""


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    write(arguments.folder, arguments.steps)
