"""What a lab says to its student: not attempted, wrong (with a hint) or right; and the table of it at the end.

with task("1 · clean_text"):
    expect(clean_text("a<br>b"), "a b", hint="a tag becomes one space")

While a task is tested, the package's own version of its function is out of reach: see `resumen.own`.
"""

import io
import logging
import opcode
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from resumen import own

NOT_ATTEMPTED, WRONG, RIGHT = "not attempted", "wrong", "right"

_outcomes: dict[str, tuple[str, str]] = {}

_tested: tuple[str, str] = ("", "")
"""The function that the last task is about, and the cell in which it stands."""

_define: Callable[[str], object] | None = None
"""Set where only tests run and the answers lie in another process: makes a helper over there."""

if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:  # a lab's kernel
    own.watch()


@contextmanager
def task(name: str) -> Iterator[None]:
    """Record and say how the checks in the block end: not attempted, wrong or right. The block is `quiet`.

    Raises:
        NotImplementedError: if the answer is still the stub.
        AssertionError: if a check fails, or if the answer raises any other error.
    """
    global _tested
    _tested = (name.rpartition(" ")[2], _cell())
    try:
        with quiet():
            yield
    except NotImplementedError:
        _outcomes[name] = (NOT_ATTEMPTED, "")
        message = f"{name}: {NOT_ATTEMPTED}. Put your code in place of `raise NotImplementedError`, run that cell, then this one."
        raise NotImplementedError(message) from None
    except AssertionError as error:
        _outcomes[name] = (WRONG, str(error))
        raise AssertionError(f"{name}: {WRONG}. {error}") from None
    _outcomes[name] = (RIGHT, "")
    print(f"{name}: {RIGHT}.")


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what an answer logs or warns of, and its progress bars: nbgrader gives no points for a cell that writes to stderr.

    In the cell of a task, the package's own version of the task's function is out of reach in the block.

    Raises:
        NotImplementedError: if the answer is still the stub.
        AssertionError: if a check fails, or if the answer raises any other error; the message names it.
    """
    function, cell = _tested
    held = [function] if cell == _cell() and _define is None else []
    logging.disable(logging.CRITICAL)
    try:
        with own.out_of_reach(*held), warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except AssertionError:
        raise
    except Exception as error:
        if isinstance(error, NotImplementedError) and _is_stub(error):
            raise
        raise AssertionError(f"Your code raised {type(error).__name__}: {error}") from error
    finally:
        logging.disable(logging.NOTSET)


def _is_stub(error: NotImplementedError) -> bool:
    """Say whether a `raise` in somebody's own code raised this: libraries have methods that they never wrote, too."""
    step = error.__traceback__
    while step.tb_next:
        step = step.tb_next
    code = step.tb_frame.f_code
    home, libraries = str(Path(__file__).parent), tuple(set(sysconfig.get_paths().values()))
    is_library = code.co_filename.startswith(libraries) and not code.co_filename.startswith(home)
    return not is_library and code.co_code[step.tb_lasti] == opcode.opmap["RAISE_VARARGS"]


def beside_answer(helper):
    """Mark a helper of a test that hands an answer live objects, such as optimizers: it runs where the answer runs.

    Of the names that it reads, its own test cell binds none: what else it needs are its parameters. With two processes it is
    made anew in the answers' process, and returns plain values or stand-ins.
    """
    return helper if _define is None else _define(helper.__name__)


def _cell() -> str:
    """Return the name under which the cell that called this module was compiled."""
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_filename in (__file__, contextmanager.__code__.co_filename):
        frame = frame.f_back
    return frame.f_code.co_filename if frame else ""


def expect(got, expected, hint: str, tolerance: float = 0.0) -> None:
    """Compare an answer with what it should be: type-aware for tensors, arrays, tables and rows; numbers within `tolerance`.

    Raises:
        AssertionError: if they differ; the message says got, expected and the hint.
    """
    try:
        is_same = _same(got, expected, tolerance)
    except Exception:  # an array does not compare with a text, and a table is neither true nor false
        is_same = False
    if not is_same:
        raise AssertionError(f"Got {_short(got)}, expected {_short(expected)}. Hint: {hint}")


def expect_error(error: type[Exception], call: Callable[[], object], hint: str) -> None:
    """Check that `call()` raises `error`.

    Raises:
        AssertionError: if it returns, or raises something else; the message says got, expected and the hint.
    """
    try:
        got = f"the value {_short(call())}"
    except error:
        return
    except NotImplementedError:
        raise
    except Exception as other:
        got = f"{type(other).__name__}: {other}"
    raise AssertionError(f"Got {got}, expected {error.__name__}. Hint: {hint}")


def report():
    """Return the student's own table: one row per task, in the order in which the checks were run first."""
    import pandas as pd

    rows = [(name, outcome, why) for name, (outcome, why) in _outcomes.items()]
    return pd.DataFrame(rows, columns=["task", "outcome", "why"]).set_index("task")


def _same(got, expected, tolerance: float) -> bool:
    import numpy as np
    import pandas as pd
    import torch

    if isinstance(expected, pd.DataFrame):
        try:
            pd.testing.assert_frame_equal(got, expected, check_dtype=False, rtol=0, atol=max(tolerance, 1e-12))
        except AssertionError:
            return False
        return True
    if isinstance(expected, torch.Tensor):
        return (
            isinstance(got, torch.Tensor)
            and got.shape == expected.shape
            and got.dtype == expected.dtype
            and torch.allclose(got.double(), expected.double(), rtol=0, atol=tolerance, equal_nan=True)
        )
    if isinstance(expected, np.ndarray) and expected.dtype.kind not in "biufc":  # texts, objects
        return np.shape(got) == expected.shape and bool(np.all(got == expected))
    if isinstance(expected, np.ndarray):
        return np.shape(got) == expected.shape and np.allclose(got, expected, rtol=0, atol=tolerance, equal_nan=True)
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and list(map(str, sorted(got, key=str))) == list(map(str, sorted(expected, key=str)))
            and all(_same(got[key], value, tolerance) for key, value in expected.items())
        )
    if isinstance(expected, (list, tuple)):
        # A list where a tuple stands, or the reverse, is the same answer.
        return (
            isinstance(got, (list, tuple))
            and len(got) == len(expected)
            and all(_same(one, other, tolerance) for one, other in zip(got, expected, strict=True))
        )
    if isinstance(expected, bool):  # 1 == True in Python, and 1 is not an answer to a yes-or-no question
        return isinstance(got, (bool, np.bool_)) and bool(got == expected)
    if isinstance(expected, (int, float)):
        return isinstance(got, (int, float, np.number)) and bool(
            abs(got - expected) <= tolerance or (got != got and expected != expected)
        )
    return bool(got == expected)


def _short(value, limit: int = 300) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
