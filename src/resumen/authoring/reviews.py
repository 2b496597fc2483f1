"""Build the embedded review corpus from the written texts: split, plant defects, write parquet files and the data card.

Run `python -m resumen.authoring.reviews`. The texts in `texts/` are the source. The same texts give the same rows on every
machine, and the same bytes with the pinned pyarrow (`tests/authoring/test_reviews.py` holds this).
"""

import itertools
import random
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from resumen.authoring.measures import books, load_texts, overlaps, reading, split_of
from resumen.authoring.phrases import BANKS, CATEGORIES
from resumen.corpus import EMBEDDED_REVIEWS, LANGUAGES, SCHEMA, SPLITS

SEED = 20261
PRODUCTS = 40
"""Invented products per category and language: several customers review the same thing."""

DEFECTS = {
    "train": {
        "duplicate": 80,
        "leakage": 40,
        "missing_title": 20,
        "missing_body": 10,
        "blank_title": 20,
        "blank_body": 8,
        "html": 170,
        "nfd": 110,
        "wrong_language": 50,
    },
    "validation": {
        "duplicate": 6,
        "missing_title": 3,
        "missing_body": 2,
        "blank_title": 3,
        "blank_body": 1,
        "html": 18,
        "nfd": 12,
        "wrong_language": 5,
    },
    "test": {
        "duplicate": 10,
        "missing_title": 4,
        "missing_body": 2,
        "blank_title": 4,
        "blank_body": 2,
        "html": 32,
        "nfd": 20,
        "wrong_language": 8,
    },
}
"""Rows per split and language that carry each planted defect. Duplicates and leaked rows are added, the others rewritten."""


def assemble(language: str, count: int | None = None) -> tuple[dict[str, list[dict]], dict[str, int]]:
    """Return the clean rows of every split of one language in random order, and how many of each are off topic.

    Args:
        language: of the reviews.
        count: how many of the texts, from the first on; by default all. An earlier edition of the corpus had the first ones only.
    """
    rng = random.Random(f"{language}-{SEED}")
    texts = load_texts(language)[:count]
    serials = iter(rng.sample(range(1_000_000), len(texts)))
    products = {
        name: [f"product_{language}_{rng.randrange(1_000_000):07d}" for _ in range(PRODUCTS)] for name in CATEGORIES
    }
    splits: dict[str, list[dict]] = {split: [] for split in SPLITS}
    off_topic = dict.fromkeys(SPLITS, 0)
    for text in texts:
        split = split_of(text["id"])
        off_topic[split] += text.get("off_topic", False)
        splits[split].append(
            {
                "review_id": f"{language}_{next(serials):07d}",
                "product_id": rng.choice(products[text["category"]]),
                "reviewer_id": f"reviewer_{language}_{rng.randrange(1_000_000):07d}",
                "stars": text["stars"],
                "review_body": text["body"],
                "review_title": text["title"],
                "language": language,
                "product_category": text["category"],
            }
        )
    for rows in splits.values():
        rng.shuffle(rows)
    return splits, off_topic


def literary_reviews(language: str) -> list[dict]:
    """Return the rows of the split `literary`: texts by one careful hand, out of the domain of the others, without defects."""
    written = yaml.safe_load((BANKS / language / "literary.yaml").read_text(encoding="utf-8"))
    return [
        {
            "review_id": f"{language}_literary_{number:04d}",
            "product_id": f"product_{language}_literary_{number:04d}",
            "reviewer_id": f"reviewer_{language}_literary_{number:04d}",
            "stars": review["stars"],
            "review_body": review["body"],
            "review_title": review["title"],
            "language": language,
            "product_category": review["category"],
        }
        for number, review in enumerate(written)
    ]


