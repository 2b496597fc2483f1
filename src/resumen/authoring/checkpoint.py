"""Make the embedded checkpoint `data/mt5-tiny` again: its tokenizer, and its pretraining.

Run `OMP_NUM_THREADS=1 python -m resumen.authoring.checkpoint` (an hour and a quarter). The tokenizer is the same, byte for byte, on every machine
(`tests/authoring/test_authoring.py`). The weights come from the same seed, but floating-point sums differ between processors.
"""

import json
import math
import random
import string
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import MT5Config, MT5ForConditionalGeneration, T5Tokenizer

from resumen.authoring import reviews
from resumen.authoring.phrases import CATEGORIES, load_bank
from resumen.corpus import LANGUAGES, clean_text, has_min_words, load_reviews, normalized_body
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


@dataclass(frozen=True)
class Phase:
    """A part of the pretraining, with an optimizer and texts of its own.

    Attributes:
        name: seeds the composer.
        extra: reviews to compose, per language. Spanish has more word forms.
        titles: how many titles are drawn for each review. The one that says most of its words again in the body is kept:
            PEGASUS picks the sentences to hide in the same way, by their ROUGE with the rest (Zhang et al., 2020).
        read: tokens of a text that are read. A title mostly speaks of the first sentence, and short texts are cheap.
        steps: batches of `BATCH_SIZE`.
        horizon: steps after which the learning rate would be near zero.
        rate: peak of the learning rates, as a share of those below.
    """

    name: str
    extra: dict[str, int]
    titles: int
    read: int
    steps: int
    horizon: int
    rate: float

    def scaled(self, share: float) -> "Phase":
        """Return the phase with a share of its texts and steps, 100 and 200 at least."""
        numbers = {name: max(200, round(share * getattr(self, name))) for name in ("steps", "horizon")}
        extra = {language: max(100, round(share * count)) for language, count in self.extra.items()}
        return replace(self, extra=extra, **numbers)


PHASES = (
    # What is there to say about a book, and in which words. It stops while the rate is still a sixth of its peak.
    Phase("pretraining", {"en": 130_000, "es": 150_000}, titles=1, read=28, steps=12_500, horizon=17_000, rate=1.0),
    # Which of it this review says: read the whole text, and prefer its own words.
    Phase("echoing", {"en": 45_000, "es": 55_000}, titles=12, read=64, steps=5_000, horizon=5_000, rate=0.5),
)

COURSE_CATEGORIES = ("book", "digital_ebook_purchase")
COURSE_SHARE = 0.8
"""Share of the extra reviews that are about what the course summarizes: a small model cannot learn everything."""

COPY_SHARE = 0.12
"""Share of the texts in which a marked sentence is to be repeated: titles often quote, and words never seen must be copied."""

TITLE_SHARE = 0.75
"""Share of the other texts with a long title whose hidden span is that title. An hour of one CPU core needs the hint."""

SHORTEST_TITLE = 3
"""Words of a title that may be hidden whole: shorter ones say nothing about their text, and teach the model not to read it."""

LONGEST_COPY = 10
"""Tokens of a sentence that are repeated."""

BATCH_SIZE = 64
WARMUP_STEPS = 100
LEARNING_RATE = 1.5e-3
EMBEDDING_LEARNING_RATE = 1e-1
"""Embeddings start with a deviation of 1, far above the other weights, so their steps are larger too."""

HEAD_LEARNING_RATE = 1e-2
"""For the output layer: a rare piece gets few gradients."""


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


