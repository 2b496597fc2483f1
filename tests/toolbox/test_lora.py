"""LoRA: the pairs alone are trained and saved, and a merged model answers as the two parts do."""

import sys

import pytest
import torch

from resumen import lora
from resumen.modeling import Summarizer, load_checkpoint
from resumen.training import overfit_one_batch

TEXTS = ["A slow story, but I read it to the end.", "Un libro muy bueno, no me aburrí."]


@pytest.fixture(scope="module")
def trained():
    """(tokenizer, the weights before, the model with its pairs, trained for a few steps, its batch)."""
    tokenizer, model = load_checkpoint()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    batch = tokenizer(TEXTS, text_target=["Slow but good", "Muy bueno"], padding=True, return_tensors="pt")
    model = lora.add_lora(model, rank=4, seed=1)
    losses = overfit_one_batch(model, dict(batch), steps=8, learning_rate=2e-2)
    assert losses[-1] < losses[0] - 0.5, "nothing was learned, so nothing below would show a difference"
    return tokenizer, before, model.eval(), batch


def logits(model, batch):
    with torch.no_grad():
        return model(**batch).logits


def test_it_answers_as_before_until_it_is_trained(trained):
    _, _, model, batch = trained
    _, plain = load_checkpoint()
    before = logits(plain.eval(), batch)
    assert torch.equal(logits(lora.add_lora(plain, seed=1).eval(), batch), before)
    assert (logits(model, batch) - before).abs().max() > 0.1


def test_base_weights_are_untouched(trained):
    _, before, model, _ = trained
    _, everything = lora.count_parameters(model)
    after = model.get_base_model().state_dict()
    base = {name.replace(".base_layer", ""): weight for name, weight in after.items() if "lora_" not in name}
    assert base.keys() == before.keys()
    assert all(torch.equal(weight, before[name]) for name, weight in base.items())
    trained_names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained_names and all("lora_" in name for name in trained_names)
    assert everything == sum(parameter.numel() for parameter in model.parameters())


def test_merged_equals_adapter_and_leaves_it(trained):
    tokenizer, before, model, batch = trained
    beside = logits(model, batch)
    merged = lora.merge(model)
    torch.testing.assert_close(logits(merged, batch), beside, atol=1e-5, rtol=1e-5)
    assert merged.state_dict().keys() == before.keys(), "a plain model"
    assert torch.equal(logits(model, batch), beside)
    assert Summarizer(merged, tokenizer)(TEXTS) == Summarizer(model, tokenizer)(TEXTS) != ["", ""]


def test_saved_and_loaded(trained, tmp_path):
    tokenizer, _, model, batch = trained
    model.save_pretrained(tmp_path / "adapter")
    names = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert "adapter_model.safetensors" in names and "model.safetensors" not in names
    again_tokenizer, again = lora.load_adapter(tmp_path / "adapter")
    assert torch.equal(logits(again.eval(), batch), logits(model, batch))
    assert again_tokenizer(TEXTS)["input_ids"] == tokenizer(TEXTS)["input_ids"]
    merged = lora.merge(model)
    for part in (merged, tokenizer):
        part.save_pretrained(tmp_path / "merged")
    _, plain = load_checkpoint(tmp_path / "merged")
    assert torch.equal(logits(plain.eval(), batch), logits(merged, batch))
    # The merged weights as base of the pairs have the right shape: only another shape can be told.
    _, based = lora.load_adapter(tmp_path / "adapter", base=tmp_path / "merged")
    assert not torch.equal(logits(based.eval(), batch), logits(model, batch))


def test_mistakes_cost_one_sentence(trained, tmp_path, course_error, monkeypatch):
    with course_error("is not an adapter", "adapter_config.json"):
        lora.load_adapter(tmp_path)
    trained[2].save_pretrained(tmp_path / "adapter")
    with course_error("no checkpoint folder", "elsewhere"):
        lora.load_adapter(tmp_path / "adapter", base="elsewhere")
    with course_error("q and v", "Sequential"):
        lora.add_lora(torch.nn.Sequential(torch.nn.Linear(2, 2)))
    monkeypatch.setitem(sys.modules, "peft", None)
    with course_error("peft", "pip install"):
        lora.add_lora(trained[2])