def plant_defects(corpora: dict[str, dict[str, list[dict]]], seed: int = SEED) -> dict[str, dict[str, Counter]]:
    """Plant the defects of `DEFECTS` in place and return their counts per language and split. A row carries one at most."""
    counts: dict[str, dict[str, Counter]] = {language: {} for language in corpora}
    # Foreign texts and held-out bodies are copied from the clean rows, before any row is touched.
    clean = {
        language: {split: [dict(row) for row in rows] for split, rows in splits.items()}
        for language, splits in corpora.items()
    }
    for language, splits in corpora.items():
        rng = random.Random(f"{language}-defects-{seed}")
        foreign = clean["es" if language == "en" else "en"]
        held_out = clean[language]["validation"] + clean[language]["test"]
        held_out = iter(rng.sample(held_out, len(held_out)))
        for split, rows in splits.items():
            wanted = DEFECTS[split]
            untouched = rng.sample(rows, len(rows))
            # Decomposing changes accented text only, and English has little of it: those rows are taken first.
            accented = [row for row in untouched if not row["review_body"].isascii()][: wanted["nfd"]]
            taken = {id(row) for row in accented}
            plain = (row for row in untouched if id(row) not in taken)
            added: list[dict] = []
            planted = counts[language][split] = Counter()
            for defect, number in wanted.items():
                for row in itertools.islice(iter(accented) if defect == "nfd" else plain, number):
                    planted[defect] += 1
                    if defect == "duplicate":
                        added.append(_copy(row, rng))
                    elif defect == "leakage":
                        added.append(_copy(next(held_out), rng))
                    elif defect == "wrong_language":
                        other = rng.choice(foreign[split])
                        row.update(review_body=other["review_body"], review_title=other["review_title"])
                    else:
                        _SPOIL[defect](row, rng)
                        # An ellipsis is not ASCII either, but decomposing leaves it as it is: no defect to count.
                        planted[defect] -= defect == "nfd" and unicodedata.is_normalized("NFC", row["review_body"])
            for row in added:
                rows.insert(rng.randrange(len(rows) + 1), row)
    return counts


def _copy(row: dict, rng: random.Random) -> dict:
    """Return a second copy of a review under new ids; half of the copies differ in case or spacing only."""
    body = row["review_body"]
    style = rng.random()
    if style < 0.25:
        body = body.upper()
    elif style < 0.5:
        body = "  " + body.replace(". ", ".  ") + " "
    language = row["language"]
    return row | {
        "review_id": f"{language}_{rng.randrange(1_000_000, 2_000_000):07d}",
        "reviewer_id": f"reviewer_{language}_{rng.randrange(1_000_000):07d}",
        "review_body": body,
    }


def _spoil_html(row: dict, rng: random.Random) -> None:
    body = row["review_body"]
    style = rng.random()
    if style < 0.4 and ". " in body:
        body = body.replace(". ", ".<br /><br />", 1)
    elif style < 0.7:
        body = body.replace("'", "&#39;").replace(" y ", " &amp; ", 1).replace(" and ", " &amp; ", 1)
        body = f"&quot;{body}&quot;" if "&" not in body else body
    else:
        words = body.split(" ")
        place = rng.randrange(len(words))
        words[place] = f"<b>{words[place]}</b>"
        body = " ".join(words)
    row["review_body"] = body


def _spoil_nfd(row: dict, rng: random.Random) -> None:
    row["review_body"] = unicodedata.normalize("NFD", row["review_body"])
    row["review_title"] = unicodedata.normalize("NFD", row["review_title"])


_SPOIL = {
    "missing_title": lambda row, rng: row.update(review_title=None),
    "missing_body": lambda row, rng: row.update(review_body=None),
    "blank_title": lambda row, rng: row.update(review_title=rng.choice(["", " ", "   ", "\n", "&nbsp;"])),
    "blank_body": lambda row, rng: row.update(review_body=rng.choice([" ", "<br />", "\t", "&nbsp;"])),
    "html": _spoil_html,
    "nfd": _spoil_nfd,
}


def build(
    counts_read: Mapping[str, int] | None = None,
) -> tuple[dict[str, dict[str, list[dict]]], dict[str, dict[str, Counter]]]:
    """Return (rows by language and split, defects by language and split); `off_topic` counts what the briefs asked for.

    Args:
        counts_read: how many texts of each language; by default all.
    """
    corpora, off_topic = {}, {}
    for language in LANGUAGES:
        corpora[language], off_topic[language] = assemble(language, (counts_read or {}).get(language))
    counts = plant_defects(corpora)
    for language in LANGUAGES:
        for split in SPLITS:
            counts[language][split]["off_topic"] = off_topic[language][split]
        corpora[language]["literary"] = literary_reviews(language)
    return corpora, counts


def write(folder: Path) -> None:
    """Write `<language>_<split>.parquet` for every split, and the data card."""
    corpora, counts = build()
    folder.mkdir(parents=True, exist_ok=True)
    for language, splits in corpora.items():
        for split, rows in splits.items():
            table = pa.Table.from_pylist(rows, schema=SCHEMA)
            pq.write_table(table, folder / f"{language}_{split}.parquet", compression="zstd", compression_level=19)
    (folder / "README.md").write_text(data_card(corpora, counts), encoding="utf-8")


