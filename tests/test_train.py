"""`resumen.train`: the same scores on one and two processes, after any kill, and sentences for mistakes."""

import json
import math
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.state import AcceleratorState
from accelerate.utils.launch import prepare_multi_gpu_env
from datasets import Dataset
from safetensors.torch import load_file
from transformers import MT5Config, MT5ForConditionalGeneration, get_linear_schedule_with_warmup

from resumen.corpus import COLUMNS, LANGUAGES, SPLITS
from resumen.errors import CourseError
from resumen.lora import load_adapter
from resumen.metrics import ROUGES
from resumen.modeling import Summarizer, load_checkpoint
from resumen.profiles import PROFILES
from resumen.tokenization import collate
from resumen.train import data, folder, loop, scoring
from resumen.train.__main__ import main
from resumen.train.arguments import parse_arguments, plan_pieces

TITLES = {
    "en": ["a very good book", "not worth the money", "good story but a slow start", "the best book of the year"],
    "es": ["un libro muy bueno", "no vale la pena", "buena historia pero un poco lenta", "el mejor libro del año"],
}
WORDS = {
    "en": [
        "the",
        "story",
        "was",
        "long",
        "and",
        "the",
        "people",
        "in",
        "it",
        "were",
        "dull",
        "but",
        "I",
        "read",
        "it",
        "to",
        "the",
        "end",
        "with",
        "joy",
    ],
    "es": [
        "la",
        "historia",
        "era",
        "larga",
        "y",
        "la",
        "gente",
        "en",
        "ella",
        "aburría",
        "pero",
        "yo",
        "la",
        "leí",
        "hasta",
        "el",
        "final",
        "con",
        "gusto",
    ],
}
ROWS = {"train": 42, "validation": 6, "test": 23}
BATCH = 16


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A folder in the shape that RESUMEN_DATA names. Rows of very different length, so padding and token counts matter."""
    folder, rng = tmp_path_factory.mktemp("corpus"), random.Random(0)
    for language in LANGUAGES:
        for split in SPLITS:
            rows = []
            for number in range(ROWS[split]):
                kind = number % 4
                body = f"{rng.choice(TITLES[language])} {' '.join(rng.choices(WORDS[language], k=rng.choice([3, 12, 60])))} {number} {split}"
                title = " ".join([TITLES[language][kind], *rng.choices(WORDS[language], k=rng.choice([0, 0, 9]))])
                rows.append([f"{language}_{split}_{number}", "p", "r", 1 + kind, body, title, language, "book"])
            pd.DataFrame(rows, columns=list(COLUMNS)).astype({"stars": "int32"}).to_parquet(
                folder / f"{language}_{split}.parquet"
            )
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """The embedded tokenizer with a model small enough to learn something in a second. It has dropout, as mT5 has."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer, model = load_checkpoint(profile=PROFILES["tiny"])
    torch.manual_seed(0)
    config = {
        **model.config.to_dict(),
        "d_model": 48,
        "d_ff": 64,
        "d_kv": 16,
        "num_heads": 2,
        "num_layers": 1,
        "num_decoder_layers": 1,
    }
    small = MT5ForConditionalGeneration(MT5Config(**config | {"dropout_rate": 0.1}))
    small.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def environment(corpus, monkeypatch):
    monkeypatch.setenv("RESUMEN_DATA", str(corpus))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("RESUMEN_PROFILE", raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    AcceleratorState._reset_state(True)


@pytest.fixture
def arguments(checkpoint):
    def make(output, **changes):
        options = {"checkpoint": checkpoint, "epochs": 4, "learning-rate": 0.05, "batch-size": BATCH, **changes}
        return [
            "--cpu",
            "--output",
            str(output),
            *(text for name, value in options.items() for text in (f"--{name}", str(value))),
        ]

    return make


@pytest.fixture
def start(arguments):
    """Run the script in this process, as a new launch would, and return its exit code."""

    def run(output, **changes):
        AcceleratorState._reset_state(True)
        return main(arguments(output, **changes))

    return run


@pytest.fixture(scope="session")
def whole(corpus, checkpoint, tmp_path_factory):
    """The output of a run on one process that nothing interrupted."""
    output = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESUMEN_DATA", str(corpus))
        torch.set_num_threads(1)
        AcceleratorState._reset_state(True)
        options = ["--cpu", "--epochs", "4", "--learning-rate", "0.05", "--batch-size", str(BATCH)]
        assert main([*options, "--output", str(output), "--checkpoint", str(checkpoint)]) == 0
    return output


def read_metrics(output: Path) -> dict:
    return json.loads((output / "metrics.json").read_text(encoding="utf-8"))


def assert_same(output: Path, expected: Path) -> None:
    """Same scores, same weights, each to 1e-6, and the same history, where a loss is a sum of thousands."""
    got, wanted = read_metrics(output), read_metrics(expected)
    assert got["rouge"].keys() == wanted["rouge"].keys() == {"all", *LANGUAGES}
    for language, row in wanted["rouge"].items():
        assert got["rouge"][language] == pytest.approx(row, abs=1e-6)
    assert len(got["history"]) == len(wanted["history"])
    for entry, other in zip(got["history"], wanted["history"], strict=True):
        assert entry == pytest.approx(other, rel=1e-6, abs=1e-6)
    weights, wanted_weights = (load_file(folder / "model" / "model.safetensors") for folder in (output, expected))
    assert weights.keys() == wanted_weights.keys()
    for name, tensor in wanted_weights.items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-6, rtol=0)


