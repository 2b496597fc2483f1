"""From text to tensors: the stage 2 toolbox, as plain functions that any seq2seq tokenizer fits."""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import DatasetDict

from resumen.columns import BLOCK, is_clean

IGNORE = -100
"""The label that PyTorch's cross-entropy leaves out: padding must not be learned."""

_BY_WORDS = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    ],
}
"""How T5's tokenizers cut a text before they look for tokens."""


def preprocess(batch: dict, tokenizer, max_input_length: int, max_target_length: int) -> dict:
    """Tokenize a batch of reviews: exactly input_ids, attention_mask and labels, lists of token ids without padding.

    Bodies and titles longer than their limit are truncated; every row ends in `</s>`. mT5 was pretrained without task prefixes, so there is none.
    """
    tokens = tokenizer(batch["review_body"], max_length=max_input_length, truncation=True)
    labels = tokenizer(text_target=batch["review_title"], max_length=max_target_length, truncation=True)
    return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"], "labels": labels["input_ids"]}


def tokenize_corpus(
    corpus: DatasetDict, tokenizer, max_input_length: int, max_target_length: int, num_proc: int | None = None
) -> DatasetDict:
    """Apply `preprocess` to every split, with `num_proc` processes. The same rows in the same order, model columns only.

    A tokenizer that cuts at white space first, as those of T5 and mT5 do, is asked once for each different word of ten thousand rows.
    """
    texts = ["review_body", "review_title"]
    limits = {"max_input_length": max_input_length, "max_target_length": max_target_length}
    # A call leaves its limit in the tokenizer, which is part of the name of the cached result: so that the first has it, too.
    preprocess({name: [""] for name in texts}, tokenizer, **limits)
    by_words = _cuts_into_words(tokenizer)
    return DatasetDict(
        {
            split: rows.select_columns(texts)
            .with_format("arrow" if by_words else None)
            .map(
                _preprocess_words if by_words else preprocess,
                batched=True,
                batch_size=BLOCK if by_words else 1000,
                remove_columns=texts,
                num_proc=num_proc,
                fn_kwargs={"tokenizer": tokenizer, **limits},
            )
            .with_format(None)
            for split, rows in corpus.items()
        }
    )


def _cuts_into_words(tokenizer) -> bool:
    """Say whether the tokens of a plain text are those of its words, one after the other, and then `</s>`."""
    try:
        parts = json.loads(tokenizer.backend_tokenizer.to_str())
    except AttributeError:
        return False
    end = [tokenizer.eos_token_id]
    return (
        parts["normalizer"] is None
        and parts["pre_tokenizer"] == _BY_WORDS
        and parts["padding"] is None
        and tokenizer.truncation_side == "right"
        and dict(tokenizer("", text_target="")) == {"input_ids": end, "attention_mask": [1], "labels": end}
        and all(token["content"].startswith("<") for token in parts["added_tokens"])
    )


def _preprocess_words(rows: pa.Table, tokenizer, max_input_length: int, max_target_length: int) -> pa.Table:
    """Return what `preprocess` returns, as a table."""
    inputs = _encode(rows["review_body"].combine_chunks(), tokenizer, max_input_length)
    labels = _encode(rows["review_title"].combine_chunks(), tokenizer, max_target_length)
    mask = pa.ListArray.from_arrays(inputs.offsets, pa.array(np.ones(len(inputs.values), np.int8)))
    return pa.table(
        {"input_ids": inputs.cast(pa.list_(pa.int32())), "attention_mask": mask, "labels": labels},
    )


def _encode(texts: pa.Array, tokenizer, max_length: int) -> pa.ListArray:
    """Return the token ids of each text, cut at `max_length`: of plain texts word by word, of the others as the tokenizer gives them."""
    plain = is_clean(texts)
    rest = texts.filter(pc.invert(plain)).to_pylist()
    others = tokenizer(rest, max_length=max_length, truncation=True)["input_ids"] if rest else []
    ids = [_encode_words(texts.filter(plain), tokenizer, max_length), pa.array(others, pa.list_(pa.int64()))]
    order = np.argsort(np.argsort(~plain.to_numpy(zero_copy_only=False), kind="stable"))
    return pa.concat_arrays(ids).take(pa.array(order))


