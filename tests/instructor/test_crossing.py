"""What crosses between tests and answers: by value, by reference, or not at all."""

import json
import math
import random
import threading
from collections import Counter, OrderedDict, defaultdict, namedtuple
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset, DatasetDict, Features, Image, Value
from transformers import BatchEncoding, MT5Config, MT5ForConditionalGeneration, TrainerCallback, TrainerControl

from resumen.instructor import answers, crossing
from resumen.instructor.answers import AnswerFault, AnswerGone, Line, definition, serve
from resumen.instructor.crossing import AnswerSide, Files, Remote, TestSide, Uncrossable
from resumen.lab import _same

ANSWERS = """
import functools, math
from collections import namedtuple
from transformers import TrainerCallback

Pair = namedtuple("Pair", "one other")

def same(value):
    return value

def change(value, how, *arguments):
    getattr(value, how)(*arguments)

def put(value, key, new):
    value[key] = new

def halve(model):
    for weights in model.parameters():
        weights.data.mul_(0.5)
    model.eval()

def count(n):
    yield from range(n)

def fail(kind):
    raise {"value": ValueError, "own": type("Mine", (KeyError,), {}), "stub": NotImplementedError}[kind]("so it is")

class Guard(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **kwargs):
        control.should_training_stop = True
        return control

class Holder:
    def __init__(self, items):
        self.items = items

    def add(self, item):
        self.items.append(item)
        return len(self.items)

class Yes:
    def __eq__(self, other):
        return True
"""


@pytest.fixture
def ask(tmp_path):
    """Return a function: the answers' name -> what the tests get of it."""
    namespace: dict = {"Pair": namedtuple("Pair", "one other")}
    line = Line(str(tmp_path / "answers"), str(tmp_path / "files"), namespace, call_seconds=10, all_seconds=60)
    theirs: dict = {"__name__": "__main__"}
    exec(ANSWERS, theirs)
    line.open("@beside_answer\ndef helper(x):\n    return same(x) + 1\n")
    serving = threading.Thread(target=serve, args=(line.path, theirs))
    serving.start()
    line.ask("name", None, ["same"], {})

    def fetch(name):
        line.fetch([name])
        return namespace[name]

    fetch.line = line
    yield fetch
    line.close()
    serving.join()
    answers.lab._define = answers.tempfile.tempdir = None


VALUES = [
    None, True, -3, 2**70, 0.1, math.inf, "año\ud800", b"\x00\xff", 1j, Fraction(1, 3), Decimal("0.10"), range(1, 9, 2), slice(1, None),
    Path("a/b"), (1, (2, "x")), [1, [2.5, None]], {"a": [1], 2: (3,), None: {}}, {1, 2}, frozenset("ab"), Counter("aab"),
    OrderedDict(b=1, a=2), np.float32(0.5), np.int64(7), np.bool_(True), np.array([[1, 2], [3, 4]], dtype=np.int16), np.zeros((0, 3)),
    np.array(["a", None], dtype=object), torch.arange(6).reshape(2, 3), torch.tensor(1.5, dtype=torch.float64), torch.tensor([], dtype=torch.bool),
    torch.tensor([1.0], dtype=torch.bfloat16), pd.Series([1.5, None], index=["x", "y"], name="s"), pd.DataFrame({"t": ["a", None], "n": [1, 2]}, index=[5, 3]),
    pd.DataFrame([[1, 2.5]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])), pd.DataFrame({"c": pd.Categorical(["u", "v", "u"])}),
    pd.DataFrame(index=pd.RangeIndex(2, 8, 3)),
]  # fmt: skip


@pytest.mark.parametrize(
    "value", VALUES, ids=lambda value: type(value).__name__
)  # the words of a set come in any order
def test_values_cross_both_ways(value):
    """As from an answer to the tests: by value, through JSON."""
    answer, tests = AnswerSide({}), TestSide({}, None)
    blobs: list[bytes] = []
    text = json.dumps(answer.encode(value), default=lambda blob: blobs.append(blob) or {"blob": len(blobs) - 1})
    got = tests.decode(json.loads(text, object_hook=lambda one: blobs[one["blob"]] if one.keys() == {"blob"} else one))
    assert type(got) is type(value)
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(got, value)
    elif isinstance(value, pd.Series):
        pd.testing.assert_series_equal(got, value)
    elif isinstance(value, (np.ndarray, torch.Tensor)):
        assert got.dtype == value.dtype and got.shape == value.shape and _same(got.tolist(), value.tolist(), 0)
    else:
        assert got == value


