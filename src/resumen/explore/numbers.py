"""Explorers of scores and lengths: the words that ROUGE-L matches, what a limit cuts off, the bootstrap draw by draw."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from resumen.explore.panel import Slider, Typed, panel
from resumen.metrics import resampled_means, rouge_l
from resumen.plots import COLORS, NAMES, PALETTE, STYLE
from resumen.text import tokenize_words


def rouge_alignment(prediction: str, reference: str):
    """Show which words of two texts make their longest common subsequence, as ROUGE-L counts it."""

    def draw(prediction: str, reference: str) -> tuple[Figure, str]:
        rows = [tokenize_words(prediction), tokenize_words(reference)]
        pairs = _common(*rows)
        with plt.rc_context(STYLE | {"axes.grid": False}):
            figure, axes = plt.subplots(figsize=(max(6, 0.9 * max(map(len, rows))), 2.2), layout="constrained")
            for side, words in enumerate(rows):
                matched = {pair[side] for pair in pairs}
                for place, word in enumerate(words):
                    weight = "bold" if place in matched else "normal"
                    axes.text(place, 1 - side, word, ha="center", va="center", weight=weight, backgroundcolor="white")
            for above, below in pairs:
                axes.plot([above, below], [0.85, 0.15], color=PALETTE[0])
            axes.set(xlim=(-0.7, max(*map(len, rows), 1) - 0.3), ylim=(-0.4, 1.4), xticks=[])
            axes.set(xlabel="place of the word", title=f"ROUGE-L F1 {rouge_l(prediction, reference).fmeasure:.2f}")
            axes.set_yticks([1, 0], ["prediction", "reference"])
        told = ", ".join(rows[0][above] for above, _ in pairs) or "none"
        counts = f"{len(pairs)} words matched in order: {told}. The prediction has {len(rows[0])} words, the reference {len(rows[1])}"
        return figure, f"{counts}. ROUGE-L F1 {rouge_l(prediction, reference).fmeasure:.2f}."

    return panel(draw, [Typed("Prediction", prediction), Typed("Reference", reference)])


def _common(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of a longest common subsequence in both."""
    longest = np.zeros((len(one) + 1, len(other) + 1), dtype=int)  # of what begins at these two places
    for left in reversed(range(len(one))):
        for right in reversed(range(len(other))):
            same = one[left] == other[right]
            skipped = max(longest[left + 1, right], longest[left, right + 1])
            longest[left, right] = longest[left + 1, right + 1] + 1 if same else skipped
    pairs, left, right = [], 0, 0
    while left < len(one) and right < len(other):
        if one[left] == other[right]:
            pairs.append((left, right))
            left, right = left + 1, right + 1
        elif longest[left + 1, right] >= longest[left, right + 1]:
            left += 1
        else:
            right += 1
    return pairs


def length_limit(lengths: Mapping[str, Sequence[int]], limit: int | None = None):
    """Show the lengths of texts, by language, and what a limit cuts off; at first it is the 95th percentile."""

    def draw(limit: int) -> tuple[Figure, str]:
        parts = []
        with plt.rc_context(STYLE):
            figure, axes = plt.subplots(1, len(lengths), figsize=(4.2 * len(lengths), 3.2), squeeze=False)
            figure.set_layout_engine("constrained")
            for axis, (language, values) in zip(axes[0], lengths.items(), strict=True):
                values, name = np.asarray(values), NAMES.get(language, language)
                cut, lost = np.mean(values > limit), np.maximum(values - limit, 0).sum() / values.sum()
                axis.hist(values, bins=40, color=COLORS.get(language, PALETTE[0]))
                axis.axvline(limit, color="black", linestyle="--", label=f"limit {limit}")
                axis.set(title=f"{name}: {cut:.1%} of texts cut", xlabel="pieces in a text", ylabel="texts")
                axis.legend(frameon=False)
                parts.append(f"{name}: {cut:.1%} of texts are cut, and {lost:.1%} of all pieces lost")
        return figure, f"Histograms of pieces in a text, with a limit of {limit}. {'; '.join(parts)}."

    together = np.concatenate([np.asarray(values) for values in lengths.values()])
    return panel(draw, [Slider("Limit", limit or int(np.percentile(together, 95)), 1, int(together.max()))])


def bootstrap(scores_a: Sequence[float], scores_b: Sequence[float], draws: int = 1000):
    """Show the mean difference a minus b of one bootstrap sample after another, and the interval that they make."""
    means = resampled_means(np.asarray(scores_a) - np.asarray(scores_b), draws)
    edges = np.linspace(min(means.min(), 0), max(means.max(), 0), 41)

    def draw(number: int) -> tuple[Figure, str]:
        low, high = np.percentile(means[:number], [2.5, 97.5])
        with plt.rc_context(STYLE):
            figure, axes = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
            axes.hist(means[:number], bins=edges, color=PALETTE[0])
            axes.axvline(0, color="black", linewidth=1)
            for bound in (low, high):
                axes.axvline(bound, color="black", linestyle="--", linewidth=1)
            axes.set(xlabel="mean difference of a sample, a minus b", ylabel="samples", title=f"{number} samples")
        last = f"The last has a mean difference of {means[number - 1]:.2f}"
        return (
            figure,
            f"Histogram of {number} bootstrap samples. {last}. The 95 % interval so far is {low:.2f} to {high:.2f}.",
        )

    return panel(draw, [Slider("Samples drawn", draws, 1, draws)])
