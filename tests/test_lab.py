"""What a lab says of an answer: the three outcomes, and the hint whatever was compared with what."""

import numpy as np
import pandas as pd
import pytest
import torch

from resumen import lab


def outcome(answer) -> tuple[str, str]:
    try:
        with lab.task("Task 1 · f"):
            answer()
    except (AssertionError, NotImplementedError):
        pass
    return lab._outcomes.pop("Task 1 · f")


def stub():
    raise NotImplementedError()


def own_use_of_the_stub():
    return list(map(lambda _: stub(), range(3)))  # noqa: C417


def torch_in_c():
    torch.ones(2).to_sparse().as_strided((1,), (1,))


def library_method():
    torch.optim.lr_scheduler.LRScheduler(torch.optim.SGD([torch.ones(1)])).get_lr()


def test_the_stub_is_not_an_attempt():
    assert outcome(stub) == (lab.NOT_ATTEMPTED, "")
    assert outcome(own_use_of_the_stub) == (lab.NOT_ATTEMPTED, "")


@pytest.mark.parametrize("answer", [torch_in_c, library_method])
def test_what_a_library_never_wrote_is_wrong(answer):
    state, why = outcome(answer)
    assert state == lab.WRONG
    assert why.startswith("Your code raised NotImplementedError")


VALUES = [
    np.zeros(3),
    np.array(["a", "b"]),
    torch.zeros(2),
    pd.DataFrame({"a": [1]}),
    "text",
    1,
    None,
    [1, "a"],
    {"a": 1},
]


@pytest.mark.parametrize("got", VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("expected", VALUES, ids=lambda value: type(value).__name__)
def test_the_hint_is_never_lost(got, expected):
    if got is expected:
        lab.expect(got, expected, hint="look")
        return
    with pytest.raises(AssertionError, match=r"(?s)^Got .+, expected .+\. Hint: look$"):
        lab.expect(got, expected, hint="look")
