"""What a reader does in a lecture: guess before an output is shown, and try things out. Where nobody reads, a figure stands there."""

from importlib import import_module

from resumen.explore.guess import predict
from resumen.explore.reader import reader_present

_EXPLORERS = {
    "attention": "inside",
    "decoding": "inside",
    "rouge_alignment": "numbers",
    "length_limit": "numbers",
    "bootstrap": "numbers",
}

__all__ = [*_EXPLORERS, "predict", "reader_present"]


def __getattr__(name: str):
    """Load an explorer when it is asked for: a lecture that only guesses needs no model."""
    if name in _EXPLORERS:
        return getattr(import_module(f"resumen.explore.{_EXPLORERS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
