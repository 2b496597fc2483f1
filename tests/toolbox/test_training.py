"""Stages 4 and 5: what surrounds a training run, on the embedded checkpoint and a few reviews."""

import math
import re
from itertools import pairwise

import nbformat
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from datasets import DatasetDict
from torch.utils.data import DataLoader
from transformers import (
    DataCollatorForSeq2Seq,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainerControl,
    TrainingArguments,
)

from resumen import training
from resumen.metrics import ROUGES, score_examples
from resumen.profiles import PROFILES
from resumen.tokenization import IGNORE, collate, decode_labels, tokenize_corpus
from resumen.training import (
    NanGuard,
    backward_accumulated,
    best_epoch,
    build_trainer,
    course_arguments,
    evaluate,
    fine_tune,
    fit_batch,
    make_compute_metrics,
    make_training_arguments,
    overfit_one_batch,
    train_epoch,
    training_memory,
    write_titles,
)

TINY = PROFILES["tiny"]


@pytest.fixture(scope="module")
def tokenized(pairs, tokenizer):
    """Eight rows of train, six of validation."""
    few = DatasetDict(
        {split: pairs[split].select(range(size)) for split, size in {"train": 8, "validation": 6}.items()}
    )
    return tokenize_corpus(few, tokenizer, 32, 12)


@pytest.fixture(scope="module")
def batch(tokenized):
    return collate(tokenized["train"].to_list(), 0, 0)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class TestComputeMetrics:
    PREDICTIONS = ("A good book", "Nada que ver", "Same title here")
    REFERENCES = ("A good story", "Muy buena novela", "Same title here")

    def padded(self, tokenizer, texts, start=(), fill=-100):
        rows = [[*start, *tokenizer(text)["input_ids"]] for text in texts]
        longest = max(map(len, rows)) + 2
        return np.array([row + [fill] * (longest - len(row)) for row in rows])

    def test_scores_and_length(self, tokenizer):
        # As generate returns them: the start token first, padding after the end; -100 where batches of unlike length were joined.
        predictions = self.padded(tokenizer, self.PREDICTIONS, start=[0])
        predictions[0][predictions[0] == -100] = 0
        labels = self.padded(tokenizer, self.REFERENCES)
        before = predictions.copy(), labels.copy()
        metrics = make_compute_metrics(tokenizer)((predictions, labels))
        assert set(metrics) == {*ROUGES, "gen_len"}
        means = score_examples(self.PREDICTIONS, self.REFERENCES).mean()
        assert {name: metrics[name] for name in ROUGES} == pytest.approx(means.to_dict())
        assert 0 < metrics["rouge2"] < 100
        assert metrics["gen_len"] == pytest.approx(
            np.mean([len(tokenizer(text)["input_ids"]) for text in self.PREDICTIONS])
        )
        assert np.array_equal(predictions, before[0]) and np.array_equal(labels, before[1])

    def test_tuple_of_predictions(self, tokenizer):
        predictions, labels = (self.padded(tokenizer, texts) for texts in (self.PREDICTIONS, self.REFERENCES))
        compute = make_compute_metrics(tokenizer)
        assert compute(((predictions, np.zeros(3)), labels)) == compute((predictions, labels))

    def test_nothing_predicted(self, tokenizer):
        labels = self.padded(tokenizer, self.REFERENCES)
        assert set(make_compute_metrics(tokenizer)((np.full((3, 4), -100), labels)).values()) == {0.0}


def test_arguments(tmp_path):
    arguments = make_training_arguments(str(tmp_path), 2.5, 3e-4, 7, 30)
    assert isinstance(arguments, Seq2SeqTrainingArguments)
    expected = {
        "output_dir": str(tmp_path),
        "num_train_epochs": 2.5,
        "learning_rate": 3e-4,
        "per_device_train_batch_size": 7,
        "per_device_eval_batch_size": 7,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "logging_strategy": "epoch",
        "predict_with_generate": True,
        "load_best_model_at_end": True,
        "greater_is_better": True,
        "fp16": False,
        "report_to": [],
        "logging_nan_inf_filter": False,
    }
    assert {name: getattr(arguments, name) for name in expected} == expected
    assert arguments.metric_for_best_model in ("rougeL", "eval_rougeL")
    assert arguments.generation_max_length >= 30
    assert 1 <= arguments.save_total_limit <= 3
    assert arguments.seed == make_training_arguments(str(tmp_path), 1, 1e-3, 1, 1).seed is not None


@pytest.fixture
def trainer(tmp_path, model, tokenized, tokenizer):
    return build_trainer(model, make_training_arguments(str(tmp_path), 2, 1e-3, 4, 12), tokenized, tokenizer)


