"""Each explorer: its figure and text alternative where nobody reads, its labelled controls where somebody does."""

import pytest

from resumen import explore
from resumen.explore import panel
from resumen.modeling import load_checkpoint
from resumen.profiles import PROFILES

CALLS = {
    "rouge_alignment": (
        ("a slow but good book", "A slow start, a good end"),
        "3 words matched in order: a, slow, good",
    ),
    "length_limit": (
        ({"en": [1, 2, 3, 10], "es": [2, 4]}, 3),
        "English: 25.0% of texts are cut, and 43.8% of all pieces lost",
    ),
    "bootstrap": (([3.0, 3.0], [1.0, 1.0], 5), "The 95 % interval so far is 2.00 to 2.00"),
}


@pytest.fixture(scope="module")
def checkpoint():
    tokenizer, model = load_checkpoint(profile=PROFILES["tiny"])
    return model.eval(), tokenizer


@pytest.fixture(params=["attention", "decoding", *CALLS])
def call(request, checkpoint):
    """A call of each explorer, and words of its text alternative."""
    name = request.param
    told = {"attention": "Layer 1, head 1.", "decoding": "Step 1, after <pad>."}.get(name)
    arguments, told = (("A good book.", *checkpoint), told) if told else CALLS[name]
    return lambda: getattr(explore, name)(*arguments), told


def test_a_figure_stands_where_nobody_reads(call, capsys):
    make, told = call
    assert make() is None
    assert told in " ".join(capsys.readouterr().out.split())


def test_a_reader_gets_labelled_controls(call, monkeypatch):
    make, _ = call
    monkeypatch.setattr(panel, "reader_present", lambda: True)
    monkeypatch.setattr(panel, "show", lambda figure, alt: shown.append(alt))
    shown: list[str] = []
    *controls, _ = make().children
    assert controls and all(control.description for control in controls)
    control, before = controls[-1], len(shown)
    if hasattr(control, "max"):
        control.value = control.min if control.value == control.max else control.max
    else:
        control.value = "other words"
    assert len(shown) > before
