"""The capstone's robustness suite: what users really type, and what must hold all the same."""

import html
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from resumen.metrics import paired_bootstrap, score_examples

LONG = 2_000
"""Characters that the long input has at least."""

FRENCH = "Cette brève a été publiée ce matin ; vous trouverez la version complète sur notre site."
EMOJI = ("🎉", "🔥", "😀", "👍🏽")


@dataclass(frozen=True)
class Stress:
    """One kind of input: what is done to a text, in words and in code."""

    what: str
    apply: Callable[[str], str]


def _emoji(text: str) -> str:
    words = text.split()
    return " ".join(f"{word} {EMOJI[number % len(EMOJI)]}" for number, word in enumerate(words))


def _long(text: str) -> str:
    copies = -(-LONG // (len(text) + 1)) if text else 0
    return " ".join([text] * copies)


STRESSES = {
    "nfd": Stress("accents written as two characters (Unicode NFD)", lambda text: unicodedata.normalize("NFD", text)),
    "emoji": Stress("an emoji after every word", _emoji),
    "empty": Stress("nothing but a blank", lambda text: " "),
    "long": Stress(f"the text again and again, {LONG:,} characters at least", _long),
    "third language": Stress("a French sentence in front", lambda text: f"{FRENCH} {text}"),
    "html": Stress(
        "a paragraph with tags and entities", lambda text: f"<p>{html.escape(text).replace('. ', '.<br/>&nbsp;')}</p>"
    ),
}


def robustness(
    system: Callable[[list[str]], list[str]],
    sources: Sequence[str],
    references: Sequence[str],
    longest: int,
    score: str = "rougeL",
) -> pd.DataFrame:
    """Run a system on every kind of input and return one row per kind.

    Columns: `done` (to the input), `crashed`, `too_long`, `not_nfc` (number of texts), `holds` (whether all three are 0, and a blank input gave a blank
    output), `score`, and `drop`, `low`, `high`: how much lower the score is than on the plain texts, with its 95 % interval. A blank input has no score.

    Args:
        system: texts in, one summary per text out.
        longest: words that an output may have at most.
        score: one of `resumen.metrics.ROUGES`, × 100.
    """
    plain = score_examples([text or "" for text in _outputs(system, sources)], references)[score]
    rows = {}
    for kind, stress in STRESSES.items():
        outputs = _outputs(system, [stress.apply(text) for text in sources])
        given = [text for text in outputs if text is not None]
        row = {
            "done": stress.what,
            "crashed": len(outputs) - len(given),
            "too_long": sum(len(text.split()) > longest for text in given),
            "not_nfc": sum(not unicodedata.is_normalized("NFC", text) for text in given),
        }
        kept = kind != "empty" or not any(text.strip() for text in given)
        row["holds"] = kept and row["crashed"] == row["too_long"] == row["not_nfc"] == 0
        if kind != "empty":
            stressed = score_examples([text or "" for text in outputs], references)[score]
            paired = paired_bootstrap(plain, stressed)
            row |= {
                "score": stressed.mean(),
                "drop": paired["mean_difference"],
                "low": paired["low"],
                "high": paired["high"],
            }
        rows[kind] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _outputs(system: Callable[[list[str]], list[str]], texts: Sequence[str]) -> list[str | None]:
    """Return one output per text; None where the system raised, or gave something else than text.

    A system that fails on the list as a whole is asked text by text: one bad input must not hide the others.
    """
    try:
        outputs = list(system(list(texts)))
        if len(outputs) == len(texts):
            return [text if isinstance(text, str) else None for text in outputs]
    except Exception:  # whatever a student's system raises is what is counted here
        pass
    outputs = []
    for text in texts:
        try:
            (output,) = system([text])
        except Exception:
            output = None
        outputs.append(output if isinstance(output, str) else None)
    return outputs
