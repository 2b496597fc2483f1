"""How a title is scored, and how far a score can be trusted. The numbers are computed by `resumen.metrics`."""

from math import fsum

import numpy as np

from resumen.metrics import mean_interval, resampled_means, rouge_l, rouge_lsum, rouge_n
from resumen.pictures.drawing import SOFT, WIDTH, Drawing, width_of
from resumen.text import tokenize_words

PARROT, TITLE = "loved loved loved loved", "I loved reading the Hunger Games"
PREDICTION, REFERENCE = "great ending after a slow start", "a slow start but a great ending"
LINES, UNION = ("great story nothing new", "great fun with twists"), "great story with real twists"
SCORES = (0, 12, 25, 33, 40, 50, 67, 100)


def aligned(one: list[str], other: list[str]) -> list[tuple[int, int]]:
    """Return the places (in one, in other) of a longest common subsequence."""
    best = {}
    for row in range(len(one), -1, -1):
        for column in range(len(other), -1, -1):
            if row == len(one) or column == len(other):
                best[row, column] = []
            elif one[row] == other[column]:
                best[row, column] = [(row, column), *best[row + 1, column + 1]]
            else:
                best[row, column] = max(best[row, column + 1], best[row + 1, column], key=len)
    return best[0, 0]


def row_of(drawing: Drawing, y: float, text: str, kinds="plain") -> list[float]:
    """Draw the words of a text in the middle of the page and return the middles of their boxes."""
    words = text.split()
    room = fsum(width_of(word) + 9 for word in words) + 4 * (len(words) - 1)
    return drawing.words((WIDTH - room) / 2, y, words, kinds)


def clipping() -> Drawing:
    """Return why repeating a word does not pay."""
    said, credited = len(PARROT.split()), round(rouge_n(PARROT, TITLE).precision * len(PARROT.split()))
    share = rouge_n(PARROT, TITLE).precision
    alt = f"""Clipping in ROUGE-1. The prediction says "loved" {said} times, the reference once, so {credited} of {said} words is credited: precision {share:.2f}.
        Without clipping all {said} would count, and precision would be {said / said:.2f}."""
    drawing = Drawing("Clipping: a repeated word is credited once", alt, 208)
    drawing.text(16, 48, "prediction", anchor="start", color=SOFT)
    above = row_of(drawing, 60, PARROT, ["blue" if place < credited else "off" for place in range(said)])
    drawing.text(16, 106, "reference", anchor="start", color=SOFT)
    words = TITLE.split()
    below = row_of(drawing, 118, TITLE, ["blue" if word == "loved" else "plain" for word in words])
    for place, x in enumerate(above):
        drawing.text(x, 48, "1" if place < credited else "0", bold=True)
    drawing.line((above[0], 83), (below[words.index("loved")], 116), width=2.5)
    drawing.text((above[-1] + above[1]) / 2, 98, "no second one to match", color=SOFT)
    drawing.text(WIDTH / 2, 172, f"with clipping: {credited} of {said}, precision {share:.2f}", bold=True, size=12)
    drawing.text(WIDTH / 2, 191, f"without: {said} of {said}, precision {said / said:.2f}", size=12)
    return drawing


def lcs() -> Drawing:
    """Return the longest common subsequence of two titles."""
    one, other = tokenize_words(PREDICTION), tokenize_words(REFERENCE)
    pairs, score = aligned(one, other), rouge_l(PREDICTION, REFERENCE)
    crossing = [(one.index(word), other.index(word)) for word in ("great", "ending")]
    shared = round(rouge_n(PREDICTION, REFERENCE).precision * len(one))
    chain = " ".join(one[place] for place, _ in pairs)
    alt = f"""The titles "{PREDICTION}" and "{REFERENCE}" share {shared} words, which ROUGE-1 counts. The longest chain
        in the same order is "{chain}", {len(pairs)} words; the lines of "great ending" would cross it. ROUGE-L: precision {score.precision:.2f}, recall {score.recall:.2f}."""
    drawing = Drawing("ROUGE-L: the longest chain in the same order", alt, 214)
    drawing.text(16, 46, "prediction", anchor="start", color=SOFT)
    kept = [{place for place, _ in pairs}, {place for _, place in pairs}]
    above = row_of(drawing, 58, PREDICTION, ["blue" if place in kept[0] else "plain" for place in range(len(one))])
    below = row_of(drawing, 126, REFERENCE, ["blue" if place in kept[1] else "plain" for place in range(len(other))])
    drawing.text(16, 112, "reference", anchor="start", color=SOFT)
    for place, partner in crossing:
        drawing.line((above[place], 81), (below[partner], 125), arrow=False, dashed=True, width=1.2, hot=True)
    for place, partner in pairs:
        drawing.line((above[place], 81), (below[partner], 125), arrow=False, width=2.5)
    drawing.text(
        WIDTH / 2,
        176,
        f"precision {len(pairs)} of {len(one)} = {score.precision:.2f}, recall {len(pairs)} of {len(other)} = {score.recall:.2f}",
        bold=True,
    )
    drawing.text(WIDTH / 2, 196, "dashed: shared words that would cross the chain", color=SOFT)
    return drawing


