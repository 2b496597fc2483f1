"""From text to tensors: the stage 2 toolbox, as plain functions that any seq2seq tokenizer fits."""

from collections.abc import Sequence

import numpy as np
import torch
from datasets import DatasetDict

IGNORE = -100
"""The label that PyTorch's cross-entropy leaves out: padding must not be learned."""


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
    """Apply `preprocess` to every split, with `num_proc` processes. The same rows in the same order, model columns only."""
    texts = ["review_body", "review_title"]
    limits = {"max_input_length": max_input_length, "max_target_length": max_target_length}
    # A call leaves its limit in the tokenizer, which is part of the name of the cached result: so that the first has it, too.
    preprocess({name: [""] for name in texts}, tokenizer, **limits)
    return DatasetDict(
        {
            split: rows.select_columns(texts).map(
                preprocess,
                batched=True,
                remove_columns=texts,
                num_proc=num_proc,
                fn_kwargs={"tokenizer": tokenizer, **limits},
            )
            for split, rows in corpus.items()
        }
    )


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
