"""A mistake that one sentence can explain. Every command prints that sentence, and no traceback."""

import re


class CourseError(ValueError):
    """A mistake that one sentence can explain: what is wrong, where, what to do. The CLI prints it without a traceback."""


def first_sentence(text: str) -> str:
    """Return the first sentence of another library's error message, without its full stop, to quote it in one of ours."""
    return re.split(r"\n|[.!?] +(?=[A-Z])", text.strip())[0].rstrip(".")