def union_lcs() -> Drawing:
    """Return one reference sentence, covered by parts of two predicted sentences."""
    words, recall = UNION.split(), rouge_lsum("\n".join(LINES), UNION).recall
    chains = [aligned(line.split(), words) for line in LINES]
    covered = {place for chain in chains for _, place in chain}
    alt = f"""The first predicted line, "{LINES[0]}", covers {len(chains[0])} words of the reference "{UNION}"; the second, "{LINES[1]}", covers {len(chains[1])}.
        "great" is covered twice and counts once in the union. Together {len(covered)} of {len(words)} words are covered: rougeLsum recall {recall:.2f}."""
    drawing = Drawing("rougeLsum: two lines cover one reference", alt, 230)
    kinds = ["blue" if place in covered else "plain" for place in range(len(words))]
    middle = row_of(drawing, 110, UNION, kinds)
    drawing.text(16, 121, "reference", anchor="start", color=SOFT)
    for y, line, chain, label in ((54, LINES[0], chains[0], "line 1"), (166, LINES[1], chains[1], "line 2")):
        drawing.text(16, y + 11, label, anchor="start", color=SOFT)
        places = {place for place, _ in chain}
        row = row_of(drawing, y, line, ["blue" if place in places else "plain" for place in range(len(line.split()))])
        for place, partner in chain:
            start, end = (y + 23, 109) if y < 110 else (y - 1, 133)
            drawing.line((row[place], start), (middle[partner], end), arrow=False, width=2.5)
    drawing.text(
        WIDTH / 2, 212, f"{len(covered)} of {len(words)} words covered: recall {recall:.2f}", bold=True, size=12
    )
    return drawing


def bootstrap() -> Drawing:
    """Return how an interval is made: draw with replacement, take the mean, repeat."""
    picks = np.random.default_rng(0).integers(0, len(SCORES), size=(1000, len(SCORES)))  # as `resampled_means` draws
    means, found = resampled_means(SCORES), mean_interval(SCORES)
    low, high = found["low"], found["high"]
    alt = f"""The bootstrap. From {len(SCORES)} scores with mean {found["mean"]:.1f} we draw {len(SCORES)} with replacement, some twice and some not at all, and take the mean.
        A thousand such means make a distribution; its middle 95 percent, from {low:.1f} to {high:.1f}, is the interval."""
    drawing = Drawing("The bootstrap: draw again, take the mean", alt, 320)
    rows = [
        ("scores", SCORES, found["mean"]),
        *((f"draw {n + 1}", np.array(SCORES)[picks[n]], means[n]) for n in range(3)),
    ]
    for number, (label, values, mean) in enumerate(rows):
        y = 40 + 28 * number + (8 if number else 0)
        drawing.text(16, y + 11, label, anchor="start", color=SOFT)
        drawing.words(60, y, [str(value) for value in values], "plain" if number else "blue", width=29, gap=2)
        drawing.text(384, y + 11, f"mean {mean:.1f}", anchor="end", bold=True)
    counts, edges = np.histogram(means, bins=24)
    step = 320 / (edges[-1] - edges[0])
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        inside, tall = low <= (left + right) / 2 <= high, 78 * count / counts.max()
        kind, start = "blue" if inside else "off", 40 + step * (left - edges[0])
        drawing.box(start, 262 - tall, step * (right - left), tall, kind=kind, rx=0)
    drawing.text(16, 174, "1,000 means", anchor="start", color=SOFT)
    drawing.line((30, 262), (370, 262), arrow=False, width=1)
    for value in (low, high):
        x = 40 + step * (value - edges[0])
        drawing.line((x, 186), (x, 272), arrow=False, hot=True, dashed=True, width=2)
        drawing.text(x, 281, f"{value:.1f}", bold=True)
    drawing.text(WIDTH / 2, 304, "the middle 95 % of the means is the interval", color=SOFT)
    return drawing
