"""Draw the picture of the two READMEs: what the reader will build, shown on titles that a fine-tuned model wrote.

Run `python -m resumen.authoring.front` after the corpus or `data/runs` has changed. It writes `docs/pictures/front.*.svg`, one for each
language and colour scheme; `tests/authoring/test_front.py` compares the committed files with what it draws, and the text alternative
with the READMEs.
"""

import json
import textwrap
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from resumen.corpus import LANGUAGES, clean_text, has_min_words
from resumen.files import write_text
from resumen.metrics import rouge_n
from resumen.pictures.drawing import KINDS, SOFT, WIDTH, Drawing
from resumen.profiles import DATA

FOLDER = Path(__file__).parents[3] / "docs" / "pictures"
SEED = 43
LONGEST = 60
"""Characters of a review that has room in the picture."""

WORDS = {
    "en": {
        "heading": "What you will build",
        "review": {"en": "an English review", "es": "a Spanish review"},
        "model": "a small mT5 that you fine-tune and measure",
        "title": "the title that it writes",
        "own": "the review's own title",
        "note": "A good case in each language. The table has the means.",
        "alt": """A model that reads a review and writes its title. For the review “{en.body}” it wrote “{en.title}”, and the review's own title is
            “{en.reference}”: ROUGE-1 F1 × 100 is {en.score}. For the Spanish review “{es.body}” it wrote “{es.title}”, and its own title is
            “{es.reference}”: {es.score}.""",
    },
    "es": {
        "heading": "Qué vas a construir",
        "review": {"en": "una reseña en inglés", "es": "una reseña en español"},
        "model": "un mT5 pequeño que ajustas y mides",
        "title": "el título que escribe",
        "own": "el título de la reseña",
        "note": "Un buen caso en cada idioma. Las medias están en la tabla.",
        "alt": """Un modelo que lee una reseña y escribe su título. Para la reseña en inglés «{en.body}» escribió «{en.title}», y el título de la reseña es
            «{en.reference}»: F1 de ROUGE-1 × 100, {en.score}. Para la reseña «{es.body}» escribió «{es.title}», y el título de la reseña es
            «{es.reference}»: {es.score}.""",
    },
}


class Example(NamedTuple):
    """A review, the title that a model wrote for it, the review's own title, and the score of the first against the second."""

    body: str
    title: str
    reference: str
    score: int


def examples() -> dict[str, Example]:
    """Return for each language the short test review whose written title scored best, without being the review's own title."""
    lines = (DATA / "runs" / f"seed_{SEED}.jsonl").read_text(encoding="utf-8").splitlines()
    written = {row["review_id"]: row["title"] for row in map(json.loads, lines) if row["part"] == "test"}
    best = {}
    for language in LANGUAGES:
        found = []
        for row in pq.read_table(DATA / "reviews" / f"{language}_test.parquet").to_pylist():
            body, reference = clean_text(row["review_body"]), clean_text(row["review_title"])
            title = written.get(row["review_id"], "")
            score = round(100 * rouge_n(title, reference).fmeasure)
            drawable = 20 < len(body) <= LONGEST and max(map(ord, body + title + reference)) < 0x2100  # no emoji
            if drawable and score < 100 and has_min_words(title):
                found.append((-score, row["review_id"], Example(body, title, reference, score)))
        best[language] = min(found)[2]
    return best


def picture(language: str, found: dict[str, Example]) -> Drawing:
    """Return the picture with words in one language, for `examples()`."""
    said = WORDS[language]
    drawing = Drawing(said["heading"], said["alt"].format(**found), 282)
    drawing.box(16, 112, 368, 26, said["model"], "strong", bold=True)
    for place, example in zip((104, WIDTH - 104), found.items(), strict=True):
        code, (body, title, reference, score) = example
        drawing.text(place, 44, said["review"][code], color=SOFT)
        drawing.box(place - 88, 54, 176, 46, textwrap.fill(body, 28), "blue")
        drawing.line((place, 101), (place, 111))
        drawing.line((place, 139), (place, 149), hot=True)
        drawing.text(place, 158, said["title"], bold=True, color=KINDS["orange"][1])
        drawing.box(place - 88, 168, 176, 32, textwrap.fill(title, 28), "orange")
        drawing.text(place, 212, f"{said['own']}:", color=SOFT)
        drawing.text(place, 227, reference)
        drawing.text(place, 243, f"ROUGE-1 F1 × 100: {score}", bold=True)
    drawing.text(WIDTH / 2, 268, said["note"], color=SOFT)
    return drawing


def files() -> dict[str, str]:
    """Return the text of each file by its name."""
    found = examples()
    return {
        f"front.{language}.{scheme}.svg": picture(language, found).svg(dark=scheme == "dark")
        for language in WORDS
        for scheme in ("light", "dark")
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        write_text(FOLDER / name, text + "\n")
    for language in WORDS:
        print(picture(language, examples()).alt)