@pytest.mark.slow
def test_build_trainer(trainer, model, tokenized, tokenizer):
    assert trainer.model is model
    assert isinstance(trainer.data_collator, DataCollatorForSeq2Seq)
    assert trainer.data_collator.model is model
    assert trainer.processing_class is tokenizer
    assert trainer.train_dataset is tokenized["train"]
    assert trainer.eval_dataset is tokenized["validation"]


@pytest.mark.slow
def test_trainer_trains_evaluates_and_keeps_the_best(trainer, tmp_path):
    before = weights(trainer.model)
    trainer.train()
    assert not torch.equal(weights(trainer.model), before)
    evaluations = [entry for entry in trainer.state.log_history if "eval_rougeL" in entry]
    assert [entry["epoch"] for entry in evaluations] == [1, 2]
    best = best_epoch(trainer.state.log_history)
    assert trainer.state.best_metric == best["eval_rougeL"]
    assert trainer.state.best_model_checkpoint == str(tmp_path / f"checkpoint-{best['step']}")
    assert {"eval_rouge1", "eval_rouge2", "eval_rougeLsum", "eval_gen_len"} <= set(best)


LECTURE_SETTINGS = re.compile(r"^(learning|watching|care|arguments) = ", re.MULTILINE)


def test_the_lecture_shows_the_arguments_of_the_course(root, tmp_path):
    """What the reader sees in stage 4, and what trained the seeds in data/runs, are one recipe."""
    cells = nbformat.read(root / "stages" / "stage4_trainer" / "lecture.ipynb", as_version=4).cells
    shown = [cell.source for cell in cells if cell.cell_type == "code" and LECTURE_SETTINGS.search(cell.source)]
    names = {"profile": TINY, "torch": torch}
    exec("\n".join(shown), names)
    # The lecture shows a progress bar; without a word on it, the default follows the log level of this process.
    ours = course_arguments(str(tmp_path), TINY, disable_tqdm=False).to_dict()
    theirs = names["arguments"].to_dict() | {"output_dir": str(tmp_path)}
    assert {name: value for name, value in theirs.items() if value != ours[name]} == {}
    (trainer,) = [cell.source for cell in cells if cell.source.startswith("trainer = Seq2SeqTrainer(\n")]
    for part in ("StopOnNan()", "data_collator=collator", "rouge_of_ids", 'eval_dataset=tokenized["validation"]'):
        assert part in trainer, part
    for written in ("trainer.predict(texts[name], **search).predictions", "titles_by(trainer, **FINAL_DECODING)"):
        assert any(written in cell.source for cell in cells), written


def test_course_arguments(tmp_path):
    arguments = course_arguments(str(tmp_path), TINY, seed=7, learning_rate=0.5)
    assert (arguments.seed, arguments.data_seed, arguments.learning_rate) == (7, 7, 0.5)
    assert arguments.num_train_epochs == TINY.num_train_epochs
    assert arguments.per_device_train_batch_size == TINY.batch_size
    assert not arguments.fp16 and not arguments.logging_nan_inf_filter
    assert arguments.metric_for_best_model == "rougeL" and arguments.load_best_model_at_end


MT5 = 300_176_768, 250_112
"""Parameters and vocabulary of mt5-small."""


@pytest.mark.parametrize(
    ("batch_size", "fits", "expected"),
    [(8, 8, (8, 1)), (8, 7, (4, 2)), (8, 1, (1, 8)), (8, 0, (1, 8)), (6, 5, (3, 2)), (7, 6, (1, 7))],
)
def test_fit_batch(batch_size, fits, expected):
    """The batch stays the same, whatever fits at a time."""
    free = training_memory(*MT5, fits, 30)
    assert fit_batch(*MT5, batch_size, 30, free) == expected


def test_fine_tune_in_parts(tmp_path, model, tokenized, tokenizer, monkeypatch):
    """Where the memory is short, rows at a time times parts is the batch of the profile, and the Trainer divides the gradients itself."""
    built = []

    def keep(trainer):
        built.append(trainer)
        raise InterruptedError

    monkeypatch.setattr(training.Seq2SeqTrainer, "train", keep)
    model_size = model.num_parameters(), model.config.vocab_size
    for fits, changes, expected in (
        (16, {}, (16, 1, True)),
        (4, {}, (4, 4, False)),
        (4, {"per_device_train_batch_size": 8}, (8, 1, True)),
    ):
        free = training_memory(*model_size, fits, TINY.max_target_length)
        monkeypatch.setattr(training, "free_memory", lambda device, free=free: free)
        with pytest.raises(InterruptedError):
            fine_tune(model, tokenizer, tokenized, TINY, str(tmp_path), **changes)
        made = built[-1]
        parts = made.args.gradient_accumulation_steps
        assert (made.args.per_device_train_batch_size, parts, made.model_accepts_loss_kwargs) == expected


