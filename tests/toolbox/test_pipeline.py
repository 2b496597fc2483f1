"""Stages 1 to 4 in one run, on text that the course did not write: nothing in the pipeline is shaped to our own corpus."""

import math

import pytest
from datasets import DatasetDict

from resumen.baselines import lead_k, oracle_sentence
from resumen.corpus import load_synopses, prepare_pairs
from resumen.experiment import compare
from resumen.metrics import ROUGES, evaluate_system
from resumen.profiles import PROFILES
from resumen.tokenization import decode_labels, tokenize_corpus
from resumen.training import best_epoch, build_trainer, make_training_arguments

TINY = PROFILES["tiny"]
FEW = {"train": 160, "validation": 16, "test": 32}


@pytest.mark.slow
@pytest.mark.thorough
def test_synopses_from_raw_text_to_verdict(tmp_path, model, tokenizer):
    pairs = prepare_pairs(load_synopses("en"), load_synopses("es"))
    assert all(len(pairs[split]) >= size for split, size in FEW.items())
    few = DatasetDict({split: pairs[split].select(range(size)) for split, size in FEW.items()})
    test = few["test"].to_pandas()
    bodies, titles, languages = (test[name].tolist() for name in ("review_body", "review_title", "language"))
    assert {"en", "es"} == set(languages)

    tokenized = tokenize_corpus(few, tokenizer, TINY.max_input_length, TINY.max_target_length)
    arguments = make_training_arguments(str(tmp_path), 2, TINY.learning_rate, TINY.batch_size, TINY.max_target_length)
    trainer = build_trainer(model, arguments, tokenized, tokenizer)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    # The checkpoint saw reviews only: a few steps on package descriptions must help, whatever the scores are.
    assert 0 <= best_epoch(trainer.state.log_history)["eval_rougeL"] <= 100
    assert trainer.evaluate()["eval_loss"] < before

    output = trainer.predict(tokenized["test"], metric_key_prefix="test")
    predictions, references = (decode_labels(ids, tokenizer) for ids in (output.predictions, output.label_ids))
    in_order = [decode_labels([row], tokenizer)[0] for row in tokenized["test"]["labels"]]
    assert references == in_order, "the Trainer reads the test rows in another order"
    table = evaluate_system(predictions, references, languages)
    assert output.metrics["test_rouge1"] == pytest.approx(table.loc["all", "rouge1"])
    lead = [lead_k(body, language) for body, language in zip(bodies, languages, strict=True)]
    oracle = [oracle_sentence(*row) for row in zip(bodies, titles, languages, strict=True)]
    ceiling, floor = (evaluate_system(texts, titles, languages).loc["all", "rouge1"] for texts in (oracle, lead))
    assert ceiling > floor > 0

    scores, differences = compare({"fine-tuned": [predictions, predictions], "lead-3": lead}, few["test"])
    for language in ("en", "es"):
        assert set(scores[language]) == {"fine-tuned", "lead-3"} and set(differences[language]) == {"lead-3"}
        for name in ROUGES:
            model, baseline = (scores[language][system][name] for system in ("fine-tuned", "lead-3"))
            difference = differences[language]["lead-3"][name]
            assert difference["mean"] == pytest.approx(model - baseline)
            assert difference["low"] <= difference["mean"] <= difference["high"]
            assert math.isfinite(model) and 0 <= baseline <= 100, name
