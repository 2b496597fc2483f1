"""What happens inside the model, and what it is given."""

from math import exp

from resumen.pictures.drawing import KINDS, SOFT, WIDTH, Drawing

TITLE = ("Slow", "but", "worth", "it")
END, START, IGNORED = "</s>", "<pad>", "-100"
BATCH = ([12, 7, 1], [9, 23, 5, 31, 8, 14, 6, 1], [3, 44, 19, 1])
"""Token ids of three reviews. 1 is `</s>`, 0 is `<pad>`."""

LIMIT = 6


def attention() -> Drawing:
    """Return how one word weighs four words."""
    words, scores = ("plot", "is", "not", "good"), (2, 0, 4, 1)
    total = sum(map(exp, scores))
    weights = [exp(score) / total for score in scores]
    shares = ", ".join(f"{word} {weight:.2f}" for word, weight in zip(words, weights, strict=True))
    alt = f"""Attention of the word "good" over four words. Its scores, made up for this example, become weights by softmax: {shares}.
        They add up to 1, and the new vector of "good" is the sum of the four value vectors, each times its weight: most of it comes from "not"."""
    drawing = Drawing("Attention: one word weighs four words", alt, 262)
    drawing.box(315, 40, 56, 24, "good", "blue", bold=True)
    drawing.text(305, 52, "the word that asks", anchor="end", color=SOFT)
    for number, (word, score, weight) in enumerate(zip(words, scores, weights, strict=True)):
        x = 118 + 75 * number
        drawing.line((343, 65), (x, 98), width=1 + 7 * weight, arrow=False)
        drawing.box(x - 28, 98, 56, 24, word, "blue" if word == "good" else "plain")
        drawing.text(x, 136, f"{score}")
        drawing.box(x - 14, 210 - 80 * weight / max(weights) * 0.7, 28, 56 * weight / max(weights), kind="blue", rx=1)
        drawing.text(x, 221, f"{weight:.2f}", bold=True)
    for y, label in ((110, "words"), (136, "scores"), (221, "weights")):
        drawing.text(16, y, label, anchor="start", color=SOFT)
    drawing.line((16, 211), (384, 211), arrow=False, width=1)
    drawing.text(WIDTH / 2, 244, "weights = softmax(scores). Together: 1.00", color=SOFT)
    return drawing


def encoder_decoder() -> Drawing:
    """Return the two halves of the model and the cross-attention between them."""
    alt = """Encoder and decoder. The encoder reads the whole review at once, each piece sees every piece, and gives one vector for each piece.
        The decoder reads the title so far, looks only to the left, asks the encoder's vectors through cross-attention, and writes the next piece."""
    drawing = Drawing("Encoder, decoder and cross-attention", alt, 292)
    review, sofar = ("the", "plot", "is", "slow", END), (START, "Slow", "plot")
    drawing.words(16, 240, review, width=36, gap=1, height=24)
    drawing.text(108, 277, "the whole review", color=SOFT)
    drawing.box(16, 156, 184, 54, kind="blue")
    drawing.text(108, 173, "Encoder", size=12, bold=True)
    drawing.text(108, 193, "each piece sees every piece")
    drawing.words(16, 104, [""] * 5, "blue", width=36, gap=1, height=20)
    drawing.text(108, 91, "one vector for each piece", color=SOFT)
    drawing.words(246, 240, sofar, width=44, gap=1, height=24)
    drawing.text(313, 277, "the title so far", color=SOFT)
    drawing.box(238, 88, 150, 132, kind="orange")
    drawing.text(313, 102, "Decoder", size=12, bold=True)
    drawing.box(246, 114, 134, 38, "cross-attention:\nlooks at the review")
    drawing.box(246, 170, 134, 38, "self-attention:\nlooks only left")
    drawing.words(246, 44, ("Slow", "plot", END), width=44, gap=1, height=24)
    drawing.text(238, 56, "next piece", anchor="end", color=SOFT)
    for x in (34.5, 71.5, 108, 145.5, 182.5):
        drawing.line((x, 239), (x, 212))
        drawing.line((x, 155), (x, 126))
    for x in (268, 313, 358):
        drawing.line((x, 239), (x, 210))
        drawing.line((x, 169), (x, 154))
        drawing.line((x, 87), (x, 70))
    drawing.line((201, 114), (219, 114), (219, 133), (244, 133), hot=True, width=2.5)
    return drawing