def test_a_subclass_loses_what_it_does(ask):
    class Text(str):
        __eq__ = lambda self, other: True  # noqa: E731
        __hash__ = None

    class Whole(int):
        __eq__ = lambda self, other: True  # noqa: E731

    answer, tests = AnswerSide({}), TestSide({}, None)
    for value in (Text("a"), Whole(3)):
        got = tests.decode(answer.encode(value))
        assert type(got) in (str, int) and got != "b"
    got = ask("Yes")()
    assert got != 1 and got != [] and isinstance(got, Remote)


def test_arguments_come_back(ask):
    items, table, numbers = [1, {"a": 2}], {"x": [1]}, np.array([1, 2])
    tensor = torch.tensor([[1, 2]])
    frame = pd.DataFrame({"a": [1, 2]}, index=[7, 8])
    same = ask("same")
    for one in (items, table, numbers, tensor, frame):
        assert same(one) is one
    assert same([items, (items[1],)])[1][0] is items[1]
    ask("change")(items, "append", 5)
    ask("put")(items[1], "b", [3])
    ask("put")(numbers, 0, 9)
    ask("put")(tensor, (0, 1), -1)
    ask("put")(frame, "b", [3, 4])
    assert items == [1, {"a": 2, "b": [3]}, 5] and numbers.tolist() == [9, 2] and tensor.tolist() == [[1, -1]]
    assert frame.to_dict("list") == {"a": [1, 2], "b": [3, 4]} and frame.index.tolist() == [7, 8]
    inner = items[1]
    inner["c"] = 4
    assert same(items)[1] is inner


def test_data_sets(ask):
    rows = Dataset.from_dict({"id": ["a", "b", "c"], "n": [1, None, 3], "tokens": [[1], [], [2, 3]]})
    chosen = rows.select([2, 0])
    corpus = DatasetDict(train=rows, test=chosen)
    same = ask("same")
    assert same(chosen) is chosen and same(corpus) is corpus
    got = same(corpus)["test"]
    assert got.to_dict() == {"id": ["c", "a"], "n": [3, 1], "tokens": [[2, 3], [1]]}
    filtered = ask("change")
    filtered(chosen, "set_format", "numpy")
    assert chosen.format["type"] == "numpy"
    answer, tests = AnswerSide({}), TestSide({}, None)
    for made in (rows.filter(lambda n: n == 3, input_columns=["n"]), rows.select([])):
        got = tests.decode(answer.encode(made))
        assert got.features == made.features and got.to_dict() == made.to_dict()
    pictures = Dataset.from_dict({"p": ["/etc/passwd"]}, features=Features(p=Value("string"))).cast_column("p", Image())
    with pytest.raises(Uncrossable):
        tests.decode(answer.encode(pictures))


def test_models(ask):
    sizes = {"d_model": 4, "d_kv": 2, "d_ff": 4, "num_layers": 1, "num_heads": 1, "vocab_size": 9}
    model = MT5ForConditionalGeneration(MT5Config(**sizes, decoder_start_token_id=0)).double().train()
    before = model.shared.weight.detach().clone()
    weights = model.shared.weight
    assert ask("same")(model) is model
    ask("halve")(model)
    assert torch.equal(model.shared.weight, before / 2) and model.shared.weight is weights and not model.training
    model.train()
    assert ask("same")({"model": model})["model"].training
    assert model.encoder.embed_tokens.weight is model.shared.weight


def test_records_and_callbacks(ask):
    control = TrainerControl()
    guard = ask("Guard")()
    assert isinstance(guard, TrainerCallback)
    assert guard.on_log(None, SimpleNamespace(step=1), control, logs={"loss": 1.0}, optimizer=object()) is control
    assert control.should_training_stop is True


def test_what_stays(ask):
    items = [1]
    holder = ask("Holder")(items)
    assert holder.add(2) == 2 and items == [1, 2]
    items.append(3)  # what the tests change is changed over there, too
    assert holder.add(4) == 4 and holder.items is items
    assert list(ask("count")(3)) == [0, 1, 2]
    assert next(iter(ask("count")(10**9))) == 0
    assert "Holder" in repr(holder) and bool(holder)
    with pytest.raises(AttributeError):
        _ = holder.nothing


def test_named_tuples_are_those_of_the_tests(ask):
    pair = ask("Pair")(1, "x")
    assert type(pair) is ask.line.namespace["Pair"] or pair._fields == ("one", "other")
    assert pair == (1, "x") and pair.other == "x"


