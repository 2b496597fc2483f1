"""What crosses between the process that holds a student's answers and the one that holds the tests: plain data, never pickle.

A message is JSON, followed by raw bytes for the values of tensors, arrays and tables. What each side may send differs:

- The **tests** are trusted. Their lists, dicts, tensors, data sets, models, tokenizers and records cross by value, and both
  sides remember which object is which: what an answer changes in an argument is changed in the tests' own object after the
  call, and an answer that returns its argument returns the tests' own object.
- The **answers** are not. Of what they send, only values of a few plain kinds are made on the other side. Everything else
  (functions, classes, a trainer, a generator) stays where it is, and the tests hold a `Remote`: its methods are calls, and
  their results cross by these same rules. `==` never asks an answer.
"""

import collections
import dataclasses
import decimal
import enum
import fractions
import hashlib
import importlib
import json
import os
import pathlib
import random
import shutil
import socket
import stat
import struct
import sys
import types

MAX_MESSAGE = 256 << 20
"""Bytes of one message. The embedded model takes 7 MB, the largest table of a lab less than 1 MB."""

MAX_BLOBS = 100_000

DICTS = {"dict": dict, "OrderedDict": collections.OrderedDict, "Counter": collections.Counter, "defaultdict": None}
FACTORIES = {"list": list, "dict": dict, "set": set, "int": int, "float": float, "str": str, "tuple": tuple}
CLASSES_FROM = ("transformers", "torch", "datasets", "accelerate")
"""Libraries whose classes a `Remote` may claim to be an instance of."""


class Uncrossable(TypeError):
    """Something arrived that is of no kind that may cross."""


# Messages -------------------------------------------------------------------------------------------------------------


def send(connection: socket.socket, message: dict) -> None:
    """Send one message. Its values are what `Side.encode` returns: JSON with bytes in it."""
    blobs: list[bytes] = []

    def stand_in(value):
        blobs.append(value)
        return {"blob": len(blobs) - 1}

    text = json.dumps(message, default=stand_in).encode()
    head = json.dumps([len(text), *map(len, blobs)]).encode()
    connection.sendall(b"".join([struct.pack("!I", len(head)), head, text, *blobs]))


def receive(connection: socket.socket) -> dict:
    """Return the next message.

    Raises:
        EOFError: if the other side is gone.
        Uncrossable: if it is too large, or no message.
        TimeoutError: if the socket's timeout passes.
    """
    try:
        (size,) = struct.unpack("!I", _read(connection, 4))
        if size > MAX_BLOBS * 16:
            raise Uncrossable("a message with too many parts")
        sizes = json.loads(_read(connection, size))
        if not all(type(one) is int and one >= 0 for one in sizes) or sum(sizes) > MAX_MESSAGE:
            raise Uncrossable(f"a message of more than {MAX_MESSAGE >> 20} MB")
        text, *blobs = [_read(connection, one) for one in sizes]
        return json.loads(text, object_hook=lambda one: blobs[one["blob"]] if one.keys() == {"blob"} else one)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise Uncrossable(f"no message that can be read: {type(error).__name__}") from None