def causal_mask() -> Drawing:
    """Return which position of the decoder may look at which."""
    reads, writes = [START, *TITLE], [*TITLE, END]
    alt = f"""The causal mask, a grid of {len(reads)} by {len(reads)}. A row is a position of the decoder, a column what it may look at: 1 for itself and all before it, 0 for
        what comes later. The third row reads "but" and has to write "worth"; "worth" is read in the fourth column, which is hidden, so the answer cannot be copied."""
    drawing = Drawing("The causal mask: nobody sees ahead", alt, 252)
    left, top, wide, high = 76, 76, 44, 28
    drawing.text(left - 8, 62, "reads", anchor="end", color=SOFT)
    drawing.text(left + wide * 2.5, 44, "may look at", color=SOFT)
    drawing.text(left + wide * 5 + 26, 62, "must write", anchor="start", color=SOFT)
    for row, (read, write) in enumerate(zip(reads, writes, strict=True)):
        middle = top + high * row + high / 2
        drawing.text(left + wide * row + wide / 2, 62, read, bold=True)
        drawing.text(left - 8, middle, read, anchor="end", bold=True)
        for column in range(len(reads)):
            seen = column <= row
            kind, digit = ("blue", "1") if seen else ("off", "0")
            drawing.box(left + wide * column, top + high * row, wide, high, digit, kind, bold=seen, rx=0)
        drawing.line((left + wide * 5 + 4, middle), (left + wide * 5 + 21, middle))
        drawing.text(left + wide * 5 + 26, middle, write, anchor="start")
    drawing.text(WIDTH / 2, 234, "1: may look. 0: hidden, it would give the answer away.", color=SOFT)
    return drawing


def padding() -> Drawing:
    """Return a ragged batch, cut and filled up to a rectangle, with its attention mask."""
    cut = [ids if len(ids) <= LIMIT else [*ids[: LIMIT - 1], ids[-1]] for ids in BATCH]
    width = max(map(len, cut))
    alt = f"""Three reviews of {", ".join(str(len(ids)) for ids in BATCH)} tokens become a rectangle of 3 by {width}. The longest is cut at the limit of {LIMIT}, and its end token 1 is kept;
        the shorter ones are filled up with 0. The attention mask has 1 for each token and 0 for padding."""
    drawing = Drawing("Truncation and padding", alt, 284)
    size, high = 26, 24
    drawing.text(16, 46, "three reviews, as token ids", anchor="start", color=SOFT)
    for row, ids in enumerate(BATCH):
        for place, token in enumerate(ids):
            lost = len(ids) > LIMIT and LIMIT - 1 <= place < len(ids) - 1
            drawing.box(16 + size * place, 58 + high * row, size, high, str(token), "off" if lost else "plain", rx=0)
    edge = 16 + size * LIMIT
    drawing.line((edge, 52), (edge, 136), arrow=False, hot=True, dashed=True, width=2)
    drawing.text(edge + 6, 46, f"limit {LIMIT}", anchor="start", bold=True, color=KINDS["orange"][1])
    drawing.text(240, 94, "hatched: cut off.\nThe end token 1\nmoves to the limit.", anchor="start", color=SOFT)
    drawing.line((94, 140), (94, 158))
    for x, name, value in ((16, "input_ids", None), (220, "attention_mask", 1)):
        drawing.text(x, 170, name, anchor="start", bold=True)
        for row, ids in enumerate(cut):
            for place in range(width):
                real = place < len(ids)
                token = (value or ids[place]) if real else 0
                kind = ("blue" if value else "plain") if real else "off"
                drawing.box(x + size * place, 182 + high * row, size, high, str(token), kind, rx=0)
    drawing.text(WIDTH / 2, 269, "0 in input_ids is padding. 0 in the mask: do not look.", color=SOFT)
    return drawing


def right_shift() -> Drawing:
    """Return labels, and the decoder's inputs made of them."""
    labels = [*TITLE, END, IGNORED]
    reads = [START, *(START if label == IGNORED else label for label in labels[:-1])]
    alt = f"""The right shift: the labels are {" ".join(labels)}, and the decoder reads them one place later, after the start token: {" ".join(reads)}.
        So each position is asked for a piece that it has not read yet; the position whose label is -100 does not count in the loss."""
    drawing = Drawing("The right shift: read one piece late", alt, 212)
    drawing.text(16, 48, "labels: what has to be predicted", anchor="start", color=SOFT)
    kinds = ["off" if label == IGNORED else "blue" for label in labels]
    middles = drawing.words(16, 60, labels, kinds, width=57, gap=5, height=26)
    drawing.words(16, 138, reads, ["orange", *["plain"] * (len(reads) - 1)], width=57, gap=5, height=26)
    for number, middle in enumerate(middles):
        drawing.line((middle + 14, 137), (middle + 14, 89), dashed=number == len(middles) - 1)
        if number:
            drawing.line((middles[number - 1], 87), (middle - 6, 135), hot=True, width=1.2)
    drawing.text(16, 178, "what the decoder reads", anchor="start", color=SOFT)
    drawing.text(WIDTH / 2, 198, "slanted: shifted one place. Upright: predicts. Dashed: not counted.", color=SOFT)
    return drawing