def test_errors_by_name(ask):
    fail = ask("fail")
    with pytest.raises(ValueError, match=r"^so it is$"):
        fail("value")
    with pytest.raises(NotImplementedError):
        fail("stub")
    with pytest.raises(KeyError) as caught:
        fail("own")
    assert type(caught.value).__name__ == "Mine" and str(caught.value) == "'so it is'"
    ask.line.fetch(["no_such_answer"])
    assert "no_such_answer" not in ask.line.namespace


def test_generators_go_on_where_the_other_stopped():
    ours, theirs = crossing.Generators(), crossing.Generators()
    theirs.set(ours.changed())
    assert ours.changed() is None and theirs.changed() is None
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    state = ours.changed()
    drawn = random.random(), np.random.rand(), torch.rand(1).item()
    theirs.set(state)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == drawn
    for wrong in ([], [1, 2, 3], [[3, b"123", None], [b"", 1, 0, 0.0], b""]):
        with pytest.raises(Uncrossable):
            ours.set(wrong)


def test_helpers_are_made_beside_the_answer(ask):
    assert ask.line.define("helper")(4) == 5
    assert definition("if True:\n    @mark\n    class A:\n        x = 1\n", "A") == "class A:\n    x = 1"


def test_files(tmp_path):
    ours, theirs = Files(tmp_path / "a"), Files(tmp_path / "b")
    (ours.root / "año").mkdir()
    (ours.root / "año" / "x.txt").write_text("1")
    theirs.set(ours.changed())
    assert (theirs.root / "año" / "x.txt").read_text() == "1" and theirs.changed() is None
    (theirs.root / "año" / "x.txt").unlink()
    (theirs.root / "y").write_bytes(b"2")
    ours.set(theirs.changed())
    assert sorted(path.name for path in ours.root.rglob("*")) == ["año", "y"]
    (tmp_path / "secret").write_text("kept")
    (ours.root / "link").symlink_to(tmp_path)
    for name in ("../secret", "link/secret", str(tmp_path / "secret")):
        with pytest.raises(Uncrossable):
            ours.set([[], [[name, b"gone"]]])
        with pytest.raises(Uncrossable):
            ours.set([[name], []])
    assert (tmp_path / "secret").read_text() == "kept"


REFUSED = [
    ["class", "os", "system"], ["record", ["builtins", "object"], []], ["model"], ["tokenizer", []], ["shared", "t99"], ["array", "object", [1], 5],
    ["array", "O", [1], b"12345678"], ["tensor", "load", [1], b""], ["list"], ["path", 5], ["state", 1], {}, [], [[]], ["remember", "x", 1],
    ["named", "x", ["class"], [1]], ["dataset", b"no", "{}", None], ["dict", "no", []],
]  # fmt: skip


@pytest.mark.parametrize("node", REFUSED, ids=lambda node: str(node)[:30])
def test_what_an_answer_may_not_send(node):
    with pytest.raises(Uncrossable):
        TestSide({}, lambda *_: None).decode(node)


def test_a_dead_line_says_why(ask):
    ask.line._give_up("it is gone")
    with pytest.raises(AnswerGone, match="it is gone"):
        ask.line.ask("name", None, ["same"], {})
    ask.line.fetch(["same"])
    with pytest.raises(AnswerGone):
        ask.line.namespace["same"](1)


def test_what_cannot_be_sent_is_a_fault_of_the_answer(ask, monkeypatch):
    same = ask("same")
    monkeypatch.setattr(
        answers._Server,
        "reply",
        lambda *_: {
            "value": ["class", "os", "system"],
            **dict.fromkeys(("random", "files")),
            "states": {},
            "out": "",
            "err": "",
        },
    )
    with suppress(AnswerFault):  # the thread had looked up the old one before it waited, unless it was late
        same(1)
    with pytest.raises(AnswerFault, match="cannot be sent"):
        same(1)


def test_messages_have_limits(monkeypatch):
    import socket

    one, other = socket.socketpair()
    crossing.send(one, {"value": ["bytes", b"x" * 2000]})
    monkeypatch.setattr(crossing, "MAX_MESSAGE", 1000)
    with pytest.raises(Uncrossable):
        crossing.receive(other)


def test_default_dictionaries_keep_their_factory():
    made = defaultdict(list, a=[1])
    got = TestSide({}, None).decode(AnswerSide({}).encode(made))
    assert got == made and got["b"] == []
    assert isinstance(TestSide({}, None).decode(AnswerSide({}).encode(BatchEncoding({"a": [1]}))), BatchEncoding)