def _read(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def digest(node) -> str:
    """Return a short name of an encoded value: equal for equal values."""
    text = json.dumps(node, default=lambda blob: hashlib.blake2b(blob).hexdigest())
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


# Values ---------------------------------------------------------------------------------------------------------------


class Side:
    """One of the two processes: what it knows of the objects that crossed.

    Args:
        namespace: the notebook's: classes that are defined in it are found by name.
    """

    def __init__(self, namespace: dict):
        self.namespace = namespace
        self.objects: dict[str, object] = {}  # the tests' own objects (here, or the copy of them), by key
        self.keys: dict[int, str] = {}
        self.states: dict[str, str] = {}  # the digest of what both sides know of them
        self.reached: list[str] = []

    def remember(self, key: str, value: object) -> object:
        self.objects[key] = value
        self.keys[id(value)] = key
        return value

    def encode(self, value):
        """Return a value as JSON with bytes in it. An object that is known to both sides is its key, and noted in `reached`."""
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        key = self.keys.get(id(value))
        if key is not None:
            if key not in self.reached:
                self.reached.append(key)
            return ["shared", key]
        if kind in VALUES:
            return VALUES[kind](self, value)
        for test, encode, is_shared in KINDS:
            if test(value):
                return self.share(value) if is_shared else encode(self, value)
        return self.keep(value)

    def share(self, value):
        """Encode a value that can be changed."""
        return self.state(value)

    def state(self, value):
        """Return what an object that can be changed holds now."""
        if type(value) in STATES:
            return STATES[type(value)](self, value)
        return next(encode for test, encode, _ in KINDS if test(value))(self, value)

    def keep(self, value):
        """Encode a value that cannot cross."""
        raise NotImplementedError

    def changed(self, keys) -> dict:
        """Return the states of those objects that the other side does not know, and of those that they hold."""
        states = {}
        self.reached = list(keys)
        for key in self.reached:  # grows: a state reaches other objects
            state = self.state(self.objects[key])
            name = digest(state)
            if self.states.get(key) != name:
                self.states[key] = name
                states[key] = state
        return states

    def decode(self, node):
        """Return the value of what `encode` made.

        Raises:
            Uncrossable: if it is of no kind that may arrive on this side.
        """
        if node is None or type(node) in (bool, int, float, str):
            return node
        if type(node) is not list or not node or type(node[0]) is not str:
            raise Uncrossable("a value of no known kind")
        kind, *parts = node
        try:
            make = getattr(self, f"make_{kind}", None)
            if make is None:
                raise Uncrossable(f"a value of the kind {kind[:40]!r}")
            return make(*parts)
        except (Uncrossable, RecursionError):
            raise
        except Exception as error:
            raise Uncrossable(f"a {kind[:40]} that is none: {type(error).__name__}: {error}") from None

    # Plain values, in both directions

    def make_list(self, items):
        return [self.decode(item) for item in items]

    def make_tuple(self, items):
        return tuple(self.decode(item) for item in items)

    def make_set(self, items):
        return {self.decode(item) for item in items}

    def make_frozenset(self, items):
        return frozenset(self.decode(item) for item in items)

    def make_dict(self, name, pairs, factory=None):
        made = self._new_dict(name, factory)
        made.update({self.decode(key): self.decode(value) for key, value in pairs})
        return made

    def _new_dict(self, name, factory):
        if name == "defaultdict":
            return collections.defaultdict(FACTORIES.get(factory))
        if name == "DatasetDict":
            from datasets import DatasetDict

            return DatasetDict()
        if name == "BatchEncoding":
            from transformers import BatchEncoding

            return BatchEncoding()
        return DICTS[name]()

    def make_bytes(self, value):
        if type(value) is not bytes:
            raise Uncrossable("bytes that are none")
        return value

    def make_bytearray(self, value):
        return bytearray(self.make_bytes(value))

    def make_range(self, *parts):
        if len(range(*parts)) > MAX_BLOBS:
            raise Uncrossable("a range without end")
        return range(*parts)

    def make_slice(self, *parts):
        return slice(*parts)

    def make_complex(self, real, imaginary):
        return complex(real, imaginary)

    def make_fraction(self, top, bottom):
        return fractions.Fraction(top, bottom)

    def make_decimal(self, text):
        return decimal.Decimal(text)

    def make_path(self, text):
        return pathlib.Path(text)

    def make_named(self, name, fields, items):
        known = self.namespace.get(name)
        fits = isinstance(known, type) and issubclass(known, tuple) and getattr(known, "_fields", None) == tuple(fields)
        made = known if fits else collections.namedtuple(name, fields)
        return tuple.__new__(made, [self.decode(item) for item in items])

    # NumPy, torch, pandas, datasets

    def make_array(self, dtype, shape, data, writeable=True):
        import numpy as np

        if dtype == "object":
            made = np.empty(len(data), dtype=object)
            made[:] = [self.decode(item) for item in data]
            return made.reshape(shape)
        if np.dtype(dtype).kind not in "biufcSUmM":
            raise Uncrossable(f"an array of {dtype}")
        made = np.frombuffer(bytearray(data), dtype=np.dtype(dtype)).reshape(shape)
        made.flags.writeable = writeable
        return made

    def make_scalar(self, dtype, data):
        return self.make_array(dtype, [], data)[()]

    def make_tensor(self, dtype, shape, data, requires_grad=False):
        import torch

        dtype = getattr(torch, dtype)
        if not isinstance(dtype, torch.dtype):
            raise Uncrossable("a tensor of no dtype")
        made = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return made.reshape(shape).requires_grad_(requires_grad)

    def make_index(self, kind, *parts):
        import pandas as pd

        if kind == "range":
            start, stop, step, name = parts
            return pd.RangeIndex(start, stop, step, name=self.decode(name))
        if kind == "multi":
            tuples, names = parts
            return pd.MultiIndex.from_tuples(self.decode(tuples), names=self.decode(names))
        column, name = parts
        return pd.Index(self._column(column), name=self.decode(name))

    def make_series(self, column, index, name):
        import pandas as pd

        return pd.Series(self._column(column), index=self.decode(index), name=self.decode(name))

    def make_frame(self, columns, names, index):
        import pandas as pd

        index = self.decode(index)
        made = pd.DataFrame({place: self._column(one) for place, one in enumerate(columns)}, index=index)
        made.columns = self.decode(names)
        return made

    def _column(self, column):
        import pandas as pd

        dtype, values = column
        if dtype == "category":
            codes, categories, ordered = values
            return pd.Categorical.from_codes(codes, self.decode(categories), ordered=ordered)
        values = self.decode(values)
        return pd.array(values, dtype=dtype) if dtype else values

    def make_dataset(self, table, features, form):
        import pyarrow as pa
        from datasets import Dataset, Features

        made = pa.ipc.open_stream(pa.py_buffer(table)).read_all()
        made.validate(full=True)
        features = json.loads(features)
        _check_features(features)
        made = Dataset(made.replace_schema_metadata(None).cast(Features.from_dict(features).arrow_schema))
        form = self.decode(form)
        if form is not None:
            made.set_format(form["type"], form["columns"], form["output_all_columns"])
        return made


def _check_features(features) -> None:
    """Refuse features that read files when a row is read, such as images."""
    if isinstance(features, dict):
        if features.get("_type", "Value") not in ("Value", "ClassLabel", "List", "LargeList", "Sequence"):
            raise Uncrossable(f"a data set of {features['_type']}")
        features = list(features.values())
    if isinstance(features, list):
        for one in features:
            _check_features(one)


def is_of(value, library: str, *names: str) -> bool:
    """Say whether a value is of one of these classes, without importing their library."""
    module = sys.modules.get(library)
    return module is not None and issubclass(type(value), tuple(getattr(module, name) for name in names))


def _plain_number(side, value):
    return bool(value) if isinstance(value, bool) else int.__add__(value, 0) if isinstance(value, int) else value.real


def _encode_dict(side, value):
    name = type(value).__name__ if type(value).__name__ in (*DICTS, "DatasetDict", "BatchEncoding") else "dict"
    node = ["dict", name, [[side.encode(key), side.encode(one)] for key, one in value.items()]]
    if name == "defaultdict":
        node.append(getattr(value.default_factory, "__name__", None))
    return node


def _encode_set(side, value):
    return [type(value).__name__, sorted((side.encode(item) for item in value), key=repr)]


def _encode_array(side, value):
    import numpy as np

    if value.dtype == object:
        return ["array", "object", list(value.shape), [side.encode(item) for item in value.ravel().tolist()]]
    if value.dtype.kind not in "biufcSUmM":
        return side.keep(value)
    return ["array", value.dtype.str, list(value.shape), np.ascontiguousarray(value).tobytes(), value.flags.writeable]


def _encode_scalar(side, value):
    return ["scalar", value.dtype.str, value.tobytes()]


def _encode_tensor(side, value):
    plain = value.detach().cpu().contiguous()
    data = plain.reshape(-1).view(sys.modules["torch"].uint8).numpy().tobytes() if plain.numel() else b""
    return ["tensor", str(plain.dtype).removeprefix("torch."), list(plain.shape), data, value.requires_grad]


def _encode_column(side, values):
    dtype = str(values.dtype)
    if dtype == "category":
        values = getattr(values, "cat", values)
        parts = [values.codes.tolist(), _encode_index(side, values.categories), bool(values.ordered)]
        return [dtype, parts]
    if values.dtype.kind in "biufcmM" and "numpy" in type(values.dtype).__module__:
        import numpy as np

        return ["", _encode_array(side, np.asarray(values))]
    return [dtype, ["list", [side.encode(item) for item in values.tolist()]]]


def _encode_index(side, value):
    if is_of(value, "pandas", "RangeIndex"):
        return ["index", "range", value.start, value.stop, value.step, side.encode(value.name)]
    if is_of(value, "pandas", "MultiIndex"):
        tuples = ["list", [side.encode(item) for item in value.tolist()]]
        return ["index", "multi", tuples, ["list", [side.encode(name) for name in value.names]]]
    return ["index", "plain", _encode_column(side, value), side.encode(value.name)]


def _encode_series(side, value):
    return ["series", _encode_column(side, value), _encode_index(side, value.index), side.encode(value.name)]


def _encode_frame(side, value):
    columns = [_encode_column(side, value.iloc[:, place]) for place in range(value.shape[1])]
    return ["frame", columns, _encode_index(side, value.columns), _encode_index(side, value.index)]


def _encode_dataset(side, value):
    import pyarrow as pa

    form = {name: value.format[name] for name in ("type", "columns", "output_all_columns")}
    plain = value.with_format("arrow")
    table = plain[:] if len(plain) else plain.data.table.slice(0, 0)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    # Whether the format is set decides what rows look like.
    form = side.decode(None) if form["type"] is None else form
    pairs = form and [
        "dict",
        "dict",
        [[name, ["list", one] if type(one) is list else one] for name, one in form.items()],
    ]
    return ["dataset", sink.getvalue().to_pybytes(), json.dumps(value.features.to_dict()), pairs]


VALUES = {
    tuple: lambda side, value: ["tuple", [side.encode(item) for item in value]],
    frozenset: _encode_set,
    bytes: lambda side, value: ["bytes", value],
    range: lambda side, value: ["range", value.start, value.stop, value.step],
    slice: lambda side, value: ["slice", value.start, value.stop, value.step],
    complex: lambda side, value: ["complex", value.real, value.imag],
    fractions.Fraction: lambda side, value: ["fraction", value.numerator, value.denominator],
    decimal.Decimal: lambda side, value: ["decimal", str(value)],
}
"""Values that nobody can change, by their class."""

STATES = {list: lambda side, value: ["list", [side.encode(item) for item in value]], dict: _encode_dict}

KINDS = [
    (lambda value: issubclass(type(value), enum.Enum), lambda side, value: side.encode(value.value), False),
    (lambda value: is_of(value, "numpy", "generic"), _encode_scalar, False),
    (
        lambda value: issubclass(type(value), str),
        lambda side, value: "".join(map(chr, map(ord, str.__iter__(value)))),
        False,
    ),
    (lambda value: issubclass(type(value), (int, float)), _plain_number, False),
    (lambda value: issubclass(type(value), pathlib.PurePath), lambda side, value: ["path", str(value)], False),
    (
        lambda value: issubclass(type(value), tuple) and hasattr(value, "_fields"),
        lambda side, value: [
            "named",
            type(value).__name__,
            list(value._fields),
            [side.encode(one) for one in tuple.__iter__(value)],
        ],
        False,
    ),
    (
        lambda value: issubclass(type(value), tuple),
        lambda side, value: VALUES[tuple](side, tuple.__iter__(value)),
        False,
    ),
    (lambda value: issubclass(type(value), list), lambda side, value: STATES[list](side, list.__iter__(value)), True),
    (lambda value: issubclass(type(value), (dict, collections.UserDict)), _encode_dict, True),
    (lambda value: type(value) is set, _encode_set, True),
    (lambda value: type(value) is bytearray, lambda side, value: ["bytearray", bytes(value)], True),
    (lambda value: is_of(value, "torch", "Tensor"), _encode_tensor, True),
    (lambda value: is_of(value, "numpy", "ndarray"), _encode_array, True),
    (lambda value: is_of(value, "pandas", "Index"), _encode_index, False),
    (lambda value: is_of(value, "pandas", "Series"), _encode_series, True),
    (lambda value: is_of(value, "pandas", "DataFrame"), _encode_frame, True),
    (lambda value: is_of(value, "datasets", "Dataset"), _encode_dataset, True),
]
"""(test, how its state is encoded, whether it can be changed), in the order in which they are tried."""


# What only the tests send ---------------------------------------------------------------------------------------------


def _encode_class(side, value):
    return ["class", value.__module__, value.__qualname__]


def _is_found(value) -> bool:
    """Say whether a class or function can be found by its name in a module that both sides can import."""
    if not isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return False
    found = sys.modules.get(value.__module__ or "")
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value and value.__module__ != "__main__"


def _class_of(value) -> list[str]:
    kind = type(value)
    return [kind.__module__, kind.__qualname__]


def _encode_arguments(side, value):
    # to_dict() writes "<HUB_TOKEN>" where a token was, and tokens do not cross.
    fields = {name: one for name, one in value.to_dict().items() if not name.endswith("token")}
    return ["arguments", _class_of(value), [[name, side.encode(one)] for name, one in fields.items()]]


def _is_record(value) -> bool:
    known = isinstance(value, types.SimpleNamespace) or is_of(value, "transformers", "EvalPrediction")
    return known or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _encode_record(side, value):
    return ["record", _class_of(value), [[name, side.encode(one)] for name, one in vars(value).items()]]


def _encode_tokenizer(side, value):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        value.save_pretrained(folder)
        files = [[path.name, path.read_bytes()] for path in sorted(pathlib.Path(folder).iterdir())]
    return ["tokenizer", files]


def _library_class(kind: type) -> type:
    return next(one for one in kind.__mro__ if one.__module__.split(".")[0] in CLASSES_FROM)


def _own_attributes(value) -> dict:
    """Return what a model of a class of the notebook has of its own: public, and not set by the library's class."""
    library = _library_class(type(value))
    if library is type(value):
        return {}
    usual = vars(library(value.config)).keys()
    return {name: one for name, one in vars(value).items() if name not in usual and not name.startswith("_")}


def _encode_model(side, value):
    weights: dict[int, list] = {}
    for name, one in value.named_parameters(remove_duplicate=False):
        weights.setdefault(id(one), [_encode_tensor(side, one), []])[1].append(name)
    buffers = [[name, _encode_tensor(side, one)] for name, one in value.named_buffers()]
    training = [name for name, module in value.named_modules() if module.training]
    settings = json.dumps(value.generation_config.to_dict()) if value.generation_config else None
    own = [[name, side.encode(one)] for name, one in _own_attributes(value).items()]
    config = json.dumps(value.config.to_dict())
    return ["model", _class_of(value), config, list(weights.values()), buffers, training, settings, own]


TEST_KINDS = [
    (lambda value: _is_found(value), _encode_class, False),
    (lambda value: is_of(value, "transformers", "TrainingArguments"), _encode_arguments, True),
    (_is_record, _encode_record, True),
    (lambda value: is_of(value, "transformers", "PreTrainedTokenizerBase"), _encode_tokenizer, True),
    (lambda value: is_of(value, "transformers", "PreTrainedModel"), _encode_model, True),
]


class TestSide(Side):
    """The trusted side. Its objects that can be changed are known to both sides by a key.

    Args:
        namespace: as for `Side`.
        remote: makes the stand-in of what stays with the answers, from (handle, names of its classes).
    """

    __test__ = False  # pytest, this is no test

    def __init__(self, namespace: dict, remote):
        super().__init__(namespace)
        self.remote = remote
        self.fixed: dict[str, object] = {}  # states of what does not change: tokenizers, and what stays here

    def encode(self, value):
        if type(value) is Remote:
            return ["remote", value._far.handle]
        return super().encode(value)

    def share(self, value):
        key = f"t{len(self.objects)}"
        self.remember(key, value)
        self.reached.append(key)
        return ["shared", key]

    def keep(self, value):
        for test, encode, is_shared in TEST_KINDS:
            if test(value):
                return self.share(value) if is_shared else encode(self, value)
        return self.share(value)

    def state(self, value):
        key = self.keys[id(value)]
        if key in self.fixed:
            return self.fixed[key]
        if type(value) in STATES:
            return STATES[type(value)](self, value)
        for test, encode, _ in (*KINDS, *TEST_KINDS):
            if test(value):
                state = encode(self, value)
                if encode is _encode_tokenizer:
                    self.fixed[key] = state
                return state
        return self.fixed.setdefault(key, ["elsewhere", type(value).__name__])

    def make_shared(self, key):
        return self.objects[key]

    def make_remote(self, handle, names):
        return self.remote(handle, [name for name in names if type(name) is str])

    def refresh(self, states: dict) -> None:
        """Change the tests' own objects as the answer changed its copies of them."""
        for key, node in states.items():
            value = self.objects.get(key)
            if value is None or type(node) is not list:
                raise Uncrossable("a change of something unknown")
            refresh(self, value, node)
            self.states.pop(key, None)  # what is new in it has no key yet: the next message tells it anew


class AnswerSide(Side):
    """The other side: it makes copies of the tests' objects, and keeps all that is no plain value."""

    def __init__(self, namespace: dict):
        super().__init__(namespace)
        self.handles: list[object] = []
        self.waiting: dict[str, list] = {}

    def keep(self, value):
        self.handles.append(value)
        names = [f"{one.__module__}.{one.__qualname__}" for one in type(value).__mro__[:-1]]
        return ["remote", len(self.handles) - 1, names]

    def update(self, states: dict) -> None:
        """Make or change the copies of the tests' objects."""
        old = {key: node for key, node in states.items() if key in self.objects}
        self.waiting = {key: node for key, node in states.items() if key not in old}
        for key, node in old.items():
            refresh(self, self.objects[key], node)
        for key in list(self.waiting):
            self.make_shared(key)
        for key in states:
            self.states[key] = digest(self.state(self.objects[key]))

    def state(self, value):
        if isinstance(value, Elsewhere):
            return ["elsewhere", value.name]
        if type(value) in STATES:
            return STATES[type(value)](self, value)
        for test, encode, _ in (*KINDS, *TEST_KINDS):
            if test(value):
                return ["tokenizer"] if encode is _encode_tokenizer else encode(self, value)
        return None

    def make_shared(self, key):
        if key in self.objects:
            return self.objects[key]
        kind, *parts = self.waiting.pop(key)
        if kind == "list":
            value = self.remember(key, [])
        elif kind == "set":
            value = self.remember(key, set())
        elif kind == "dict":
            value = self.remember(key, self._new_dict(parts[0], parts[2] if len(parts) > 2 else None))
        else:
            return self.remember(key, self.decode([kind, *parts]))
        refresh(self, value, [kind, *parts])
        return value

    def make_remote(self, handle, names=()):
        return self.handles[handle]

    def make_elsewhere(self, name):
        return Elsewhere(name)

    def make_class(self, module, name):
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def _find(self, where):
        module, name = where
        return self.namespace[name] if module == "__main__" else self.make_class(module, name)

    def make_arguments(self, where, fields):
        return self._find(where)(**{name: self.decode(one) for name, one in fields})

    def make_record(self, where, fields):
        kind = self._find(where)
        made = kind.__new__(kind)
        for name, one in fields:
            object.__setattr__(made, name, self.decode(one))
        return made

    def make_tokenizer(self, files):
        import tempfile

        from transformers import AutoTokenizer

        with tempfile.TemporaryDirectory() as folder:
            for name, data in files:
                pathlib.Path(folder, name).write_bytes(data)
            return AutoTokenizer.from_pretrained(folder)

    def make_model(self, where, config, weights, buffers, training, settings, own):
        kind = self._find(where)
        library = _library_class(kind)
        made = kind.__new__(kind)
        library.__init__(made, library.config_class.from_dict(json.loads(config)))
        _set_model(self, made, weights, buffers, training, settings, own)
        return made


def _set_model(side, model, weights, buffers, training, settings, own) -> None:
    import torch

    for data, names in weights:
        new = side.decode(data)
        old = dict(model.named_parameters(remove_duplicate=False))
        one = old.get(names[0])
        # A model made from its config ties tables that its checkpoint holds apart: those get a weight each.
        owners = {name for name in old if old[name] is one}
        if owners == set(names) and one.shape == new.shape and one.dtype == new.dtype:
            with torch.no_grad():
                one.copy_(new)  # in place: optimizers hold it
            one.requires_grad_(new.requires_grad)
        elif isinstance(side, AnswerSide):
            one = torch.nn.Parameter(new.detach(), requires_grad=new.requires_grad)
        else:
            raise Uncrossable("weights of another shape")
        if isinstance(side, AnswerSide):
            for name in names:
                parent, _, leaf = name.rpartition(".")
                setattr(model.get_submodule(parent), leaf, one)
    known = dict(model.named_buffers())
    for name, data in buffers:
        new = side.decode(data)
        if name in known and known[name].shape == new.shape:
            known[name].data = new
    training = set(training)
    for name, module in model.named_modules():
        module.training = name in training
    if settings is not None:
        from transformers import GenerationConfig

        model.generation_config = GenerationConfig.from_dict(json.loads(settings))
    for name, one in own:
        if isinstance(side, AnswerSide) or name in vars(model):
            setattr(model, name, side.decode(one))


class Elsewhere:
    """In the answer's process: something of the tests that cannot cross, such as an optimizer."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self):
        return f"<{self.name} of the tests>"


def refresh(side: Side, value: object, node: list) -> None:
    """Give an object in place the state that the other side sent."""
    kind, *parts = node
    if isinstance(value, list) and kind == "list":
        value[:] = side.make_list(*parts)
    elif isinstance(value, (dict, collections.UserDict)) and kind == "dict":
        pairs = {side.decode(key): side.decode(one) for key, one in parts[1]}
        value.clear()
        value.update(pairs)
    elif isinstance(value, set) and kind == "set":
        new = side.make_set(*parts)
        value.clear()
        value |= new
    elif isinstance(value, bytearray) and kind == "bytearray":
        value[:] = parts[0]
    elif kind == "tensor" and is_of(value, "torch", "Tensor"):
        value.data = side.make_tensor(*parts).detach()
    elif kind == "array" and is_of(value, "numpy", "ndarray"):
        value[...] = side.make_array(*parts)
    elif kind in ("series", "frame") and is_of(value, "pandas", "Series", "DataFrame"):
        value._update_inplace(side.decode(node))
    elif kind == "dataset" and is_of(value, "datasets", "Dataset"):
        vars(value).update(vars(side.make_dataset(*parts)))
    elif kind == "model" and is_of(value, "transformers", "PreTrainedModel"):
        _, _, *rest = parts
        _set_model(side, value, *rest)
    elif kind in ("record", "arguments") and (_is_record(value)):
        for name, one in parts[1]:
            if name in vars(value):
                object.__setattr__(value, name, side.decode(one))
    elif kind not in ("tokenizer", "elsewhere"):
        raise Uncrossable(f"a change into a {str(kind)[:40]}")


# The three generators of random numbers -------------------------------------------------------------------------------


class Generators:
    """The global generators of Python, NumPy and torch: both processes go on where the other stopped."""

    def __init__(self):
        self.known = ""

    def changed(self):
        """Return their states, or None if the other side knows them."""
        import numpy as np
        import torch

        version, numbers, gauss = random.getstate()
        _, keys, place, has, cached = np.random.get_state()
        state = [
            [version, struct.pack(f"!{len(numbers)}I", *numbers), gauss],
            [keys.astype("<u4").tobytes(), place, has, cached],
            torch.get_rng_state().numpy().tobytes(),
        ]
        known = digest(state)
        if known == self.known:
            return None
        self.known = known
        return state

    def set(self, state) -> None:
        import numpy as np
        import torch

        if state is None:
            return
        try:
            (version, numbers, gauss), (keys, place, has, cached), torch_state = state
            random.setstate((version, struct.unpack(f"!{len(numbers) // 4}I", numbers), gauss))
            np.random.set_state(("MT19937", np.frombuffer(keys, "<u4"), place, has, cached))
            torch.set_rng_state(torch.frombuffer(bytearray(torch_state), dtype=torch.uint8))
        except Exception as error:
            raise Uncrossable(f"generators that are none: {type(error).__name__}") from None
        self.known = digest(state)


# Files ----------------------------------------------------------------------------------------------------------------


class Files:
    """A folder that both processes have under one path, each its own: what one changes in it is changed in the other's."""

    def __init__(self, root: str):
        self.root = pathlib.Path(root)
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.known: dict[str, tuple] = {}

    def _found(self) -> dict[str, tuple]:
        found = {}
        for folder, folders, files in os.walk(self.root):
            for name in (*folders, *files):
                path = pathlib.Path(folder, name)
                about = path.lstat()
                if stat.S_ISDIR(about.st_mode):
                    found[str(path.relative_to(self.root))] = ()
                elif stat.S_ISREG(about.st_mode):
                    found[str(path.relative_to(self.root))] = (about.st_size, about.st_mtime_ns, about.st_ino)
        return found

    def changed(self):
        """Return what is new or changed, and what is gone; None if nothing is."""
        found = self._found()
        if found == self.known:
            return None
        gone = [name for name in self.known if name not in found]
        new = [name for name in found if self.known.get(name) != found[name]]
        self.known = found
        return [gone, [[name, (self.root / name).read_bytes() if found[name] else None] for name in sorted(new)]]

    def set(self, changes) -> None:
        if changes is None:
            return
        try:
            gone, new = changes
            for name in gone:
                path = self._path(name)
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
            for name, data in new:
                path = self._path(name)
                if data is None:
                    path.mkdir(exist_ok=True)
                elif type(data) is bytes:
                    path.unlink(missing_ok=True)  # a link is replaced, not followed
                    path.write_bytes(data)
        except Exception as error:
            raise Uncrossable(f"files that are none: {type(error).__name__}") from None
        self.known = self._found()

    def _path(self, name: str) -> pathlib.Path:
        path = self.root / name
        if self.root.resolve() not in (path.parent.resolve(), *path.parent.resolve().parents):
            raise ValueError("a file outside the folder")
        return path


# The tests' stand-in --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Far:
    """What a `Remote` stands for. `ask(operation, remote, *arguments, **named)` asks the answers; `holds` are keys of what it was made from."""

    handle: int
    names: tuple[str, ...]
    holds: tuple[str, ...]
    ask: object


class Remote:
    """Something that stays with the answers: a function, a class, a trainer. What is asked of it is a call.

    It equals nothing but itself, so no answer can claim to be equal. `isinstance` believes it about the classes of libraries.
    """

    def __init__(self, far: Far):
        object.__setattr__(self, "_far", far)

    @property
    def __class__(self):
        for name in self._far.names:
            module, _, kind = name.rpartition(".")
            found = getattr(sys.modules.get(module), kind, None)
            if module.split(".")[0] in CLASSES_FROM and isinstance(found, type):
                return found
        return Remote

    def __call__(self, *arguments, **named):
        return self._far.ask("call", self, list(arguments), named)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return self._far.ask("attribute", self, [name], {})

    def __setattr__(self, name, value):
        self._far.ask("set", self, [name, value], {})

    def __getitem__(self, place):
        return self._far.ask("item", self, [place], {})

    def __contains__(self, value):
        return self._far.ask("contains", self, [value], {}) is True

    def __len__(self):
        return self._far.ask("length", self, [], {})

    def __bool__(self):
        return self._far.ask("truth", self, [], {}) is True

    def __iter__(self):
        iterator = self._far.ask("iterator", self, [], {})
        while True:
            found = self._far.ask("next", iterator, [], {})
            if not found:
                return
            yield found[0]

    def __next__(self):
        found = self._far.ask("next", self, [], {})
        if not found:
            raise StopIteration
        return found[0]

    def __repr__(self):
        text = self._far.ask("text", self, [], {})
        return text if type(text) is str else "?"
