"""Summaries that need no training: the floors every model must beat, and the ceiling of copying one sentence."""

import random

from resumen.metrics import rouge_n
from resumen.text import split_sentences


def lead_k(text: str, language: str, k: int = 3) -> str:
    """Return the first `k` sentences, one per line: fewer when the text has fewer, "" for `k` = 0."""
    return "\n".join(split_sentences(text, language)[:k])


def random_sentence(text: str, language: str, rng: random.Random) -> str:
    """Return one sentence drawn by `rng`; "" when the text has none."""
    sentences = split_sentences(text, language)
    return rng.choice(sentences) if sentences else ""


def copy_text(text: str, language: str) -> str:
    """Return the whole text, one sentence per line: what a summary that leaves nothing out would score."""
    return "\n".join(split_sentences(text, language))


def oracle_sentence(text: str, reference: str, language: str) -> str:
    """Return the sentence with the best ROUGE-1 F-measure against the reference, the first on a tie; "" when there is none.

    It has seen the reference: no system that copies one sentence can score higher on ROUGE-1.
    """
    return max(split_sentences(text, language), key=lambda sentence: rouge_n(sentence, reference).fmeasure, default="")
