"""The full profile from first to last, without the Hub: the notebooks as they are, a stand-in for google/mt5-small, a corpus of one's own.

    .venv/bin/python benchmarks/full.py                                             # every lecture and lab: an hour and more on two busy cores
    .venv/bin/python benchmarks/full.py stages/stage4_trainer/lecture.ipynb         # some

The stand-in is a cache of the Hub as `from_pretrained` leaves it, in a temporary folder, with the files that google/mt5-small has:
no `tokenizer.json` and no safetensors. Its vocabulary has 250,112 rows, its sentinels are ordinary pieces, as there. The weights are
random and few (`--exact` builds the published shape); its titles say nothing about mT5's. The reviews are drawn from the embedded
corpus, under other ids, one language as CSV and one as JSON lines.
"""

import argparse
import io
import json
import os
import struct
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
EVERY = [
    ROOT / "stages" / "primer.ipynb",
    *sorted((ROOT / "stages").glob("*/lecture.ipynb")),
    *sorted((ROOT / "solutions").glob("stage*/lab.ipynb")),
]
NAME = "google/mt5-small"
COMMIT = "0" * 40
PIECES, SENTINELS, VOCABULARY = 250_000, 100, 250_112
LEARNED = 6_000
"""Pieces that are learned from reviews; the others fill the vocabulary up and occur in no text."""

PUBLISHED = {
    "architectures": ["MT5ForConditionalGeneration"],
    "d_ff": 1024,
    "d_kv": 64,
    "d_model": 512,
    "decoder_start_token_id": 0,
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu",
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "mt5",
    "num_decoder_layers": 8,
    "num_heads": 6,
    "num_layers": 8,
    "pad_token_id": 0,
    "relative_attention_num_buckets": 32,
    "tie_word_embeddings": False,
    "tokenizer_class": "T5Tokenizer",
    "use_cache": True,
    "vocab_size": VOCABULARY,
}
NARROW = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 1}
SPECIAL = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "extra_ids": 0}


def make_hub(cache: Path, exact: bool = False) -> Path:
    """Fill a cache of the Hub with the stand-in and return the folder of its snapshot."""
    folder = cache / f"models--{NAME.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    config = PUBLISHED | ({} if exact else NARROW)
    (snapshot / "config.json").write_text(json.dumps(config))
    (snapshot / "tokenizer_config.json").write_text(json.dumps({**SPECIAL, "additional_special_tokens": None}))
    (snapshot / "spiece.model").write_bytes(_vocabulary())
    _write_weights(snapshot)
    return snapshot


def _vocabulary() -> bytes:
    """Return a SentencePiece model: pieces learned from the embedded reviews, pieces of no use, and the sentinels at the end."""
    import sentencepiece

    from resumen.corpus import LANGUAGES, load_reviews

    texts = [text for language in LANGUAGES for text in load_reviews(language)["train"]["review_body"][:1500] if text]
    learned = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=learned,
        vocab_size=LEARNED,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        byte_fallback=True,
        minloglevel=2,
    )
    # The file is a protobuf, so what is written behind it is more of the same list.
    filling = [_piece(f"▁ᚠ{number}", -30.0) for number in range(PIECES - LEARNED)]
    sentinels = [_piece(f"▁<extra_id_{number}>", 0.0) for number in reversed(range(SENTINELS))]
    return learned.getvalue() + b"".join(filling + sentinels)


def _piece(text: str, score: float) -> bytes:
    """Return an entry of the list of pieces: field 1 of the file, with text and score as its fields 1 and 2."""
    name = text.encode()
    body = b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", score)
    return b"\x0a" + bytes([len(body)]) + body


