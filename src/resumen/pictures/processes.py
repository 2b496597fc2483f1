"""Batches in pieces, and work on two processes."""

from resumen.pictures.drawing import SOFT, WIDTH, Drawing

PIECES = ((1, 1), (4,) * 8)
"""Losses of the label tokens of two pieces of a batch."""

GRADIENTS = (0.2, 0.6)
ROWS, BATCH = 10, 4


def accumulation() -> Drawing:
    """Return what a token weighs if a batch is cut into two pieces."""
    tokens, means = sum(map(len, PIECES)), [sum(piece) / len(piece) for piece in PIECES]
    wrong, right = sum(means) / len(means), sum(map(sum, PIECES)) / tokens
    alt = f"""Gradient accumulation over two pieces, one with {len(PIECES[0])} label tokens and one with {len(PIECES[1])}. The mean of the two means is {wrong}, and a token of the short piece weighs
        {1 / 2 / len(PIECES[0])} against {1 / 2 / len(PIECES[1])} in the long one. The sum over all tokens divided by their number is {right}, and each token weighs {1 / tokens}."""
    drawing = Drawing("Accumulation: what does a token weigh?", alt, 312)
    places = []
    for number, (x, piece) in enumerate(zip((60, 142), PIECES, strict=True), start=1):
        places.append(drawing.words(x, 58, [str(loss) for loss in piece], "blue", width=26, gap=3))
        drawing.text(x, 46, f"piece {number}", anchor="start")
    drawing.text(16, 69, "losses", anchor="start", color=SOFT)
    totals = " + ".join(f"{len(piece)} × {piece[0]}" for piece in PIECES)
    ways = (
        (160, "mean of means", f"({means[0]} + {means[1]}) / 2 = {wrong}", [1 / 2 / len(piece) for piece in PIECES]),
        (262, "all tokens", f"({totals}) / {tokens} = {right}", [1 / tokens] * 2),
    )
    for y, name, formula, weights in ways:
        drawing.text(16, y - 58, name, anchor="start", bold=True, size=12)
        drawing.text(384, y - 58, f"loss {formula}", anchor="end")
        drawing.text(16, y - 18, "weight", anchor="start", color=SOFT)
        for row, weight in zip(places, weights, strict=True):
            for x in row:
                drawing.box(x - 13, y - 140 * weight, 26, 140 * weight, kind="blue" if y > 200 else "orange", rx=0)
            drawing.text((row[0] + row[-1]) / 2, y + 10, f"{weight:g} each", bold=True)
    drawing.text(WIDTH / 2, 298, "Only the second is the loss of the uncut batch.", color=SOFT)
    return drawing


def two_processes() -> Drawing:
    """Return one training step on two processes."""
    mean = sum(GRADIENTS) / len(GRADIENTS)
    alt = f"""Two processes train one model: the weights are broadcast at the start, so both hold the same. Each reads its own rows and finds its own gradient, here {GRADIENTS[0]} and {GRADIENTS[1]}.
        Reduce gives both the mean, {mean:.1f}, so both make the same step and the weights stay equal."""
    drawing = Drawing("Two processes, one model", alt, 286)
    drawing.box(130, 38, 140, 26, "weights", "strong", bold=True)
    drawing.text(WIDTH / 2, 80, "broadcast:\nthe same weights", color=SOFT)
    for number, (x, gradient) in enumerate(zip((16, 230), GRADIENTS, strict=True)):
        middle = x + 77
        drawing.line((129 if number == 0 else 271, 51), (middle, 51), (middle, 94))
        drawing.box(x, 96, 154, 86, kind="plain")
        drawing.text(middle, 110, f"process {number}", bold=True, size=12)
        rows = f"reads rows {number * BATCH} to {number * BATCH + BATCH - 1}"
        drawing.text(middle, 130, rows)
        drawing.box(x + 22, 146, 110, 26, f"gradient {gradient}", "blue")
        drawing.line((middle, 183), (middle, 211), (128 if number == 0 else 272, 211), hot=True)
        drawing.line((128 if number == 0 else 272, 229), (middle, 229), (middle, 250))
        drawing.text(middle, 260, "the same step", bold=True)
    drawing.text(WIDTH / 2, 190, "reduce", color=SOFT)
    drawing.box(130, 202, 140, 36, f"mean gradient {mean:.1f}", "orange", bold=True)
    return drawing


def gather() -> Drawing:
    """Return ten rows on two processes, collected with and without the repeated ones."""
    # Each process gets every second batch; what is missing in the last ones is taken from the beginning.
    batches = [[row % ROWS for row in range(start, start + BATCH)] for start in range(0, 2 * 2 * BATCH, BATCH)]
    rows = [row for batch in batches for row in batch]
    alt = f"""{ROWS} rows in batches of {BATCH} on two processes. So that both make the same number of steps, {len(rows) - ROWS} rows are repeated. `gather` returns all {len(rows)};
        `gather_for_metrics` drops the repeated ones and returns {ROWS}, each row once."""
    drawing = Drawing("gather and gather_for_metrics", alt, 268)
    for number in range(2):
        drawing.text(16, 62 + 36 * number, f"process {number}", anchor="start", bold=True)
        for step in range(2):
            kinds = ["off" if BATCH * (2 * step + number) + place >= ROWS else "blue" for place in range(BATCH)]
            words = [str(row) for row in batches[2 * step + number]]
            drawing.words(92 + 150 * step, 50 + 36 * number, words, kinds, width=30, gap=3, height=24)
    drawing.text(156, 40, "step 1", color=SOFT)
    drawing.text(306, 40, "step 2", color=SOFT)
    drawing.line((WIDTH / 2, 116), (WIDTH / 2, 132))
    for y, name, kept in ((160, "gather", rows), (214, "gather_for_metrics", rows[:ROWS])):
        drawing.text(16, y - 12, f"{name}: {len(kept)} rows", anchor="start", bold=True)
        kinds = ["off" if place >= ROWS else "blue" for place in range(len(kept))]
        drawing.words(16, y, [str(row) for row in kept], kinds, width=21, gap=2.1, height=24)
    drawing.text(WIDTH / 2, 254, "hatched: repeated, so that both processes make two steps", color=SOFT)
    return drawing