def data_card(corpora: dict[str, dict[str, list[dict]]], counts: dict[str, dict[str, Counter]]) -> str:
    """Return the data card of the corpus. Its figures are taken from the texts and the rows."""
    places = [(language, split) for language in LANGUAGES for split in SPLITS]
    found = {place: {} for place in places}
    for language in LANGUAGES:
        texts = load_texts(language)
        parts = {split: books([text for text in texts if split_of(text["id"]) == split]) for split in SPLITS}
        for split in SPLITS:
            found[language, split] = {"books": len(parts[split])} | reading(parts[split], language)
            if split != "train":
                found[language, split] |= overlaps(parts[split], parts["train"])
    stars = Counter(row["stars"] for splits in corpora.values() for rows in splits.values() for row in rows)
    names = list(found["en", "test"])
    return CARD.format(
        rows="\n".join(
            f"| {language} | {split} | {len(rows):,} |"
            for language, splits in corpora.items()
            for split, rows in splits.items()
        ),
        planted=_table({name: [counts[language][split][name] for language, split in places] for name in PLANTED}),
        measures=_table({name: [_shown(found[place].get(name)) for place in places] for name in names}),
        columns=" | ".join(f"{language} {split}" for language, split in places),
        rule="---|" * (1 + len(places)),
        stars=", ".join(f"{star}: {number:,}" for star, number in sorted(stars.items())),
        categories=", ".join(f"`{name}`" for name in CATEGORIES),
    )


PLANTED = (*DEFECTS["train"], "off_topic")


def _table(rows: dict[str, list]) -> str:
    return "\n".join(f"| {name} | {' | '.join(map(str, values))} |" for name, values in rows.items())


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.1f}"


CARD = """# Embedded review corpus

**Synthetic** product reviews in English and Spanish. No customer wrote these: they were written for this course, and no row comes from a shop. Licence: CC BY 4.0 (`LICENSE-CONTENT`).
This card and the parquet files are made by `python -m resumen.authoring.reviews`. Do not edit them.

## How they were written

Each review was written on its own, by a language model, from a brief. A program drew the brief at random: category, kind of thing, stars, how much detail, topics, voice, spelling, country, length, how it begins and what kind of title it has. The shares were set so that lead-3 scores near what
it scores on the real corpus: 16.74 (ROUGE-1) and 8.83 (ROUGE-2) in chapter 7, section 5, of the Hugging Face course. The program is `resumen.authoring.briefs`; `src/resumen/authoring/texts/README.md` has what a writer was told.

Just under a third of what was written was thrown away: the first batches whole (too specific, too witty), then what a second reader named because it contradicts itself, sounds like another or shows the machine, and what repeats a sentence, a body or a much used title.

The split `literary` is older and smaller: reviews by one careful hand, with vivid details and titles that seldom use the words of the body. It is a test outside the domain of the others. `load_literary` reads it; it has no planted defects.

The columns are those of the multilingual Amazon reviews corpus (Keung et al., 2020, <https://aclanthology.org/2020.emnlp-main.369>), so the same code reads either. That corpus was withdrawn by its owner in 2023. Its licence allowed academic research without republishing, so this course ships none of it.

| column | holds |
|---|---|
| `review_id`, `product_id`, `reviewer_id` | invented identifiers |
| `stars` | 1 to 5 |
| `review_body` | the text to summarize |
| `review_title` | the reference summary |
| `language` | `en` or `es` |
| `product_category` | {categories} |

## Rows

| language | split | rows |
|---|---|---|
{rows}

Stars, all splits: {stars}.

## Measures

Of the books and e-books, cleaned as in stage 1, before defects were planted. The last three lines compare validation and test with train. Titles count with three words or more where they are scored or compared, sentences with four or more.

The bounds of `resumen.authoring.measures` hold for each language as a whole. Single splits are smaller, and some miss a bound narrowly: in English the commonest first word and phrase, the mean length of validation and its stars, and in both languages the share of short titles in test.

| measure | {columns} |
|{rule}
{measures}

## Planted defects

Real corpora are dirty, so this one is too. A row carries at most one planted defect.

| defect | {columns} |
|{rule}
{planted}

- **duplicate**: the review again under new ids; half of the copies differ in case or spacing only.
- **leakage**: a train row with the body of a validation or test row.
- **missing_title, missing_body**: None. **blank_title, blank_body**: white space, an empty tag or `&nbsp;`.
- **html**: entities or tags in the body. **nfd**: decomposed accents (few English rows have an accent).
- **wrong_language**: the text is in the other language. **off_topic**: about the delivery or the seller, not the product; the writers were asked for these, and they may carry another defect.

## Limits

- A model wrote the reviews, and a model read them. They are calmer and more even than life: no spam, no insults, hardly any politics, few spelling mistakes that a keyboard makes.
- Lengths show how the briefs were drawn: bodies come in six clumps, and titles of exactly three words are rare.
- Products and people are invented. Nothing can be learned from the reviews about any real product.
- Scores on this corpus say nothing about scores on real reviews. Compare systems on it, and measure again on data of your own.
"""


if __name__ == "__main__":
    write(EMBEDDED_REVIEWS)