def _encode_words(texts: pa.Array, tokenizer, max_length: int) -> pa.ListArray:
    if not len(texts):
        return pa.array([], pa.list_(pa.int64()))
    split = pc.split_pattern(texts, " ")
    words = split.flatten().dictionary_encode()
    each = tokenizer(words.dictionary.to_pylist(), add_special_tokens=False, truncation=False)["input_ids"]
    sizes = np.array([len(ids) for ids in each])
    numbers = words.indices.to_numpy()
    counts = np.zeros(len(numbers) + 1, np.int64)  # tokens before each word of all texts
    np.cumsum(sizes[numbers], out=counts[1:])
    ends = counts[split.offsets.to_numpy() - split.offsets[0].as_py()]
    lengths = np.minimum(np.diff(ends), max_length - 1)
    offsets = np.concatenate([[0], np.cumsum(lengths + 1)])
    starts = np.cumsum(sizes) - sizes
    tokens = np.concatenate([np.asarray(ids, np.int64) for ids in each])
    tokens = tokens[np.repeat(starts[numbers] - counts[:-1], sizes[numbers]) + np.arange(counts[-1])]
    places = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths + 1)
    last = places == np.repeat(lengths, lengths + 1)
    found = np.full(offsets[-1], tokenizer.eos_token_id, np.int64)
    found[~last] = tokens[(np.repeat(ends[:-1], lengths + 1) + places)[~last]]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(found))


def shift_right(labels: torch.Tensor, decoder_start_token_id: int, pad_token_id: int) -> torch.Tensor:
    """Return the decoder's input for labels of shape [batch, length]: start token first, last label dropped, -100 as padding."""
    shifted = labels.new_full(labels.shape, decoder_start_token_id)
    shifted[:, 1:] = labels[:, :-1]
    return shifted.masked_fill(shifted == IGNORE, pad_token_id)


def causal_mask(length: int) -> torch.Tensor:
    """Return booleans of shape [length, length]: True where the row's position may see the column's, which is itself or earlier."""
    return torch.ones(length, length, dtype=torch.bool).tril()


def collate(features: list[dict], pad_token_id: int, decoder_start_token_id: int) -> dict[str, torch.Tensor]:
    """Pad a batch to its own longest row, as `DataCollatorForSeq2Seq(tokenizer, model)` does.

    Returns int64 tensors of shape [batch, longest]: input_ids, attention_mask, labels (padded with -100), decoder_input_ids.
    """

    def pad(name: str, value: int) -> torch.Tensor:
        longest = max(len(feature[name]) for feature in features)
        return torch.tensor([[*feature[name], *[value] * (longest - len(feature[name]))] for feature in features])

    labels = pad("labels", IGNORE)
    return {
        "input_ids": pad("input_ids", pad_token_id),
        "attention_mask": pad("attention_mask", 0),
        "labels": labels,
        "decoder_input_ids": shift_right(labels, decoder_start_token_id, pad_token_id),
    }


def fertility(texts: Sequence[str], tokenizer) -> float:
    """Return tokens per white-space word (`</s>` not counted), a ratio of sums; 0.0 when there is no word."""
    words = sum(len(text.split()) for text in texts)
    if words == 0:
        return 0.0
    return sum(len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]) / words


def truncation_rate(texts: Sequence[str], tokenizer, max_length: int) -> float:
    """Return the share of texts, in [0, 1], that lose a token at `max_length` (`</s>` counted); 0.0 for no texts."""
    if len(texts) == 0:
        return 0.0
    return sum(len(ids) > max_length for ids in tokenizer(list(texts))["input_ids"]) / len(texts)


def decode_labels(labels: torch.Tensor | np.ndarray, tokenizer) -> list[str]:
    """Return the text of each row of labels or predictions; -100 and special tokens are dropped, the input is not changed."""
    special = {IGNORE, *tokenizer.all_special_ids}
    return [tokenizer.decode([token for token in row if token not in special]) for row in np.asarray(labels).tolist()]