@pytest.mark.slow
def test_fine_tune_and_write_titles(tmp_path, model, tokenized, tokenizer):
    """The titles are those of the rows, in order, although training sorts its batches by length."""
    before = weights(model)
    # Enough steps for the eight rows: a model that has learned nothing writes nothing, and its first epoch is kept.
    changes = {"num_train_epochs": 12, "learning_rate": 3e-3, "per_device_train_batch_size": 4, "disable_tqdm": True}
    splits = DatasetDict({"train": tokenized["train"], "validation": tokenized["train"]})
    trainer = fine_tune(model, tokenizer, splits, TINY, str(tmp_path), seed=3, **changes)
    assert trainer.args.seed == 3
    assert not torch.equal(weights(model), before)
    rows = tokenized["train"]
    titles = write_titles(trainer, rows)
    lengths = [len(ids) for ids in rows["input_ids"]]
    assert lengths not in (sorted(lengths), sorted(lengths, reverse=True)), "rows that a sort would leave alone"
    # One batch, and so the same padding: what one row gets hangs on its content only.
    turned = rows.select(range(len(rows) - 1, -1, -1))
    assert len(set(titles)) > 1 and write_titles(trainer, turned) == titles[::-1]
    assert all(title == title.strip() for title in titles)


def test_overfit_one_batch(model, batch):
    before, inputs = weights(model), {name: tensor.clone() for name, tensor in batch.items()}
    with torch.no_grad():
        first = model.train()(**batch).loss.item()
    losses = overfit_one_batch(model, batch, steps=15, learning_rate=3e-3)
    assert len(losses) == 15 and all(isinstance(loss, float) for loss in losses)
    assert losses[-1] < losses[0] / 2
    assert not torch.equal(weights(model), before)
    assert all(torch.equal(batch[name], inputs[name]) for name in batch)
    assert losses[0] == pytest.approx(first, abs=1e-5), (
        "the loss before each update: the first is the untouched model's"
    )


def test_best_epoch():
    log = [
        {"loss": 1.0},
        {"eval_rougeL": 3.0, "epoch": 1},
        {"eval_rougeL": 5.0, "epoch": 2},
        {"eval_rougeL": 5.0, "epoch": 3},
    ]
    assert best_epoch(log) is log[2]
    assert best_epoch([{"a": -2.0}, {"a": -1.0}], metric="a") == {"a": -1.0}
    for empty in ([], [{"loss": 1.0}]):
        with pytest.raises(ValueError, match="eval_rougeL"):
            best_epoch(empty)


@pytest.mark.parametrize(
    ("logs", "stops"),
    [
        ({"loss": math.nan}, True),
        ({"loss": math.inf}, True),
        ({"loss": -math.inf}, True),
        ({"loss": 2.5}, False),
        ({"loss": 0.0}, False),
        ({"eval_loss": math.nan}, False),
        ({}, False),
        (None, False),
    ],
)
def test_nan_guard_on_log(logs, stops):
    control = TrainerControl()
    NanGuard().on_log(None, None, control, logs=logs)
    assert control.should_training_stop is stops


@pytest.mark.parametrize(("hides_nan", "steps"), [(False, 1), (True, 4)])
def test_nan_guard_in_a_training_run(tmp_path, model, tokenized, tokenizer, hides_nan, steps):
    """A real NaN stops the run after one step, unless the Trainer's default filter hides it from the guard."""
    with torch.no_grad():
        model.shared.weight.fill_(math.nan)
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        num_train_epochs=2,
        per_device_train_batch_size=4,
        logging_steps=1,
        logging_nan_inf_filter=hides_nan,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    collator = DataCollatorForSeq2Seq(tokenizer, model=model)
    trainer = Trainer(model, arguments, collator, tokenized["train"], callbacks=[NanGuard()])
    trainer.train()
    assert trainer.state.global_step == steps
    assert math.isnan(trainer.state.log_history[0]["loss"]) is not hides_nan