def assert_kept(output: Path) -> None:
    """The last two checkpoints are there and the best, and the model is the best one's."""
    best = max(read_metrics(output)["history"], key=lambda entry: entry["rougeL"])["epoch"]
    names = {path.name for path in (output / "checkpoints").iterdir()}
    assert names == {f"epoch-{epoch:04d}" for epoch in (best, 3, 4)}
    saved, model = (
        load_file(path / "model.safetensors")
        for path in (output / "checkpoints" / f"epoch-{best:04d}", output / "model")
    )
    assert all(torch.equal(saved[name], tensor) for name, tensor in model.items())


def launch_two(what: list[str], arguments: list[str]) -> subprocess.CompletedProcess:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    return subprocess.run([*launcher, *what, *arguments], capture_output=True, text=True, timeout=500)


def test_a_whole_run(whole):
    metrics = read_metrics(whole)
    # Scores of 0 would make every comparison below empty.
    assert all(metrics["rouge"][language]["rouge1"] > 1 for language in ("all", *LANGUAGES))
    assert [metrics["rouge"][language]["n"] for language in ("all", *LANGUAGES)] == [
        2 * ROWS["test"],
        ROWS["test"],
        ROWS["test"],
    ]
    assert metrics["history"][-1]["loss"] < metrics["history"][0]["loss"]
    assert metrics["processes"] == 1
    assert_kept(whole)
    tokenizer, _ = load_checkpoint(whole / "model")
    assert tokenizer("¡Hola!")["input_ids"] == load_checkpoint()[0]("¡Hola!")["input_ids"]


@pytest.mark.slow
def test_two_processes_equal_one(whole, arguments, tmp_path):
    run = launch_two(["-m", "resumen.train"], arguments(tmp_path / "two", **{"expect-processes": 2}))
    assert run.returncode == 0, run.stderr
    assert_same(tmp_path / "two", whole)
    assert read_metrics(tmp_path / "two")["processes"] == 2
    # Only the main process speaks: each line once, and one bar.
    lines = run.stdout.splitlines()
    assert len(lines) == len(set(lines))
    assert sum(line.startswith("stage5_accelerate") for line in lines) == 1
    assert [line.split()[0] for line in lines[-3:]] == ["all", *LANGUAGES]
    for line, language in zip(lines[-3:], ("all", *LANGUAGES), strict=True):
        row = read_metrics(whole)["rouge"][language]
        assert all(f"{name} {row[name]:.2f}" in line for name in ROUGES)
    assert run.stderr.count("training") == 1


