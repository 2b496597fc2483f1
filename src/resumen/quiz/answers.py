"""What the checks of a graded quiz call: is this an answer, and how much of it is right?

A student's notebook imports this, so it needs Python only.
"""

import math
import re
import reprlib
from collections.abc import Iterable
from numbers import Real


def one_letter(answer: object, letters: str) -> str:
    """Return the letter that was chosen, as a capital: `"b"`, `" B "`, `"B."` and `["B"]` are `"B"`.

    Raises:
        AssertionError: if the answer is not one of the letters. It says what was got and expected, with a hint.
    """
    chosen = _letters(answer)
    if len(chosen) != 1 or not chosen <= set(letters):
        raise _not_yet(
            answer,
            (f"one letter out of {', '.join(letters)}", f"una letra de entre {', '.join(letters)}"),
            ('write your choice between the quotes, such as "B"', 'escribe tu opción entre las comillas, como "B"'),
        )
    return chosen.pop()


def some_letters(answer: object, letters: str) -> set[str]:
    """Return the letters that were chosen, as capitals: `"ca"`, `"A, C"`, `["A", "C"]` and `{"A", "C"}` are the same.

    Raises:
        AssertionError: if the answer has no letter or another one. It says what was got and expected, with a hint.
    """
    chosen = _letters(answer)
    if not chosen or not chosen <= set(letters):
        raise _not_yet(
            answer,
            (f"at least one letter out of {', '.join(letters)}", f"al menos una letra de entre {', '.join(letters)}"),
            ('write all your choices between the quotes, such as "AC"', 'escribe todas tus opciones, como "AC"'),
        )
    return chosen


def a_number(answer: object) -> float:
    """Return the answer as a float. Integers, NumPy's numbers and `"0.25"` will do.

    Raises:
        AssertionError: if the answer is not a finite number. It says what was got and expected, with a hint.
    """
    try:
        number = float(answer) if isinstance(answer, Real | str) and not isinstance(answer, bool) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _not_yet(
            answer,
            ("a number", "un número"),
            ("write digits, with a decimal point: 0.25", "escribe cifras, con punto decimal: 0.25"),
        )
    return number


def near(number: float, key: float, tolerance: float) -> bool:
    """Say whether a number lies within the tolerance; at its very edge, rounding is not held against it."""
    return abs(number - key) <= tolerance + 1e-9 * max(1, abs(key))


def share(chosen: Iterable[str], right: Iterable[str]) -> float:
    """Return the share of the points: (right letters chosen - wrong letters chosen) / right letters, and at least 0."""
    chosen, right = set(chosen), set(right)
    return max(0, len(chosen & right) - len(chosen - right)) / len(right)


def _letters(answer: object) -> set[str]:
    """Return the characters of a string, or of a list of strings, without what people put between or behind letters."""
    parts = [answer] if isinstance(answer, str) else answer if isinstance(answer, list | tuple | set) else []
    if not all(isinstance(part, str) for part in parts):
        return set()
    return set(re.sub(r"[\s,;.()]", "", "".join(parts)).upper())


def _not_yet(answer: object, expected: tuple[str, str], hint: tuple[str, str]) -> AssertionError:
    # Short lines: nbgrader's "Validate" cuts long ones.
    got = reprlib.repr(answer)
    return AssertionError(
        f"got {got}, expected {expected[0]}.\nHint: {hint[0]}.\n"
        f"Se obtuvo {got}, se esperaba {expected[1]}.\nPista: {hint[1]}."
    )
