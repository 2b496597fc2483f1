"""`resumen.projects.capstone.processes`: the scores of two processes are those of one, and mistakes cost one sentence."""

import json
import subprocess
import sys

import pytest
import torch
from accelerate.state import AcceleratorState

from resumen.metrics import score_examples
from resumen.modeling import Summarizer, load_checkpoint
from resumen.projects.capstone import processes
from resumen.projects.capstone.contract import EMBEDDED_NEWS, read_corpus
from resumen.projects.capstone.hand_in import process_faults
from resumen.tokenization import collate, preprocess
from resumen.training import overfit_one_batch

LIMIT = 21
"""Rows of each language: not a multiple of two batches, so that rows are repeated to fill the last one."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    AcceleratorState._reset_state(True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The embedded checkpoint after a few steps on four headlines: it writes words, and not the same ones for all texts."""
    tokenizer, model = load_checkpoint()
    rows = read_corpus([EMBEDDED_NEWS]).head(4)
    pairs = {"review_body": rows["source"].to_list(), "review_title": rows["reference"].to_list()}
    columns = preprocess(pairs, tokenizer, 64, 32)
    features = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    torch.manual_seed(0)
    overfit_one_batch(model, collate(features, 0, 0), steps=40, learning_rate=3e-3)
    folder = tmp_path_factory.mktemp("trained")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def arguments(trained):
    def make(output, *more):
        options = ["--checkpoint", trained, "--corpus", EMBEDDED_NEWS, "--output", output, "--limit", LIMIT]
        return [*map(str, options), "--batch-size", "8", "--max-input-length", "64", "--max-new-tokens", "12", *more]

    return make


@pytest.fixture
def one(arguments, tmp_path):
    AcceleratorState._reset_state(True)
    assert processes.main(arguments(tmp_path / "one.json")) == 0
    return json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_one_process_scores_what_the_model_writes(one, trained):
    """Against a Summarizer and the scores of its texts: no loader, no Accelerate."""
    tokenizer, model = load_checkpoint(trained)
    summarize = Summarizer(model, tokenizer, max_input_length=64, batch_size=4)
    corpus = read_corpus([EMBEDDED_NEWS])
    test = corpus[(corpus["split"] == "test") & (corpus["language"] == "es")]
    lengths = [len(ids) for ids in tokenizer(test["source"].to_list(), max_length=64, truncation=True)["input_ids"]]
    rows = test.iloc[sorted(range(len(test)), key=lengths.__getitem__)[:LIMIT]]
    # What the tokenizer cannot write is lost on both sides.
    references = [
        tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) for text in rows["reference"]
    ]
    scores = score_examples(summarize(rows["source"].to_list(), max_new_tokens=12), references).mean()
    assert one["processes"] == 1
    assert one["scores"]["es"] == pytest.approx({**scores.to_dict(), "n": LIMIT}, abs=1e-6)
    assert one["scores"]["es"]["rouge1"] > 1, "scores of 0 would make the comparison empty"


@pytest.mark.slow
@pytest.mark.thorough
def test_two_processes_equal_one(one, arguments, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [
        "-m",
        "resumen.projects.capstone.processes",
        *arguments(tmp_path / "two.json", "--expect-processes", "2"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert run.returncode == 0, run.stderr
    two = json.loads((tmp_path / "two.json").read_text(encoding="utf-8"))
    assert two["processes"] == 2
    assert list(process_faults({"1": one["scores"], "2": two["scores"]})) == []


def test_faults_of_two_scores(one):
    scores = one["scores"]
    changed = {**scores, "es": {**scores["es"], "rouge1": scores["es"]["rouge1"] + 2e-6}}
    assert list(process_faults({"1": scores, "2": scores})) == []
    (fault,) = process_faults({"1": scores, "2": changed})
    assert "es rouge1" in fault
    (fault,) = process_faults({"1": scores})
    assert "it has 1, but 1 and 2" in fault
    (fault,) = process_faults({"1": scores, "2": {"en": scores["en"]}})
    assert "languages" in fault


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--expect-processes", "2"], "2 processes were expected and 1 started"),
        (["--corpus", "nothing.jsonl"], "nothing.jsonl not found"),
        (["--checkpoint", "no/such/folder"], "There is no checkpoint folder no/such/folder"),
    ],
)
def test_mistakes_cost_one_sentence(arguments, tmp_path, capsys, more, words):
    AcceleratorState._reset_state(True)
    assert processes.main([*arguments(tmp_path / "x.json"), *more]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("processes: ") and words in lines[0]
    assert not (tmp_path / "x.json").exists()