# One of two processes is killed in the third epoch. That is a moment that no clock decides, so the test cannot miss it.
SUICIDE = """
import os, signal, sys
from resumen.train import loop
from resumen.train.__main__ import main
real, calls = loop.train_step, []
def train_step(*arguments):
    calls.append(1)
    if len(calls) == 13 and os.environ["RANK"] == os.environ.get("VICTIM", "0"):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
loop.train_step = train_step
sys.exit(main())
"""

# In one of two processes a loss of the third epoch is no number.
NAN = """
import os, sys, torch
from resumen.train import loop
from resumen.train.__main__ import main
real, calls = loop.cross_entropy, []
def cross_entropy(*arguments, **options):
    calls.append(1)
    return real(*arguments, **options) * (float("nan") if len(calls) == 13 and os.environ["RANK"] == "1" else 1.0)
loop.cross_entropy = cross_entropy
train = loop.train
def stopped(*arguments):
    try:
        return train(*arguments)
    except loop.CourseError as error:
        with open(f"{__file__}.{os.environ['RANK']}", "w") as file:
            file.write(str(error))
        raise
loop.train = stopped
sys.exit(main())
"""


@pytest.mark.slow
def test_sigkill_and_go_on(whole, arguments, start, tmp_path, capsys):
    script, output = tmp_path / "suicide.py", tmp_path / "run"
    script.write_text(SUICIDE)
    run = launch_two([str(script)], arguments(output))
    assert run.returncode != 0 and "SIGKILL" in run.stderr
    assert not (output / "metrics.json").exists()
    assert start(output) == 0  # what two processes began, one goes on with
    assert "going on after epoch 2" in capsys.readouterr().out
    assert_same(output, whole)


def test_a_loss_that_is_no_number_stops_within_the_epoch(start, tmp_path, monkeypatch, capsys):
    real, calls = loop.cross_entropy, []

    def spoilt(*arguments, **options):
        calls.append(1)
        return real(*arguments, **options) * (math.nan if len(calls) == 7 else 1)

    monkeypatch.setattr(loop, "cross_entropy", spoilt)
    assert start(tmp_path / "run", epochs=2, limit=48) == 1  # three steps an epoch, two pieces a step
    assert "The gradient of step 1 in epoch 2 is not a number" in one_sentence(capsys, tmp_path / "run")
    assert len(calls) == 8, "it went on to the end of the epoch"
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["epoch-0001"]


