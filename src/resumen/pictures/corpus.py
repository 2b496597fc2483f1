"""The course, and its data."""

from resumen.errors import CourseError
from resumen.pictures.drawing import CARD, INK, KINDS, SOFT, WIDTH, Drawing

COURSE = {
    "stage1_corpus": ("corpus", "from raw reviews to clean pairs of review and title"),
    "stage2_tokenization": ("tokens", "from text to tensors that a model can read"),
    "stage3_rouge_baseline": ("score", "how good is a title, and what is easy to reach?"),
    "stage4_trainer": ("fine-tune", "the model learns to write titles"),
    "stage5_accelerate": ("loop, serve", "your own loop, and a summarizer for people"),
}
PRIMER = ("primer", "how the model works, from pieces to the next piece")


def pipeline(here: str | None = None) -> Drawing:
    """Return the five stages, with "you are here" at a stage's slug or at `primer`.

    Raises:
        CourseError: if there is no such stage.
    """
    known = COURSE | {"primer": PRIMER}
    if here is not None and here not in known:
        raise CourseError(f"There is no stage {here!r} in the pipeline: choose one of {', '.join(known)}.")
    alt = f"The course in five stages: {', then '.join(name for name, _ in COURSE.values())}."
    if here:
        alt += f" You are here: {known[here][0]}, {known[here][1]}."
    drawing = Drawing("From raw reviews to a summarizer", alt, 142 if here else 104)
    places = {slug: 50 + 75 * number for number, slug in enumerate(COURSE)} | {"primer": 87.5}
    for number, (slug, (name, _)) in enumerate(COURSE.items(), start=1):
        kind, words = "strong" if slug == here else "plain", name.replace(", ", ",\n")
        drawing.box(places[slug] - 32, 38, 64, 50, kind=kind)
        color = CARD if slug == here else INK
        drawing.text(places[slug], 48, f"{number}", bold=True, color=color)
        drawing.text(places[slug], 71, words, bold=slug == here, color=color)
        if number < len(COURSE):
            drawing.line((places[slug] + 33, 63), (places[slug] + 42, 63))
    if here:
        x = places[here]
        drawing.line((x, 107), (x, 91), hot=True, width=2.5)
        words = "you are here: primer" if here == "primer" else "you are here"
        drawing.text(min(max(x, 56), 346), 114, words, bold=True, color=KINDS["orange"][1])
        drawing.text(WIDTH / 2, 130, known[here][1])
    return drawing


def leakage() -> Drawing:
    """Return one review on both sides of a split."""
    alt = """The same review stands in train and in test, once with markup and once without: leakage. A model that has read it in training answers it from memory,
        so its score rises and says nothing about new reviews. The row is removed from train, never from test."""
    drawing = Drawing("Leakage: one review on both sides", alt, 232)
    sides = {
        16: ("train", ("A slow start.", "Loved it<br />again!", "Too long for me.")),
        214: ("test", ("The print is tiny.", "loved it again!", "My son reads it daily.")),
    }
    for x, (name, texts) in sides.items():
        drawing.box(x, 40, 170, 122, kind="blue" if name == "train" else "plain")
        drawing.text(x + 10, 54, name, anchor="start", bold=True, size=12)
        for row, text in enumerate(texts):
            drawing.box(x + 10, 66 + 31 * row, 150, 26, text, "orange" if row == 1 else "plain")
    drawing.line((177, 110), (223, 110), hot=True, width=2.5, arrow=False)
    drawing.text(WIDTH / 2, 178, "the same text for a reader, another for ==", bold=True, color=KINDS["orange"][1])
    drawing.text(WIDTH / 2, 197, "The model answers from memory: a higher score, no skill.")
    drawing.text(WIDTH / 2, 215, "Clean, compare by a key, and remove it from train.", color=SOFT)
    return drawing


def splits() -> Drawing:
    """Return who may look at which split, and what for."""
    uses = ("fit weights", "choose", "final table")
    table = {
        "train": ("yes", "lengths", "no"),
        "validation": ("no", "yes", "no"),
        "test": ("no", "no", "once"),
    }
    alt = """The train split fits the weights, and the maximum lengths are chosen on it. Validation is for all other choices, such as epoch, learning rate and decoding.
        Test is read once, for the final table, when nothing is left to choose."""
    drawing = Drawing("Splits: who may look, and what for", alt, 196)
    for column, use in enumerate(uses):
        drawing.text(143 + 97 * column, 50, use, bold=True)
    for row, (split, cells) in enumerate(table.items()):
        drawing.text(88, 81 + 36 * row, split, anchor="end", bold=True, size=12)
        for column, cell in enumerate(cells):
            kind = "off" if cell == "no" else "orange" if cell == "once" else "blue"
            drawing.box(97 + 97 * column, 66 + 36 * row, 92, 30, cell, kind, bold=cell != "no", size=12)
    drawing.text(WIDTH / 2, 184, "A choice made on test makes its score too good.", color=SOFT)
    return drawing
