"""`resumen doctor --full`: what a run of the full profile needs and what is there, told before anything is downloaded."""

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from huggingface_hub import HfApi, constants, get_token, try_to_load_from_cache
from torch import nn
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer, MT5Config, PreTrainedModel

from resumen.corpus import BOOKS, LANGUAGES, load_reviews
from resumen.errors import CourseError, first_sentence
from resumen.hub import refusal
from resumen.modeling import lacking_for_vocabulary
from resumen.profiles import PROFILES, Profile, is_hub_id
from resumen.setup import best_device, best_precision
from resumen.training import FLOAT, fit_batch, free_memory, training_memory

Row = tuple[str, str, str]
"""What, its state, what to do; the last is empty when nothing is to be done."""

GB = 1e9
SHAPES = {
    "google/mt5-small": MT5Config(
        vocab_size=250_112,
        feed_forward_proj="gated-gelu",
        d_model=512,
        d_kv=64,
        d_ff=1024,
        num_layers=8,
        num_decoder_layers=8,
        num_heads=6,
    )
}
"""The published shape of the full profile's checkpoint, for a machine that does not have it yet. Stage 4 counts its parameters."""

KEPT_AT_ONCE = 3
"""Checkpoints of a run on disk: the best, the last, and the one that is being written."""

SAVED = 12
"""Bytes a parameter of a saved run: weights and two moments, no gradients."""

SAMPLE = 500
"""Reviews of each language whose length is taken."""

LONG = 20
"""Seconds after which one training step is enough to tell the time of the others."""


@dataclass(frozen=True)
class Lengths:
    """The corpus as far as a training run needs to know it: rows of train, mean tokens of a body and of a title."""

    rows: int
    source: float
    target: float


def look_ahead(profile: Profile | None = None) -> list[Row]:
    """Return the rows of `resumen doctor --full`. Nothing is downloaded, and nothing is left on the disk but converted corpora."""
    profile = profile or PROFILES["full"]
    device = best_device()
    precision = best_precision(device)
    config = _config(profile.checkpoint)
    rows = [("device, precision", f"{device}, {precision}", "")]
    rows += [_token(), *_checkpoint(profile.checkpoint)]
    corpus_rows, lengths = _corpus(profile)
    rows += corpus_rows
    if config is None:
        return [*rows, ("disk, memory, time", "not known before the shape of the checkpoint is", "")]
    with torch.device("meta"):
        parameters = built(config).num_parameters()
    rows += _disk(profile.checkpoint, parameters)
    free = free_memory(device)
    batch = fit_batch(parameters, config.vocab_size, profile.batch_size, profile.max_target_length, free)
    memory = _memory(profile, device, parameters, config.vocab_size, batch, free)
    return [*rows, memory, _time(profile, device, precision, config, lengths, batch, enough=not memory[2])]


def _config(checkpoint: str):
    """Return the configuration of a checkpoint without a download, None if it is neither here nor in `SHAPES`."""
    place = checkpoint if Path(checkpoint).is_dir() else _in_cache(checkpoint, "config.json")
    if place is None:
        return SHAPES.get(checkpoint)
    return AutoConfig.from_pretrained(place if Path(place).is_dir() else Path(place).parent)


def _in_cache(checkpoint: str, *names: str) -> str | None:
    """Return the first of these files that the cache of the Hub has."""
    found = (try_to_load_from_cache(checkpoint, name) for name in names)
    return next((path for path in found if isinstance(path, str)), None)


def built(config) -> PreTrainedModel:
    """Return a model of this shape with random weights, and an output layer of its own, as the file of mt5-small has."""
    model = AutoModelForSeq2SeqLM.from_config(config, dtype=torch.float32)
    model.lm_head.weight = nn.Parameter(torch.empty_like(model.lm_head.weight).normal_())
    return model


def _token() -> Row:
    if get_token():
        return ("token", "present, not tried", "")
    return ("token", "none: only uploads and data sets that are private or ask for access need one", "")


def _checkpoint(checkpoint: str) -> list[Row]:
    if Path(checkpoint).is_dir():
        return [("checkpoint", f"{checkpoint}: a folder", "")]
    lacking = lacking_for_vocabulary()
    rows = [("vocabulary", f"{name}: missing", f"pip install {name} -c constraints.txt") for name in lacking]
    if _in_cache(checkpoint, "model.safetensors", "pytorch_model.bin"):
        return [("checkpoint", f"{checkpoint}: in {constants.HF_HUB_CACHE}", ""), *rows]
    trouble = _asked(lambda: HfApi().model_info(checkpoint, timeout=10), checkpoint)
    state = "not here" if trouble else f"to be downloaded from {constants.ENDPOINT}"
    return [("checkpoint", f"{checkpoint}: {state}", trouble), *rows]


