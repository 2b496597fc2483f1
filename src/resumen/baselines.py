"""Summaries that need no training: the floors every model must beat, and the ceiling of copying one sentence."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from resumen.metrics import rouge_n
from resumen.text import split_sentences, tokenize_words


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


def constant_baseline(titles: Sequence[str], references: Sequence[str]) -> str:
    """Return the title that scores best if every text gets it: the highest mean ROUGE-1 F-measure against the references, the first on a tie.

    Take the titles from train and the references from validation.

    Raises:
        ValueError: if there is no title or no reference.
    """
    if not titles or not references:
        raise ValueError(f"There are {len(titles)} titles and {len(references)} references: both are needed.")
    counted = [Counter(tokenize_words(reference)) for reference in references]

    def score(title: str) -> float:
        words = Counter(tokenize_words(title))
        # ROUGE-1 is 2 × clipped matches / (words of both); only references that share a word add to the sum.
        return math.fsum(
            2 * (words & other).total() / (words.total() + other.total())
            for other in counted
            if not words.keys().isdisjoint(other)
        )

    return max(dict.fromkeys(titles), key=score)


def nearest_title(text: str, train_texts: Sequence[str], train_titles: Sequence[str]) -> str:
    """Return the title of the train text that shares most words with the text, by the cosine of their counts.

    The first on a tie, so the first title if no word is shared; "" for a text without words.

    Raises:
        ValueError: if the lists differ in length or are empty.
    """
    return nearest_titles([text], train_texts, train_titles)[0]


def nearest_titles(texts: Sequence[str], train_texts: Sequence[str], train_titles: Sequence[str]) -> list[str]:
    """Return `nearest_title` of each text; the words of the train texts are counted once.

    Raises:
        ValueError: if the lists of train differ in length or are empty.
    """
    if len(train_texts) != len(train_titles) or not train_texts:
        raise ValueError(f"There are {len(train_texts)} train texts and {len(train_titles)} titles: each needs one.")
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    squares = []
    for position, text in enumerate(train_texts):
        counts = Counter(tokenize_words(text))
        squares.append(sum(count**2 for count in counts.values()))
        for word, count in counts.items():
            places[word].append((position, count))
    found = []
    for text in texts:
        products: Counter[int] = Counter()
        words = Counter(tokenize_words(text))
        for word, count in words.items():
            for position, other in places.get(word, ()):
                products[position] += count * other
        # The squared cosine, but for the text's own length, which is the same for all. Whole numbers: equal cosines stay equal.
        nearest = max(sorted(products), key=lambda position: products[position] ** 2 / squares[position], default=0)
        found.append(train_titles[nearest] if words else "")
    return found
