"""Loading, summarizing, saving and describing a checkpoint."""

import copy
import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from huggingface_hub import ModelCard
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, MT5ForConditionalGeneration, T5Tokenizer

from resumen import modeling
from resumen.modeling import (
    NEEDED,
    Summarizer,
    greedy_decode,
    load_checkpoint,
    mark_sentinels,
    model_card,
    save_checkpoint,
)
from resumen.profiles import DATA, PROFILES
from resumen.tokenization import collate, preprocess
from resumen.training import overfit_one_batch

FOLDER = DATA / "mt5-tiny"


@pytest.mark.parametrize("lost", NEEDED)
def test_folder_without_a_file(tmp_path, course_error, lost):
    for file in NEEDED:
        if file != lost:
            shutil.copy(FOLDER / file, tmp_path)
    with course_error(tmp_path, f"lacks {lost}"):
        load_checkpoint(tmp_path)


def test_empty_folder(tmp_path, course_error):
    with course_error(tmp_path, *NEEDED):
        load_checkpoint(tmp_path)


def test_broken_folder(tmp_path, course_error):
    for file in NEEDED:
        (tmp_path / file).write_text("{")
    with course_error(tmp_path, "could not be loaded"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["mt5-tny", "./mt5-tny", "/nowhere/mt5-tny", "some/other/folder", "data/mt5-tny"])
def test_mistyped_path(course_error, name):
    with course_error(name):
        load_checkpoint(name)


def test_a_vocabulary_that_cannot_be_read(monkeypatch, course_error):
    """Without protobuf transformers asks for tiktoken, which would not help."""

    def refuse(name):
        raise ValueError("`tiktoken` is required to read a `tiktoken` file.")

    monkeypatch.setattr(modeling.AutoTokenizer, "from_pretrained", refuse)
    monkeypatch.setattr(modeling, "lacking_for_vocabulary", lambda: ["protobuf"])
    with course_error("google/mt5-small", "protobuf", "pip install"):
        load_checkpoint(profile=PROFILES["full"])


def test_hub_name_while_offline(course_error):
    with course_error("google/mt5-small", "could not be loaded"):
        load_checkpoint(profile=PROFILES["full"])