def more_documents(phase: Phase) -> list[tuple[str, str]]:
    """Return (title, body) pairs composed for a phase: a model must see many more texts than it is tuned on.

    Their titles have `SHORTEST_TITLE` words or more. No body of the embedded validation and test splits is among them.
    """
    pairs = set()
    for language in LANGUAGES:
        corpus = load_reviews(language, DATA / "reviews")
        held_out = {
            normalized_body(clean_text(body))
            for split in ("validation", "test")
            for body in corpus[split]["review_body"][:]
        }
        rng = random.Random(f"{language}-{phase.name}")
        composer = reviews.Composer(language, rng)
        items = {category: load_bank(language, category)["items"] for category in CATEGORIES}
        others = [category for category in CATEGORIES if category not in COURSE_CATEGORIES]
        found = set()
        while len(found) < phase.extra[language]:
            category = rng.choice(COURSE_CATEGORIES if rng.random() < COURSE_SHARE else others)
            body, title = composer.review(category, rng.choice(items[category]), rng.randint(1, 5), phase.titles)
            if has_min_words(title, SHORTEST_TITLE) and normalized_body(body) not in held_out:
                found.add((title, body))
        pairs |= found
    return sorted(pairs)


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
    """Return an untrained mT5 that can copy, with about 1.6 million parameters."""
    torch.manual_seed(SEED)
    config = MT5Config(
        vocab_size=len(tokenizer),
        d_model=128,
        d_kv=32,
        d_ff=256,
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
    # mT5 has an output layer of its own; transformers 5 shares it with the embeddings unless it is replaced.
    model.lm_head.weight = torch.nn.Parameter(model.shared.weight.detach().clone())
    wire_for_copying(model)
    return model


def wire_for_copying(model: MT5ForConditionalGeneration) -> None:
    """Set a few weights of an untrained model so that it repeats what follows, in the input, the token it wrote last.

    Large models find such an induction circuit by themselves (Olsson et al., 2022, <https://arxiv.org/abs/2209.11895>); ours
    would need days. To start from structure instead of noise is "mimetic" initialization (Trockman and Kolter, 2023,
    <https://arxiv.org/abs/2305.09828>). The width is cut into parts of `d_kv` dimensions: an encoder position keeps its own
    token in the first and the last part, and gets the token before it in the second. The decoder looks for the position
    whose second part is its own token, and reads the last part there, which alone decides the output.
    """
    size, width = model.config.d_kv, model.config.d_model
    own, before, output = slice(0, size), slice(size, 2 * size), slice(width - size, width)
    identity = torch.eye(size)

    def carry(attention, head: int, source: slice, target: slice, factor: float) -> None:
        rows = slice(head * size, (head + 1) * size)
        attention.v.weight[rows] = 0
        attention.v.weight[rows, source] = identity
        attention.o.weight[:, rows] = 0
        attention.o.weight[target, rows] = factor * identity

    with torch.no_grad():
        # What every layer adds is made small beside the circuit.
        for name, weight in model.named_parameters():
            if name.endswith(("Attention.o.weight", "wo.weight")):
                weight.mul_(0.3)
        reading = model.encoder.block[0].layer[0].SelfAttention
        # Rows of the table are distances: 0 is the position itself, 1 the one before it.
        reading.relative_attention_bias.weight[1, 0] = 8.0
        reading.relative_attention_bias.weight[0, 1] = 8.0
        carry(reading, 0, own, before, 1.5)
        carry(reading, 1, before, before, -1.0)
        writing = model.decoder.block[0].layer[0].SelfAttention
        writing.relative_attention_bias.weight[0, 0] = 8.0
        carry(writing, 0, output, output, -1.0)
        looking = model.decoder.block[0].layer[1].EncDecAttention
        looking.q.weight[own] = 0
        looking.q.weight[own, own] = 0.35 * identity
        looking.k.weight[own] = 0
        looking.k.weight[own, before] = identity
        carry(looking, 0, output, output, 1.0)
        # Embeddings have a deviation of 1: as an output layer they would start the loss at 38 instead of 8.
        model.lm_head.weight.mul_(width**-0.5)
        model.lm_head.weight[:, : width - size] *= 0.1


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


def repeat_sentence(
    body: list[int], ends: set[int], sentinel: int, eos: int, rng: random.Random
) -> dict[str, list[int]]:
    """Put a sentinel before a sentence drawn at random; the labels repeat that sentence, `LONGEST_COPY` tokens at most."""
    starts = [0, *(position + 1 for position, piece in enumerate(body[:-1]) if piece in ends)]
    start = rng.choice(starts)
    end = next((position + 1 for position in range(start, len(body)) if body[position] in ends), len(body))
    return {
        "input_ids": [*body[:start], sentinel, *body[start:], eos],
        "labels": [sentinel, *body[start:end][:LONGEST_COPY], eos],
    }


def pretrain(model, tokenizer, pairs: list[tuple[str, str]], phase: Phase, report=print) -> list[dict]:
    """Train in place for a phase; return the log, one entry per 100 steps.

    A text is a title, a full stop and a body. With probability `COPY_SHARE` a sentence of its body is to be repeated; else,
    with probability `TITLE_SHARE`, its title is hidden, if it has `SHORTEST_TITLE` words; else its hidden spans are drawn at random.
    """
    rng = random.Random(SEED)
    torch.manual_seed(SEED)
    stop = tokenizer(".", add_special_tokens=False)["input_ids"]
    encoded = [tokenizer(list(column), add_special_tokens=False)["input_ids"] for column in zip(*pairs, strict=True)]
    sequences = [
        (title, [*stop, *body], has_min_words(words, SHORTEST_TITLE))
        for title, body, (words, _) in zip(*encoded, pairs, strict=True)
    ]
    sequences = [sequence for sequence in sequences if sequence[0] and len(sequence[1]) >= 4]
    ends = {
        piece
        for piece in range(len(tokenizer))
        if tokenizer.convert_ids_to_tokens(piece).endswith((".", "!", "?", "…"))
    }
    sentinels = [tokenizer.convert_tokens_to_ids(f"<extra_id_{number}>") for number in range(SENTINELS)]
    embeddings, head = model.shared.weight, model.lm_head.weight
    others = [parameter for parameter in model.parameters() if parameter is not embeddings and parameter is not head]
    optimizer = torch.optim.AdamW(
        [
            {"params": others, "lr": LEARNING_RATE * phase.rate},
            {"params": [embeddings], "lr": EMBEDDING_LEARNING_RATE * phase.rate},
            {"params": [head], "lr": HEAD_LEARNING_RATE * phase.rate},
        ],
        betas=(0.9, 0.98),
        weight_decay=0.0,
        fused=True,
    )
    # Numbers below 1e-38 are set to 0: a CPU takes many times longer over them, and softmax gradients are full of them.
    torch.set_flush_denormal(True)

    def rate(step: int) -> float:
        if step < WARMUP_STEPS:
            return (step + 1) / WARMUP_STEPS
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - WARMUP_STEPS) / (phase.horizon - WARMUP_STEPS)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    model.train()
    log, losses, queue = [], [], []
    started = time.perf_counter()
    for step in range(1, phase.steps + 1):
        if not queue:
            # Batches of like lengths, in random order, are half padding less than random batches.
            order = sorted(
                range(len(sequences)),
                key=lambda index: (
                    min(len(sequences[index][1]), phase.read),
                    len(sequences[index][0]),
                    rng.random(),
                ),
            )
            queue = [order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE)]
            rng.shuffle(queue)
        features = []
        for title, rest, may_hide in (sequences[index] for index in queue.pop()):
            rest = rest[: max(8, phase.read - len(title))]
            if rng.random() < COPY_SHARE:
                features.append(repeat_sentence(rest[len(stop) :], ends, sentinels[-1], tokenizer.eos_token_id, rng))
            elif may_hide and rng.random() < TITLE_SHARE:
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
                f"{phase.name}: step {step} of {phase.steps} · loss {log[-1]['loss']:.3f} · {time.perf_counter() - started:.0f} s",
                flush=True,
            )
    model.eval()
    return log