def _asked(question, name: str) -> str:
    """Return "" if the Hub answers, else what is in the way and what to do."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE keeps the network off: unset it"
    try:
        question()
    except Exception as error:  # the network has many ways to fail, and each library its own types for them
        reason = first_sentence(str(error)) or type(error).__name__
        refused = (
            refusal(error, name)
            or f"{constants.ENDPOINT} does not answer ({reason}): check the network and HF_ENDPOINT"
        )
        return refused.rstrip(".")
    return ""


def _corpus(profile: Profile) -> tuple[list[Row], Lengths | None]:
    place = os.environ.get("RESUMEN_DATA")
    if not place:
        missing = "set RESUMEN_DATA to the folder or data set of your reviews: docs/setup.md, Reviews of your own"
        return [("corpus", "RESUMEN_DATA is not set", missing if profile.needs_own_corpus else "")], None
    if is_hub_id(place):
        size = []
        trouble = _asked(
            lambda: size.append(HfApi().dataset_info(place, files_metadata=True, timeout=10)), f"datasets/{place}"
        )
        if trouble:
            return [("corpus", f"{place}: not here", trouble)], None
        total = sum(file.size or 0 for file in size[0].siblings or [])
        state = f"{place} on the Hub, {total / GB:.2f} GB of files; its columns are checked when they are here"
        return [("corpus", state, _room("the corpus", Path(constants.HF_HOME), 2 * total)[2])], None
    rows: list[Row] = []
    found = {}
    for language in LANGUAGES:
        try:
            found[language] = load_reviews(language, place)
        except CourseError as error:
            rows.append((f"corpus, {language}", "not usable", str(error)))
            continue
        categories = set(found[language]["train"]["product_category"][:])
        advice = f"no review is in {' or '.join(BOOKS)}: rename a category, or change the list in the notebooks"
        sizes = " · ".join(f"{split} {len(part):,}" for split, part in found[language].items())
        rows.append((f"corpus, {language}", sizes, "" if categories & set(BOOKS) else advice))
    return rows, _lengths(found, profile) if len(found) == len(LANGUAGES) else None


def _lengths(found: dict, profile: Profile) -> Lengths:
    """Return how long the texts are, in tokens of the embedded tokenizer: the checkpoint's own may have to be downloaded."""
    tokenizer = AutoTokenizer.from_pretrained(PROFILES["tiny"].checkpoint)
    means = []
    for name, limit in (("review_body", profile.max_input_length), ("review_title", profile.max_target_length)):
        texts = [
            text or "" for corpus in found.values() for text in corpus["train"].select(_some(corpus["train"]))[name]
        ]
        means.append(fmean(map(len, tokenizer(texts, truncation=True, max_length=limit)["input_ids"])))
    return Lengths(sum(len(corpus["train"]) for corpus in found.values()), *means)


def _some(rows) -> list[int]:
    step = max(1, len(rows) // SAMPLE)
    return list(range(0, len(rows), step))[:SAMPLE]


def _disk(checkpoint: str, parameters: int) -> list[Row]:
    here = Path(checkpoint).is_dir() or _in_cache(checkpoint, "model.safetensors", "pytorch_model.bin")
    cache, runs = Path(constants.HF_HOME), Path(tempfile.gettempdir())
    download = 0 if here else parameters * FLOAT
    training = KEPT_AT_ONCE * parameters * SAVED
    if _device_of(cache) == _device_of(runs):
        return [_room("download and checkpoints of a run", cache, download + training)]
    return [_room("download", cache, download), _room("checkpoints of a run", runs, training)]


def _existing(folder: Path) -> Path:
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


def _device_of(folder: Path) -> int:
    return _existing(folder).stat().st_dev


def _room(what: str, folder: Path, needed: float) -> Row:
    free = shutil.disk_usage(_existing(folder)).free
    state = f"{needed / GB:.1f} GB for {what} in {folder}, {free / GB:.1f} GB free"
    remedy = "make room, or point HF_HOME (downloads) and TMPDIR (checkpoints) at a larger disk"
    return ("disk", state, "" if needed < free else remedy)


def _memory(
    profile: Profile, device: str, parameters: int, vocabulary: int, batch: tuple[int, int], free: float
) -> Row:
    """Compare what training takes at least with what is free; a batch that does not fit whole is worked through in parts."""
    rows, parts = batch
    needed = training_memory(parameters, vocabulary, rows, profile.max_target_length)
    where = "of the GPU" if device == "cuda" else "of this machine"
    batches = f"batches of {profile.batch_size}" + (f", {rows} at a time" if parts > 1 else "")
    state = f"at least {needed / GB:.1f} GB for training in {batches}, {free / GB:.1f} GB {where} free"
    return (
        "memory",
        state,
        "" if needed < free else "close other programs, or take a machine or a GPU with more memory",
    )


def _time(
    profile: Profile,
    device: str,
    precision: str,
    config,
    lengths: Lengths | None,
    batch: tuple[int, int],
    enough: bool,
) -> Row:
    if lengths is None:
        return ("time", "not estimated: the length of the reviews is not known yet", "")
    if not enough:
        return ("time", "not estimated: a training step does not fit into the memory", "")
    try:
        rows, parts = batch
        seconds = parts * _seconds_a_pass(rows, device, precision, config, lengths)
    except (torch.OutOfMemoryError, MemoryError):
        return (
            "time",
            "not estimated: a training step ran out of memory",
            "close other programs, or lower the batch size",
        )
    steps = profile.num_train_epochs * -(-lengths.rows // profile.batch_size)
    state = (
        f"{_duration(seconds * steps)} to fine-tune once: {steps:,} steps of {seconds:.2g} s, measured here with random weights of this "
        f"shape and {rows} × {lengths.source:.0f} tokens; stage 5 does it again, and titles are written besides"
    )
    return ("time, an estimate", state, "")


def _seconds_a_pass(rows: int, device: str, precision: str, config, lengths: Lengths) -> float:
    """Return the seconds of a training step with as many rows as go at a time."""
    model = built(config).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters())
    shape = (rows, max(1, round(lengths.source)))
    source = torch.randint(3, config.vocab_size, shape, device=device)
    labels = torch.randint(3, config.vocab_size, (shape[0], max(1, round(lengths.target))), device=device)

    def step() -> float:
        start = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = model(input_ids=source, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for the device
        return time.perf_counter() - start

    first = step()  # the first one also makes the optimizer's moments
    return first if first > LONG else min(step() for _ in range(2))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.0f} hours"
