"""Stage 2: every function against its contract, and against what transformers does."""

import copy

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from transformers import DataCollatorForSeq2Seq

from resumen.tokenization import (
    causal_mask,
    collate,
    decode_labels,
    fertility,
    preprocess,
    shift_right,
    tokenize_corpus,
    truncation_rate,
)

PAD, EOS, START = 0, 1, 0
BATCH = {
    "review_body": ["I loved reading this book.", "El niño llegó tarde. " * 40, ""],
    "review_title": ["A good book", "Una novela larguísima que no se acaba nunca", ""],
    "stars": [5, 1, 3],
}


def test_preprocess(tokenizer):
    before = copy.deepcopy(BATCH)
    output = preprocess(BATCH, tokenizer, 24, 6)
    assert before == BATCH
    assert {name: type(rows) for name, rows in output.items()} == {
        "input_ids": list,
        "attention_mask": list,
        "labels": list,
    }
    for ids, mask, labels, body, title in zip(
        *output.values(), BATCH["review_body"], BATCH["review_title"], strict=True
    ):
        # No prefix, no padding, `</s>` also after truncation.
        assert ids == [*tokenizer(body, add_special_tokens=False)["input_ids"][:23], EOS]
        assert labels == [*tokenizer(title, add_special_tokens=False)["input_ids"][:5], EOS]
        assert mask == [1] * len(ids)
    assert [len(ids) for ids in output["input_ids"]][1:] == [24, 1]
    assert [len(labels) for labels in output["labels"]][1:] == [6, 1]


def test_tokenize_corpus(tokenizer):
    corpus = DatasetDict(train=Dataset.from_dict(BATCH), test=Dataset.from_dict(BATCH).select([1]))
    tokenized = tokenize_corpus(corpus, tokenizer, 24, 6)
    assert tokenized["train"].to_dict() == preprocess(BATCH, tokenizer, 24, 6)
    assert tokenized["test"][0] == tokenized["train"][1]
    assert corpus["train"].to_dict() == BATCH


LABELS = torch.tensor([[5, 6, 7, EOS], [8, EOS, -100, -100], [EOS, -100, -100, -100]])


def test_shift_right_equals_the_model(model):
    before = LABELS.clone()
    shifted = shift_right(LABELS, START, PAD)
    assert torch.equal(shifted, model._shift_right(LABELS))
    assert torch.equal(shifted, model.prepare_decoder_input_ids_from_labels(LABELS))
    assert torch.equal(LABELS, before)


@pytest.mark.parametrize(
    ("labels", "shifted"),
    [([[5, EOS, -100]], [[9, 5, EOS]]), ([[5, -100, -100]], [[9, 5, 3]]), ([[-100]], [[9]]), ([[7], [8]], [[9], [9]])],
)
def test_shift_right_by_hand(labels, shifted):
    """The start token and padding differ here, unlike in mT5."""
    assert shift_right(torch.tensor(labels), decoder_start_token_id=9, pad_token_id=3).tolist() == shifted


FEATURES = [
    {"input_ids": [5, 6, 7, EOS], "attention_mask": [1, 1, 1, 1], "labels": [8, EOS]},
    {"input_ids": [9, EOS], "attention_mask": [1, 1], "labels": [10, 11, 12, 13, 14, EOS]},
    {"input_ids": [EOS], "attention_mask": [1], "labels": [EOS]},
]


@pytest.mark.parametrize("features", [FEATURES, FEATURES[:1], FEATURES[1:]])
def test_collate_equals_the_data_collator(tokenizer, model, features):
    before = copy.deepcopy(features)
    ours = collate(features, PAD, START)
    assert features == before
    theirs = DataCollatorForSeq2Seq(tokenizer, model=model)(copy.deepcopy(features))
    assert set(ours) == set(theirs) == {"input_ids", "attention_mask", "labels", "decoder_input_ids"}
    for name, tensor in ours.items():
        assert tensor.dtype == torch.int64
        assert torch.equal(tensor, theirs[name]), name