@pytest.mark.slow
@pytest.mark.thorough
def test_a_loss_that_is_no_number_stops_all_processes(whole, arguments, start, tmp_path):
    script, output = tmp_path / "nan.py", tmp_path / "run"
    script.write_text(NAN)
    run = launch_two([str(script)], arguments(output))
    assert run.returncode != 0
    said = [line.removeprefix("train: ") for line in run.stderr.splitlines() if line.startswith("train: ")]
    assert said == [
        "The gradient of step 3 in epoch 3 is not a number: lower --learning-rate and begin again in another --output, "
        f"since {output} keeps the 2 epochs before."
    ]
    for rank in (0, 1):  # each stopped by itself, and none waited for the other
        assert Path(f"{script}.{rank}").read_text() == said[0]
    assert [path.name for path in sorted((output / "checkpoints").iterdir())] == ["epoch-0001", "epoch-0002"]
    assert not (output / "metrics.json").exists()
    assert start(output) == 0
    assert_same(output, whole)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def launch_nodes(what: list[str], each: list[list[str]], **environment) -> list[subprocess.CompletedProcess]:
    """Start one launcher for each node, as on machines of their own: they meet on the loopback and share nothing but the disk."""
    port, nodes = free_port(), []
    for rank, arguments in enumerate(each):
        command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(len(each)), "--node_rank", str(rank)]
        command += [
            "--nproc_per_node",
            "1",
            "--master_addr",
            "127.0.0.1",
            "--master_port",
            str(port),
            *what,
            *arguments,
        ]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        nodes.append(subprocess.Popen(command, env={**os.environ, **environment}, **pipes))
    try:
        done = [node.communicate(timeout=500) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    return [
        subprocess.CompletedProcess(node.args, node.returncode, *text) for node, text in zip(nodes, done, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.thorough
def test_two_nodes_and_a_kill_equal_one_process(whole, arguments, tmp_path):
    script, output = tmp_path / "suicide.py", tmp_path / "run"
    script.write_text(SUICIDE)
    options = arguments(output, **{"expect-processes": 2})
    nodes = launch_nodes([str(script)], [options] * 2, VICTIM="1")  # on the second node
    assert all(node.returncode for node in nodes), "the other node waited for ever, or went on alone"
    assert not (output / "metrics.json").exists()
    nodes = launch_nodes(["-m", "resumen.train"], [options] * 2)
    assert [node.returncode for node in nodes] == [0, 0], nodes[0].stderr
    assert "going on after epoch 2" in nodes[0].stdout and nodes[1].stdout == ""
    assert read_metrics(output)["processes"] == 2
    assert_same(output, whole)


@pytest.mark.slow
@pytest.mark.thorough
def test_nodes_that_share_no_disk(arguments, tmp_path):
    script = tmp_path / "impatient.py"
    script.write_text(
        "import sys\nfrom resumen.train import folder\nfrom resumen.train.__main__ import main\nfolder.PATIENCE = 1\nsys.exit(main())\n"
    )
    nodes = launch_nodes([str(script)], [arguments(tmp_path / name) for name in ("first", "second")])
    assert all(node.returncode for node in nodes)
    assert "train: 1 of 2 processes do not see what the first one wrote to --output" in nodes[0].stderr


CONFIGS = sorted((Path(__file__).parents[1] / "stages" / "stage5_accelerate" / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_accelerate_reads_the_saved_configs(path):
    """With its own parser; the command in the comment is the one that is parsed."""
    comment = "\n".join(line[1:] for line in path.read_text().splitlines() if line.startswith("#"))
    command = shlex.split(
        re.search(r"accelerate launch (.*--expect-processes \d+)", comment, re.DOTALL)[1].replace("\\\n", " ")
    )
    assert command[:2] == ["--config_file", path.name]
    given = launch_command_parser().parse_args(["--config_file", str(path), *command[2:]])
    parsed, config, _ = _validate_launch_command(given)
    assert parsed.module and parsed.training_script == "resumen.train"
    script = parse_arguments(parsed.training_script_args, PROFILES["tiny"])
    assert script.expect_processes == config.num_processes == parsed.num_processes
    assert parsed.num_machines == (2 if path.stem == "two_machines" else 1)
    assert (parsed.use_fsdp, parsed.multi_gpu) == (path.stem == "fsdp", path.stem != "fsdp")


def test_there_is_a_config_for_each_launch():
    assert [path.stem for path in CONFIGS] == ["fsdp", "one_machine", "two_machines"]


# Accelerate uses FSDP on accelerators only. Told that the CPUs are such, it runs the same code with gloo.
ON_CPU = """
import sys
from accelerate import state
from accelerate.utils import DistributedType
begin = state.PartialState.__init__
def on_cpu(self, *arguments, **options):
    begin(self, *arguments, **options)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU
state.PartialState.__init__ = on_cpu
from resumen.train import loop, scoring
from resumen.train.__main__ import main
filled = []
loop.fill = lambda whole, sharded: filled.append(1) or scoring.fill(whole, sharded)
code = main()
assert filled
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.thorough
def test_fsdp_equals_one_process(arguments, start, checkpoint, tmp_path, monkeypatch):
    path = next(path for path in CONFIGS if path.stem == "fsdp")
    parsed, *_ = _validate_launch_command(launch_command_parser().parse_args(["--config_file", str(path), "script.py"]))
    for name, value in prepare_multi_gpu_env(parsed).items():
        if "FSDP" in name:
            monkeypatch.setenv(name, value)
    script = tmp_path / "on_cpu.py"
    script.write_text(ON_CPU)
    # The length of the gradient is summed in another order. At the rate of the other tests its last digits would grow.
    gentle = {"learning-rate": 1e-3, "epochs": 2}
    run = launch_two([str(script)], arguments(tmp_path / "run", **gentle, **{"expect-processes": 2}))
    assert run.returncode == 0, run.stderr
    assert any((tmp_path / "run" / "checkpoints").rglob("*.distcp")), "the weights were not spread"
    assert start(tmp_path / "one", **gentle) == 0
    one, two = (read_metrics(tmp_path / name) for name in ("one", "run"))
    for entry, other in zip(two["history"], one["history"], strict=True):
        assert entry["loss"] == pytest.approx(other["loss"], rel=1e-5)
    before, weights, wanted = (
        load_file(path / "model.safetensors")
        for path in (checkpoint, tmp_path / "run" / "model", tmp_path / "one" / "model")
    )
    assert weights.keys() == wanted.keys()
    moved = max((wanted[name] - before[name]).abs().max() for name in wanted)
    apart = max((wanted[name] - weights[name]).abs().max() for name in wanted)
    assert apart < moved / 100


class Killed(BaseException):
    """Stands for a kill: nothing in the script catches it."""


KILL_POINTS = {
    "in the third epoch": (loop, "train_step", 12),
    "while scoring validation": (scoring, "decode_labels", 3),
    "before a checkpoint gets its name": (folder.os, "replace", 3),
    "after it got its name": (folder, "prune", 3),
    "while generating the test titles": (scoring, "decode_labels", 6),
    "before the scores are written": (loop, "save_model", 1),
}


@pytest.mark.slow
@pytest.mark.repeats("before a checkpoint gets its name", "while scoring validation")
@pytest.mark.parametrize("point", KILL_POINTS)
def test_cut_short_anywhere(point, whole, start, tmp_path, monkeypatch):
    owner, attribute, call = KILL_POINTS[point]
    real, calls = getattr(owner, attribute), []

    def cut(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, attribute, cut)
        with pytest.raises(Killed):
            start(tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert start(tmp_path / "run") == 0
    assert_same(tmp_path / "run", whole)
    assert_kept(tmp_path / "run")


def test_a_finished_run_only_scores_again(whole, start, tmp_path, monkeypatch):
    shutil.copytree(whole, tmp_path / "run")
    monkeypatch.setattr(loop, "train_step", None)
    assert start(tmp_path / "run") == 0
    assert_same(tmp_path / "run", whole)


def test_the_scores_do_not_hang_on_the_rows_at_a_time(whole, start, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    assert start(tmp_path / "run", **{"eval-batch-size": 5}) == 0
    assert_same(tmp_path / "run", whole)


def test_all_is_on_the_disk_before_a_name_is_given(start, tmp_path, monkeypatch):
    flushed, named = set(), []
    flush, replace = folder._flush, os.replace

    def rename(partial, name):
        if Path(partial).is_dir():
            missing = {path for path in [*Path(partial).rglob("*"), Path(partial)] if path not in flushed}
            named.append((Path(name).name, sorted(path.name for path in Path(partial).iterdir()), missing))
            flushed.discard(Path(name).parent)
        replace(partial, name)

    monkeypatch.setattr(folder, "_flush", lambda path: flushed.add(path) or flush(path))
    monkeypatch.setattr(folder.os, "replace", rename)
    assert start(tmp_path / "run", epochs=1, limit=16) == 0
    assert [(name, missing) for name, _, missing in named] == [("epoch-0001", set()), ("model", set())]
    assert {"history.json", "model.safetensors", "optimizer.bin", "scheduler.bin"} <= set(named[0][1])
    assert {tmp_path / "run" / "checkpoints", tmp_path / "run"} <= flushed, "the new names themselves"


def test_lora(start, checkpoint, tmp_path):
    output = tmp_path / "run"
    assert start(output, **{"lora-rank": 4, "epochs": 1}) == 0
    metrics = read_metrics(output)
    assert 0 < metrics["trained_parameters"] < metrics["parameters"] / 20
    before, after = (load_file(path / "model.safetensors") for path in (checkpoint, output / "model"))
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed and all(name.rsplit(".", 2)[1] in ("q", "v") for name in changed)
    text = "It was a very good book"
    tokenizer, merged = load_checkpoint(output / "model")
    _, beside = load_adapter(output / "adapter")
    assert Summarizer(merged, tokenizer)(text) == Summarizer(beside, tokenizer)(text)
    assert start(output, **{"lora-rank": 8, "epochs": 1}) != 0  # another run


def test_begin_again(whole, start, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "run")
    assert start(tmp_path / "run", resume="no", epochs=1) == 0
    assert "going on" not in capsys.readouterr().out
    assert len(read_metrics(tmp_path / "run")["history"]) == 1
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["epoch-0001"]


def test_bf16_and_limit(start, tmp_path):
    assert start(tmp_path / "run", **{"mixed-precision": "bf16", "limit": 20, "epochs": 1}) == 0
    assert read_metrics(tmp_path / "run")["rouge"]["all"]["n"] == 20


def test_synopses(start, tmp_path, monkeypatch):
    wanted = []
    monkeypatch.setattr(data, "load_synopses", lambda language: wanted.append(language) or data.load_reviews(language))
    assert start(tmp_path / "run", data="synopses", limit=16, epochs=1) == 0
    assert wanted == ["en", "es"]


# One step


@pytest.fixture
def batch(checkpoint, corpus):
    tokenizer, _ = load_checkpoint(checkpoint)
    titles = ["a good book", "no vale la pena", "the best book of the year so far I say", "un libro"]
    rows = [{**tokenizer(f"It is {title}"), "labels": tokenizer(title)["input_ids"]} for title in titles]
    return rows


def gradients(rows, size, checkpoint):
    """The gradients of one step over pieces of `size` rows, dropout off, as the optimizer would see them."""
    AcceleratorState._reset_state(True)
    accelerator = Accelerator(cpu=True)
    _, model = load_checkpoint(checkpoint)
    model.eval()
    seen = {}

    class Optimizer:
        def step(self):
            seen.update({name: parameter.grad.clone() for name, parameter in model.named_parameters()})

        def zero_grad(self):
            pass

    class Scheduler:
        def step(self):
            pass

    pieces = [collate(rows[start : start + size], 0, 0) for start in range(0, len(rows), size)]
    count = sum(len(row["labels"]) for row in rows)
    loss, _ = loop.train_step(model, pieces, list(range(len(pieces))), count, Optimizer(), Scheduler(), accelerator)
    return seen, loss / count


@pytest.mark.parametrize("size", [1, 2])
def test_pieces_add_up_to_the_batch(size, batch, checkpoint):
    whole, loss = gradients(batch, len(batch), checkpoint)
    cut, cut_loss = gradients(batch, size, checkpoint)
    torch.testing.assert_close(cut_loss, loss)
    for name, gradient in whole.items():
        torch.testing.assert_close(cut[name], gradient, atol=1e-6, rtol=1e-4)
    _, model = load_checkpoint(checkpoint)
    model.eval()
    own = model(**collate(batch, 0, 0)).loss
    torch.testing.assert_close(loss, own.detach())
    mean_of_means = torch.stack([model(**collate(batch[row : row + 1], 0, 0)).loss for row in range(len(batch))]).mean()
    assert abs(mean_of_means - own) > 1e-4, "rows of one length would not tell the two means apart"


@pytest.mark.parametrize(("warm_up", "updates"), [(1, 1), (1, 20), (7, 130)])
def test_the_schedule_is_that_of_transformers(warm_up, updates):
    optimizers = [torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3) for _ in range(2)]
    ours = torch.optim.lr_scheduler.LambdaLR(optimizers[0], loop.rising_and_falling(warm_up, updates))
    theirs = get_linear_schedule_with_warmup(optimizers[1], warm_up, updates)
    for _ in range(updates):
        assert ours.get_last_lr() == theirs.get_last_lr()
        for step in (*optimizers, ours, theirs):
            step.step()


def test_every_epoch_has_its_own_order_and_batches_of_like_length():
    lengths = [number * 37 % 100 for number in range(203)]
    rows = Dataset.from_dict(
        {"input_ids": [[1] * size for size in lengths], "labels": [[1] * (size % 7) for size in lengths]}
    )
    sampler = data.EpochSampler(rows, 5, seed=1)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[2] != orders[1]
    assert len(sampler) == len(orders[0]) == len(set(orders[0])) == 200
    longest = [max(lengths[row] for row in orders[0][start : start + 5]) for start in range(0, 200, 5)]
    assert 5 * sum(longest) < 1.3 * sum(lengths[row] for row in orders[0]), "less than 30 % of padding"
    counts = sampler.token_counts(1)
    assert counts == [sum(lengths[row] % 7 for row in orders[1][start : start + 5]) for start in range(0, 200, 5)]


# Mistakes


def one_sentence(capsys, output) -> str:
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("training")]
    assert len(errors) == 1 and errors[0].startswith("train: "), errors
    assert not (output / "metrics.json").exists()
    return errors[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checkpoint": "/no/such/folder"}, "no checkpoint folder /no/such/folder"),
        ({"checkpoint": "/"}, "not a checkpoint: it lacks config.json"),
        ({"data": "news"}, "--data: invalid choice: 'news'"),
        ({"batch-size": 15, "gradient-accumulation": 2}, "15 rows cannot be cut into 2 equal pieces"),
        ({"batch-size": 0}, "--batch-size: 0 is not a positive number"),
        ({"batch-size": "many"}, "--batch-size: invalid whole number value: 'many'"),
        ({"learning-rate": "nan"}, "--learning-rate: nan is not a positive number"),
        ({"epochs": -1}, "--epochs: -1 is not a positive number"),
        ({"eval-batch-size": 0}, "--eval-batch-size: 0 is not a positive number"),
        ({"mixed-precision": "fp16"}, "invalid choice: 'fp16'"),
        ({"limit": 10}, "10 rows, fewer than one batch of 16"),
        ({"expect-processes": 2}, "2 processes were expected and 1 started"),
        ({"learning-rate": 1e30}, "is not a number: lower --learning-rate"),
    ],
)
def test_mistakes_cost_one_sentence(changes, words, start, tmp_path, capsys):
    assert start(tmp_path / "run", **changes) != 0
    assert words in one_sentence(capsys, tmp_path / "run")


def test_output_is_a_file(start, tmp_path, capsys):
    (tmp_path / "run").write_text("mine")
    assert start(tmp_path / "run") != 0
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "run").read_text() == "mine"


def test_output_of_another_run(whole, start, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "run")
    assert start(tmp_path / "run", epochs=5) != 0
    assert "epochs 4 there, 5 now" in capsys.readouterr().err
    assert_same(tmp_path / "run", whole)


@pytest.mark.parametrize("name", ["model", "checkpoints"])
def test_output_of_something_else(name, start, tmp_path, capsys):
    (tmp_path / "run" / name).mkdir(parents=True)
    (tmp_path / "run" / name / "mine").write_text("mine")
    for resume in ("auto", "no"):
        assert start(tmp_path / "run", resume=resume) != 0
        assert "holds files that no run of this script left there" in one_sentence(capsys, tmp_path / "run")
    assert (tmp_path / "run" / name / "mine").read_text() == "mine"


def test_an_odd_batch_is_one_piece():
    options = parse_arguments(["--output", "x", "--batch-size", "15"], PROFILES["tiny"])
    assert plan_pieces(options, 1) == 1
    assert plan_pieces(options, 3) == 1 and options.pieces == 3
    with pytest.raises(CourseError, match="2 equal pieces"):
        plan_pieces(options, 2)


@pytest.mark.slow
@pytest.mark.thorough
def test_the_import_leaves_out_the_trainer_and_peft():
    """They take a fifth of the time, and the loop needs neither."""
    code = (
        "import resumen.train.__main__, sys; sys.exit('peft' in sys.modules or 'transformers.trainer' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_exit_code_of_the_command(arguments, tmp_path):
    command = [sys.executable, "-m", "resumen.train", *arguments(tmp_path / "run", checkpoint="/no/such/folder")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("train: There is no checkpoint folder /no/such/folder")