class TestTrainEpoch:
    @pytest.fixture
    def features(self, tokenized):
        """Eight rows whose labels have one length: then the mean over a batch is the mean of the means over its halves."""
        return [row | {"labels": row["labels"][:3]} for row in tokenized["train"].to_list()]

    def run(self, model, features, batch_size, accumulation=1):
        """Run one epoch at learning rate 0, in double precision; return (mean loss, scheduler steps, each update's gradient)."""
        model.double()
        gradients = []
        accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulation)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        optimizer.register_step_pre_hook(
            lambda *_: gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        loader = DataLoader(features, batch_size, collate_fn=lambda rows: collate(rows, 0, 0))
        prepared, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
        prepared.eval()
        loss = train_epoch(prepared, loader, optimizer, scheduler, accelerator)
        assert prepared.training
        return loss, scheduler.scheduler.last_epoch, gradients

    def test_accumulating_equals_a_larger_batch(self, model, features):
        loss_of_halves, _, halves = self.run(model, features, batch_size=2, accumulation=2)
        loss_of_wholes, _, wholes = self.run(model, features, batch_size=4)
        assert loss_of_halves == pytest.approx(loss_of_wholes, abs=1e-5)
        assert len(halves) == len(wholes) == 2
        for half, whole in zip(halves, wholes, strict=True):
            assert whole.abs().max() > 1e-2
            assert torch.allclose(half, whole, rtol=0, atol=1e-5), (half - whole).abs().max()

    @pytest.mark.parametrize(("accumulation", "updates"), [(1, 4), (2, 2), (3, 2)])
    def test_schedule_counts_updates(self, model, features, accumulation, updates):
        """Four batches; the last one always ends an update."""
        _, steps, gradients = self.run(model, features, batch_size=2, accumulation=accumulation)
        assert steps == len(gradients) == updates

    def test_mean_loss_over_batches(self, model, features):
        """Batches count alike, whatever their size: here four rows and one."""
        with torch.no_grad():
            losses = [model(**collate(rows, 0, 0)).loss.item() for rows in (features[:4], features[4:5])]
        assert losses[0] != pytest.approx(losses[1], abs=1e-2)
        assert self.run(model, features[:5], batch_size=4)[0] == pytest.approx(np.mean(losses), abs=1e-5)


class TestBackwardAccumulated:
    @pytest.fixture
    def features(self, tokenized):
        """Eight rows whose labels have one to eight tokens."""
        return [
            row | {"labels": (row["labels"] * 8)[: number + 1]}
            for number, row in enumerate(tokenized["train"].to_list()[:8])
        ]

    def run(self, model, pieces):
        model = model.double().eval()
        model.zero_grad()
        mean = backward_accumulated(model, pieces, Accelerator(cpu=True))
        assert not model.training
        return mean, torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    def test_the_cut_does_not_matter(self, model, features):
        whole_mean, whole = self.run(model, [collate(features, 0, 0)])
        assert whole_mean == pytest.approx(model(**collate(features, 0, 0)).loss.item(), abs=1e-6)
        for bounds in ([0, 4, 8], [0, 1, 7, 8]):
            pieces = [collate(features[start:end], 0, 0) for start, end in pairwise(bounds)]
            mean, gradient = self.run(model, pieces)
            assert mean == pytest.approx(whole_mean, abs=1e-6)
            torch.testing.assert_close(gradient, whole, atol=1e-5, rtol=1e-5)

    def test_batches_without_tokens(self, model, features):
        piece = collate(features[:2], 0, 0)
        empty = {**piece, "labels": torch.full_like(piece["labels"], IGNORE)}
        assert self.run(model, [empty, piece])[0] == self.run(model, [piece])[0]
        for batches in ([], [empty]):
            with pytest.raises(ValueError, match="No batch has a label token"):
                backward_accumulated(model, batches, Accelerator(cpu=True))


@pytest.mark.parametrize("training", [True, False])
def test_evaluate(model, tokenized, tokenizer, training):
    rows = tokenized["validation"].to_list()
    # A few steps, so that the model has something to say: untrained, it says nothing and scores 0.
    overfit_one_batch(model, collate(rows, 0, 0), steps=12, learning_rate=3e-3)
    accelerator = Accelerator(cpu=True)
    modes = []
    model.register_forward_hook(lambda module, *_: modes.append(module.training))
    # Batches of 4 and 2: the mean over examples is not the mean over batches.
    loader = DataLoader(rows, 4, collate_fn=lambda chosen: collate(chosen, 0, 0))
    model, loader = accelerator.prepare(model, loader)
    model.train(training)
    scores = evaluate(model, loader, tokenizer, accelerator, max_new_tokens=6)
    assert model.training is training
    assert set(modes) == {False}
    outputs = [
        model.eval().generate(input_ids=torch.tensor([row["input_ids"]]), max_new_tokens=6)[0].tolist() for row in rows
    ]
    predictions = [decode_labels([output], tokenizer)[0] for output in outputs]
    references = [decode_labels([row["labels"]], tokenizer)[0] for row in rows]
    examples = score_examples(predictions, references)
    assert list(scores) == list(ROUGES)
    assert scores == pytest.approx(examples.mean().to_dict())
    assert scores["rouge1"] != pytest.approx(
        (examples["rouge1"][:4].mean() + examples["rouge1"][4:].mean()) / 2, abs=0.1
    )