def test_sentinels_of_the_published_vocabulary(tmp_path):
    """google/mt5-small has `▁<extra_id_0>` as an ordinary piece: it would stay in every title."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁good", -3.0)]
    pieces += [(f"▁<extra_id_{number}>", 0.0) for number in (1, 0)]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0)
    ids = tokenizer("<extra_id_0> good")["input_ids"]
    assert ids == [6, 4, 1] and "extra_id" in tokenizer.decode(ids, skip_special_tokens=True)
    mark_sentinels(tokenizer)
    tokenizer.save_pretrained(tmp_path)
    for one in (tokenizer, AutoTokenizer.from_pretrained(tmp_path)):
        assert one("<extra_id_0> good")["input_ids"] == ids and len(one) == len(pieces)
        assert one.decode(ids, skip_special_tokens=True).strip() == "good"


def test_marking_changes_nothing_where_sentinels_are_special(tokenizer):
    before = len(tokenizer), tokenizer.all_special_ids
    mark_sentinels(tokenizer)
    assert (len(tokenizer), tokenizer.all_special_ids) == before


def test_embedded_checkpoint_is_a_small_real_mt5(checkpoint):
    tokenizer, model = checkpoint
    assert type(model) is MT5ForConditionalGeneration
    assert 0.5e6 <= model.num_parameters() <= 2e6
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 5_000_000
    assert len(tokenizer) == model.config.vocab_size
    assert [tokenizer.pad_token_id, tokenizer.eos_token_id] == [model.config.pad_token_id, model.config.eos_token_id]
    sentinels = [f"<extra_id_{number}>" for number in range(100)]
    assert set(sentinels) <= set(tokenizer.all_special_tokens)
    assert set(tokenizer.convert_tokens_to_ids(sentinels)) == set(range(len(tokenizer) - 100, len(tokenizer)))
    assert not tokenizer("El niño dañado ¿qué tal?")["input_ids"].count(tokenizer.unk_token_id)


def test_zero_shot_output_starts_with_a_sentinel(checkpoint, pairs):
    """The checkpoint knows span corruption only, as mT5 does."""
    tokenizer, model = checkpoint
    rows = pairs["test"].select(range(16))
    inputs = tokenizer(rows["review_body"][:], max_length=96, truncation=True, padding=True, return_tensors="pt")
    first = model.generate(**inputs)[:, 1]
    assert tokenizer.convert_ids_to_tokens(first.tolist()) == ["<extra_id_0>"] * 16


def test_generation_length_is_the_profiles(checkpoint):
    assert checkpoint[1].generation_config.max_new_tokens == PROFILES["tiny"].max_target_length
    assert checkpoint[1].generation_config.num_beams == 1


TEXTS = [
    "A wonderful story, I could not stop reading. " * 4,
    "",
    "No me gustó nada el final.",
    "  \n",
    "Short",
    "La novela es larga. " * 60,
]


TITLES = ["A great story to read", "", "No me gustó el final", "", "It is not long", "Muy larga para mí"]


@pytest.fixture(scope="module")
def trained(checkpoint):
    """A model that has learned the four titles by heart, so that it says another thing on each text."""
    tokenizer, model = copy.deepcopy(checkpoint)
    batch = preprocess({"review_body": TEXTS, "review_title": TITLES}, tokenizer, 96, 20)
    features = [dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True) if len(row[2]) > 1]
    losses = overfit_one_batch(model, collate(features, 0, 0), steps=80, learning_rate=3e-3)
    assert losses[-1] < 0.05
    return model


@pytest.fixture
def talkative(trained):
    return copy.deepcopy(trained)


def test_summarizer_shapes(talkative, tokenizer):
    summarize = Summarizer(talkative, tokenizer, max_input_length=96, batch_size=2)
    together = summarize(TEXTS)
    assert together == TITLES
    assert [summarize(text) for text in TEXTS] == together
    assert summarize(TEXTS[::-1]) == together[::-1]
    assert summarize([]) == []
    assert summarize("") == summarize(" \n") == ""
    assert summarize([TEXTS[2]]) == [together[2]]
    assert Summarizer(talkative, tokenizer, max_input_length=96)(TEXTS) == together


def test_summarizer_passes_generation_on(talkative, tokenizer):
    summarize = Summarizer(talkative, tokenizer)
    longest = len(tokenizer(summarize(TEXTS[0], max_new_tokens=12, min_new_tokens=12))["input_ids"])
    shortest = len(tokenizer(summarize(TEXTS[0], max_new_tokens=2))["input_ids"])
    assert shortest <= 3 < longest
    # Without a word about length, generation_config decides.
    talkative.generation_config.max_new_tokens = 2
    assert summarize(TEXTS[0]) == summarize(TEXTS[0], max_new_tokens=2)


def test_summarizer_reads_no_further_than_its_limit(talkative, tokenizer):
    summarize = Summarizer(talkative, tokenizer, max_input_length=8)
    assert summarize("La novela es larga. " * 60) == summarize("La novela es larga. " * 30 + "Otra cosa.")


@pytest.mark.parametrize("training", [True, False])
def test_summarizer_restores_the_mode(model, tokenizer, training):
    model.train(training)
    modes = []
    model.register_forward_hook(lambda module, *_: modes.append(module.training))
    Summarizer(model, tokenizer)(["Good."], max_new_tokens=2)
    assert set(modes) == {False}
    assert model.training is training
    with pytest.raises(TypeError):
        Summarizer(model, tokenizer)(["Good."], max_new_tokens="two")
    assert model.training is training


def test_summarizer_never_shows_a_sentinel(model, tokenizer):
    """Before fine-tuning the model answers with sentinels; none of them, nor the text, may reach a reader."""
    for summary in Summarizer(model, tokenizer)(TEXTS):
        assert "<" not in summary
        assert summary not in TEXTS or summary == ""


@pytest.mark.parametrize("as_path", [True, False])
def test_save_checkpoint_round_trip(tmp_path, model, tokenizer, as_path):
    with torch.no_grad():
        model.shared.weight[5] += 1.0
    directory = tmp_path / "new" / "folder"
    metrics = {"rouge1": 12.5, "título": "ñ"}
    path = save_checkpoint(model, tokenizer, directory if as_path else str(directory), Accelerator(cpu=True), metrics)
    assert path == directory
    assert json.loads((path / "metrics.json").read_text(encoding="utf-8")) == metrics
    again, its_tokenizer = AutoModelForSeq2SeqLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    batch = tokenizer(["El niño leyó <extra_id_0>.", "It is good"], padding=True, return_tensors="pt")
    assert its_tokenizer(["El niño leyó <extra_id_0>.", "It is good"])["input_ids"] == [
        ids[: sum(mask)]
        for ids, mask in zip(batch["input_ids"].tolist(), batch["attention_mask"].tolist(), strict=True)
    ]
    decoder = torch.tensor([[0, 5, 6], [0, 7, 8]])
    with torch.no_grad():
        logits = [net.eval()(**batch, decoder_input_ids=decoder).logits for net in (model, again)]
    assert torch.equal(*logits)
    load_checkpoint(path)


def test_save_checkpoint_writes_on_the_main_process_only(tmp_path, model, tokenizer):
    waits = []
    other = SimpleNamespace(is_main_process=False, wait_for_everyone=lambda: waits.append(1))
    assert save_checkpoint(model, tokenizer, tmp_path / "new", other, {}) == tmp_path / "new"
    assert not (tmp_path / "new").exists()
    assert waits


def test_model_card():
    metrics = {
        "all": {"rouge1": 21.005, "rouge2": 8.0},
        "en": {"rouge1": 20.0},
        "es": {"rouge1": 22.123, "rouge2": 9.999},
    }
    text = model_card(metrics, "google/mt5-small", ["en", "es"], "cc-by-4.0")
    card = ModelCard(text)
    assert card.data.language == ["en", "es"]
    assert card.data.license == "cc-by-4.0"
    assert card.data.base_model == "google/mt5-small"
    assert card.data.metrics == ["rouge"]
    lines = {line.split("|")[1].strip(): line for line in card.text.splitlines() if line.startswith("|")}
    assert [cell.strip() for cell in lines["es"].strip("|").split("|")] == ["es", "22.12", "10.00"]
    assert [cell.strip() for cell in lines["en"].strip("|").split("|")] == ["en", "20.00", ""]
    assert "8.00" in lines["all"]
    assert any(line.startswith("#") and "Limit" in line for line in card.text.splitlines())


@pytest.mark.parametrize("limit", [1, 3, 12])
@pytest.mark.parametrize("training", [True, False])
def test_greedy_decode_equals_generate(checkpoint, limit, training):
    tokenizer, model = checkpoint
    texts = ["I <extra_id_0> this book from <extra_id_1> page", "Me ha <extra_id_0> este libro", "<extra_id_0>"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    model.eval()
    expected = model.generate(**batch, max_new_tokens=limit, num_beams=1, do_sample=False)
    model.train(training)
    written = greedy_decode(model, batch["input_ids"], batch["attention_mask"], limit)
    assert torch.equal(written, expected)
    assert model.training is training
    model.eval()


def test_greedy_decode_restores_the_mode_after_an_error(checkpoint):
    _, model = checkpoint
    model.train()
    with pytest.raises(IndexError):
        greedy_decode(model, torch.tensor([[10**6]]), torch.ones(1, 1, dtype=torch.long), 3)
    assert model.training
    model.eval()