def test_fertility(tokenizer):
    texts = ["I loved it", "¡Extraordinariamente  recomendable!\n", ""]
    tokens = sum(len(tokenizer.tokenize(text)) for text in texts)
    assert fertility(texts, tokenizer) == tokens / 5
    # A ratio of sums, not a mean of ratios.
    one, two = (fertility([text], tokenizer) for text in texts[:2])
    assert one != two
    assert fertility(texts, tokenizer) == pytest.approx((3 * one + 2 * two) / 5)


@pytest.mark.parametrize("texts", [[], [""], ["  ", "\n"]])
def test_fertility_of_nothing(tokenizer, texts):
    assert fertility(texts, tokenizer) == 0.0


def test_truncation_rate(tokenizer):
    texts = ["I loved it", "word " * 30, "El libro", ""]
    for limit in range(1, 40):
        cut = [len(tokenizer(text, truncation=True, max_length=limit)["input_ids"]) for text in texts]
        lost = [len(tokenizer(text)["input_ids"]) > length for text, length in zip(texts, cut, strict=True)]
        assert truncation_rate(texts, tokenizer, limit) == sum(lost) / 4
    exact = len(tokenizer(texts[0])["input_ids"])
    assert truncation_rate(texts[:1], tokenizer, exact) == 0.0
    assert truncation_rate(texts[:1], tokenizer, exact - 1) == 1.0
    assert truncation_rate([], tokenizer, 5) == 0.0


@pytest.mark.parametrize("kind", [torch.tensor, np.array])
def test_decode_labels(tokenizer, kind):
    texts = ["A good book", "Muy buena novela", ""]
    sentinel = tokenizer.convert_tokens_to_ids("<extra_id_0>")
    rows = [tokenizer(text)["input_ids"] for text in texts]
    noise = [[PAD, *rows[0], PAD, -100], [sentinel, *rows[1], -100, -100], [-100, -100, *rows[2]]]
    longest = max(map(len, noise))
    labels = kind([row + [-100] * (longest - len(row)) for row in noise])
    before = labels.tolist()
    assert decode_labels(labels, tokenizer) == texts
    assert labels.tolist() == before


@pytest.mark.parametrize("length", [0, 1, 2, 7])
def test_causal_mask_is_the_triangle(length):
    mask = causal_mask(length)
    assert mask.dtype == torch.bool and tuple(mask.shape) == (length, length)
    assert mask.tolist() == np.tri(length, dtype=bool).tolist()


def test_causal_mask_hides_what_the_decoder_cannot_see(model):
    """Change what stands at one position: the decoder's output may change exactly where the mask lets a row see it."""
    ids = torch.tensor([[20, 21, 22, 23, EOS]])
    read = torch.tensor([[START, 30, 31, 32, 33]])
    with torch.inference_mode():
        before = model(input_ids=ids, decoder_input_ids=read).logits
        for column in range(read.shape[1]):
            changed = read.clone()
            changed[0, column] = 40
            after = model(input_ids=ids, decoder_input_ids=changed).logits
            moved = (after != before).any(dim=-1)[0]
            assert moved.tolist() == causal_mask(read.shape[1])[:, column].tolist()


@pytest.mark.parametrize("limits", [(24, 6), (2, 1), (500, 500)])
def test_words_give_the_tokens_of_texts(tokenizer, limits):
    """`tokenize_corpus` asks for words; the rows are those of `preprocess`, whatever the text."""
    texts = [
        "",
        "uno",
        "Un libro muy bueno…",
        "dos  blancos",
        "a\xa0b",
        "an <extra_id_0> in it",
        "</s>",
        "▁x ▁",
        "ﬁ ½ n\u0303",
        " x ",
    ]
    texts += ["¡Qué supercalifragilístico! 👍🏽 " * 9 + "end", "\n", "你好 x"]
    columns = {"review_body": texts, "review_title": texts[::-1]}
    found = tokenize_corpus(DatasetDict(test=Dataset.from_dict(columns)), tokenizer, *limits)["test"]
    expected = Dataset.from_dict(columns).map(
        preprocess,
        batched=True,
        remove_columns=list(columns),
        fn_kwargs={"tokenizer": tokenizer, "max_input_length": limits[0], "max_target_length": limits[1]},
    )
    assert found.to_list() == expected.to_list()
    assert found.features == expected.features