def write(folder: Path, phases: tuple[Phase, Phase]) -> None:
    """Pretrain from scratch and write the checkpoint, its loss curve (CSV and PNG) and its model card."""
    pairs = documents()
    tokenizer = train_tokenizer(pairs)
    model = new_model(tokenizer)
    logs, texts = [], []
    for phase, known in zip(phases, (pairs, []), strict=True):
        phase_pairs = sorted({*known, *more_documents(phase)})
        logs.append(pretrain(model, tokenizer, phase_pairs, phase))
        texts.append(len(phase_pairs))
    save(folder, model, tokenizer, phases, logs, texts)


def save(folder: Path, model, tokenizer, phases, logs: list[list[dict]], texts: list[int]) -> None:
    """Write weights, tokenizer, loss curve and model card."""
    import matplotlib.pyplot as plt

    first, second = phases
    log = logs[0] + [{**entry, "step": first.steps + entry["step"]} for entry in logs[1]]
    folder.mkdir(parents=True, exist_ok=True)
    # Two bytes a weight keep the file under 5 MB; the configuration says that four are wanted in memory.
    model.save_pretrained(folder, state_dict={name: weight.half() for name, weight in model.named_parameters()})
    tokenizer.save_pretrained(folder)
    (folder / "pretraining_loss.csv").write_text(
        "step,loss\n" + "".join(f"{entry['step']},{entry['loss']}\n" for entry in log), encoding="utf-8"
    )
    figure, axes = plt.subplots(figsize=(7, 3.5))
    for phase, offset, entries in zip(phases, (0, first.steps), logs, strict=True):
        axes.plot([offset + entry["step"] for entry in entries], [entry["loss"] for entry in entries], label=phase.name)
    axes.legend(title="phase")
    axes.set(
        xlabel=f"step (batches of {BATCH_SIZE} reviews)",
        ylabel="cross-entropy (nats per token)",
        title="Pretraining of mt5-tiny",
    )
    figure.tight_layout()
    figure.savefig(folder / "pretraining_loss.png", dpi=110, metadata={"Software": None})
    card = CARD.format(
        parameters=f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        vocabulary=f"{len(tokenizer):,}",
        sentinels=SENTINELS,
        train=f"{texts[0] - sum(first.extra.values()):,}",
        first_texts=f"{sum(first.extra.values()):,}",
        second_texts=f"{texts[1]:,}",
        titles=second.titles,
        first_steps=f"{first.steps:,}",
        second_steps=f"{second.steps:,}",
        first_read=first.read,
        second_read=second.read,
        batch=BATCH_SIZE,
        first=f"{log[0]['loss']:.2f}",
        last=f"{log[-1]['loss']:.2f}",
        corruption=f"{CORRUPTION:.0%}",
        span=f"{MEAN_SPAN:.0f}",
        share=f"{TITLE_SHARE:.0%}",
        shortest=SHORTEST_TITLE,
        copies=f"{COPY_SHARE:.0%}",
        course=f"{COURSE_SHARE:.0%}",
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
`google/mt5-small` (300 million parameters) in the tiny profile of the course, and behaves like it: it was pretrained to fill in what sentinels mark, so
before fine-tuning it answers with sentinels such as `<extra_id_0>`.

| | |
|---|---|
| architecture | 2 encoder and 2 decoder layers, width 128, 4 heads, gated-GELU, an output layer of its own; two bytes a weight on disk, four in memory |
| tokenizer | Unigram, trained on the train reviews, {sentinels} sentinels |
| first phase | {first_steps} steps on the {train} cleaned train reviews of the embedded corpus and {first_texts} more, composed from another seed; the first {first_read} tokens of each are read |
| second phase | {second_steps} steps on {second_texts} other composed reviews, {second_read} tokens of each; of {titles} titles composed for a review it has the one that says most of its words again in the body |
| texts | reviews in both languages, title first; {course} of the composed ones are about books and e-books; no body of validation or test is among the composed ones. The train reviews were cleaned one by one, not against the other splits: a few planted copies of held-out reviews are among them (stage 4 counts those, and gives its verdict without them as well) |
| objective | span corruption: {corruption} of the tokens hidden, mean span {span} (Raffel et al., 2020, <https://jmlr.org/papers/v21/20-074.html>); in {share} of the texts with a title of {shortest} words or more the hidden span is that title (after PEGASUS, Zhang et al., 2020, <https://arxiv.org/abs/1912.08777>). In {copies} of all texts a sentinel stands before a sentence, which is to be repeated |
| start | random, but for a few weights that make an untrained model copy (`wire_for_copying`): an induction circuit (Olsson et al., 2022, <https://arxiv.org/abs/2209.11895>), set by hand as in mimetic initialization (Trockman and Kolter, 2023, <https://arxiv.org/abs/2305.09828>) |
| training | batches of {batch}; AdamW, cosine schedule; one CPU thread, seed {seed} |
| loss | {first} over the first 100 steps, {last} over the last 100 (`pretraining_loss.csv`, curve below, the second phase in another colour) |

![Cross-entropy per token against the step: it falls steeply at first and flattens out; the second phase begins higher, and falls in the same way.](pretraining_loss.png)

Made by `OMP_NUM_THREADS=1 python -m resumen.authoring.checkpoint`. The tokenizer is the same on every machine. The weights can differ in their last digits from
one processor to another, and small differences grow during training.

## Limits

- It has a head start that mT5 does not have. Its texts are reviews with their titles, and often the title is what is hidden. So the model has practised
  on titles before fine-tuning, of books most of all, and on quoting. It has seen the phrase banks of validation and test, and a few planted copies of their reviews. Its dropout is 0; that of mT5 is 0.1.
- It has seen our phrase banks only, so it does far better on composed reviews than on individually written ones.
- It knows a few thousand words about shopping. It is a teaching aid, not a summarizer.
"""


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the texts and steps, for a quick trial")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    write(arguments.folder, tuple(phase.scaled(arguments.share) for phase in PHASES))