def _write_weights(snapshot: Path) -> None:
    """Write random weights that answer as mT5 does before fine-tuning, a sentinel first; then a common word and, soon, an end.

    Only short answers keep a search with 16 beams in so large a vocabulary bearable on a CPU.
    """
    import torch
    from torch import nn
    from transformers import AutoConfig, AutoTokenizer, MT5ForConditionalGeneration

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(snapshot)
    model = MT5ForConditionalGeneration(AutoConfig.from_pretrained(snapshot)).eval()
    head = nn.Parameter(0.02 * torch.randn(VOCABULARY, model.config.d_model))
    model.lm_head.weight = head  # apart from the embeddings, as in the published file
    start, sentinel = 0, tokenizer.convert_tokens_to_ids("▁<extra_id_0>")
    words = tokenizer.convert_tokens_to_ids(["▁book", "▁libro", "▁good", "▁muy", "▁the", "▁la", "▁and", "▁de"])
    likely = torch.full((VOCABULARY,), -9.0)
    likely[words] = 0.0
    likely[tokenizer.eos_token_id] = 3.5
    with torch.no_grad():
        table = model.shared.weight
        table[:, 0] += 6  # the same in every piece: what the decoder says after most of them is nearly the same
        table[start, 1] += 12
        table[sentinel, 2] += 12
        seen = []
        hook = model.lm_head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0][0]))
        model(input_ids=torch.tensor([[*words, 1]]), decoder_input_ids=torch.tensor([[start, sentinel, *words]]))
        hook.remove()
        common = seen[0][2:].mean(0)
        head += likely[:, None] * common / (common @ common)
        for state, answer in ((seen[0][0], sentinel), (seen[0][1], words[0])):
            apart = state - common * (state @ common) / (common @ common)
            head[answer] += 16 * apart / (apart @ state)
    torch.save(model.state_dict(), snapshot / "pytorch_model.bin")


def make_corpus(folder: Path, rows: int) -> None:
    """Write this many reviews of each split and language, English as CSV and Spanish as JSON lines."""
    from resumen.corpus import LANGUAGES, load_reviews

    folder.mkdir(parents=True)
    for language in LANGUAGES:
        for split, reviews in load_reviews(language).items():
            frame = reviews.shuffle(seed=1).select(range(rows)).to_pandas()
            frame["review_id"] = [f"own-{language}-{split}-{number}" for number in range(rows)]
            path = folder / f"{language}_{split}"
            if language == "en":
                frame.to_csv(f"{path}.csv", index=False)
            else:
                frame.to_json(f"{path}.jsonl", orient="records", lines=True, force_ascii=False)


def run(path: Path, output: Path) -> list[str]:
    """Run every cell of a notebook, whatever fails before it; keep the result; return what failed."""
    import nbformat

    from resumen.notebooks import make_client

    notebook = nbformat.read(path, as_version=4)
    make_client(notebook, path.parent, timeout=7200, allow_errors=True).execute()
    output.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, output / f"{path.parent.name}-{path.name}")
    return [
        f"cell {number}: {part.ename}: {part.evalue[:300]}"
        for number, cell in enumerate(notebook.cells)
        for part in cell.get("outputs", [])
        if part.output_type == "error"
    ]


def main() -> int:
    """Run the notebooks, print a line for each, and return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=EVERY)
    parser.add_argument("--rows", type=int, default=80, help="reviews per split and language")
    parser.add_argument("--exact", action="store_true", help="the published shape: 300 million parameters")
    parser.add_argument("--output", type=Path, default=ROOT / "var" / "full", help="folder of the executed notebooks")
    options = parser.parse_args()
    os.environ.pop("RESUMEN_DATA", None)
    with tempfile.TemporaryDirectory(prefix="resumen-full-") as folder:
        place = Path(folder)
        # Set before any Hugging Face library is imported: they read it once, at import. The kernels inherit it.
        os.environ.update(HF_HOME=str(place / "hf"), HF_HUB_CACHE=str(place / "hub"), HF_HUB_OFFLINE="1")
        begun = time.perf_counter()
        make_hub(place / "hub", options.exact)
        make_corpus(place / "reviews", options.rows)
        os.environ.update(RESUMEN_PROFILE="full", RESUMEN_DATA=str(place / "reviews"))
        print(f"stand-in and corpus: {time.perf_counter() - begun:.0f} s", flush=True)
        failed = 0
        for path in options.notebooks:
            begun = time.perf_counter()
            faults = run(path.absolute(), options.output)
            failed += bool(faults)
            result = "; ".join(faults) or "ran"
            print(f"{path.parent.name}/{path.name}: {time.perf_counter() - begun:.0f} s, {result}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
