"""Build the embedded review corpus from the phrase banks and one seed.

Run `python -m resumen.authoring.reviews` to write `data/reviews/*.parquet` and its data card again. The same seed gives
the same rows on every machine, and the same bytes with the pinned pyarrow (`tests/authoring/test_authoring.py` holds this).
"""

import itertools
import random
import re
import unicodedata
from collections import Counter, deque
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from resumen.authoring.phrases import BANKS, CATEGORIES, expand, item_slots, load_bank, uncapitalise
from resumen.corpus import EMBEDDED_REVIEWS, LANGUAGES, SCHEMA, SPLITS, is_written
from resumen.text import tokenize_words

SEED = 20260
ROWS = {"train": 7_000, "validation": 600, "test": 1_100}
"""Composed rows per split and language, before defects are planted on top of them."""

CATEGORY_WEIGHTS = {"book": 0.28, "digital_ebook_purchase": 0.15}
"""Share of the two categories that the course keeps; the other categories share the rest equally."""

SHORT_TITLE_SHARE = {"en": 0.31, "es": 0.56}
"""Share of one- and two-word titles, the habit that stage 1 measures."""

BODY_LENGTH = {"en": (4.88, 0.82), "es": (4.72, 0.80)}
"""Mean and deviation of the logarithm of a body's target length in characters."""

ECHO_DRAWS = 3
"""Title lines drawn; the one that shares most words with the body is kept."""

LONGEST_BODY = 2_000

DEFECTS = {
    "train": {
        "duplicate": 150,
        "leakage": 70,
        "missing_title": 40,
        "missing_body": 20,
        "blank_title": 40,
        "blank_body": 15,
        "html": 320,
        "nfd": 200,
        "wrong_language": 90,
        "off_topic": 160,
    },
    "validation": {
        "duplicate": 8,
        "missing_title": 4,
        "missing_body": 2,
        "blank_title": 4,
        "blank_body": 1,
        "html": 24,
        "nfd": 16,
        "wrong_language": 6,
        "off_topic": 12,
    },
    "test": {
        "duplicate": 14,
        "missing_title": 6,
        "missing_body": 3,
        "blank_title": 6,
        "blank_body": 2,
        "html": 44,
        "nfd": 28,
        "wrong_language": 10,
        "off_topic": 22,
    },
}
"""Rows per split and language that carry each planted defect. Duplicates and leaked rows are added, the others rewritten."""

OFF_TOPIC_ITEM = {"en": {"noun": "order"}, "es": {"noun": "pedido", "gender": "m"}}
"""What an off-topic review talks about when it names a thing."""

OPINIONS = {
    5: ("positive", "positive"),
    4: ("positive", "negative"),
    3: ("mixed", "mixed"),
    2: ("negative", "positive"),
    1: ("negative", "negative"),
}
"""Polarity of the main aspect and of the contrasting aspect for each number of stars."""


VERDICTS = {5: "positive", 4: "positive", 3: "mixed", 2: "negative", 1: "negative"}


class Composer:
    """Writes reviews of one language. It remembers what it used lately, so that neighbours do not sound alike."""

    def __init__(self, language: str, rng: random.Random):
        self.language = language
        self.rng = rng
        self.common = load_bank(language, "common")
        self.recent: deque[str] = deque(maxlen=160)
        decimal = "," if language == "es" else "."
        self.slots = self.common["slots"] | {
            "n": [str(number) for number in range(2, 13)],
            "price": [
                f"{euros}{decimal}{cents}" for euros in (3, 6, 8, 9, 12, 14, 18, 24) for cents in ("49", "90", "99")
            ],
        }

    def review(self, category: str, item: dict, stars: int, titles: int = 1) -> tuple[str, str]:
        """Return (body, title) of one review: of several titles the one that says most of its words again in the body."""
        bank = load_bank(self.language, category)
        slots = self.slots | item_slots(self.language, item)
        aspects = [
            aspect
            for aspect in bank["aspects"].values()
            if item.get("kind", "any") in aspect.get("kinds", [item.get("kind", "any")])
        ]
        self.rng.shuffle(aspects)
        main, contrast = OPINIONS[stars]
        if main == "mixed":
            main, contrast = self.rng.sample(["positive", "negative"], 2)
        body, told, quotable = self._body(bank, aspects, slots, main, contrast, stars)
        said = set(tokenize_words(body))
        drawn = [self._title(bank, told, slots, stars, quotable, body) for _ in range(titles)]
        return body, max(drawn, key=lambda title: _share(title, said))

    def _body(self, bank, aspects, slots, main, contrast, stars) -> tuple[str, list[tuple[dict, str]], str]:
        """Return the body, its (aspect, polarity) pairs in order, and the sentence that a title may quote."""
        rng = self.rng
        mu, sigma = BODY_LENGTH[self.language]
        target = min(LONGEST_BODY - 60, max(18, rng.lognormvariate(mu, sigma)))
        parts: list[str] = []
        said: set[str] = set()

        def room() -> float:
            return target - sum(len(part) + 1 for part in parts)

        def say(lines: list[str], lead: str = "") -> str:
            """Add a reading of one unused line, the shorter of two when there is little room left."""
            fresh = [line for line in lines if line not in self.recent and line not in said] or lines
            drawn = rng.sample(fresh, min(2, len(fresh)))
            readings = sorted(((expand(line, slots, rng), line) for line in drawn), key=lambda pair: len(pair[0]))
            text, line = readings[0] if room() < 90 else rng.choice(readings)
            said.add(line)
            self.recent.append(line)
            goes_on = lead and not lead.rstrip().endswith((".", "!", "?"))
            parts.append(lead + uncapitalise(text, slots["name"]) if goes_on else lead + text)
            return text

        if target > 110 and rng.random() < 0.4:
            say(bank["openings"] if rng.random() < 0.6 else self.common["openings"])
        if target > 220 and rng.random() < 0.25:
            say(bank["anecdotes"] if rng.random() < 0.5 else self.common["asides"])
        first = aspects[0][main]
        quotable = say(first["sentences"])
        if room() > 45 and rng.random() < 0.6:
            say(first["details"])
        told = [(aspects[0], main)]
        balanced = stars == 3
        for number, aspect in enumerate(aspects[1:], start=1):
            if room() < 25 and not (balanced and number == 1):
                break
            turn = number == 1 and main != contrast and (balanced or rng.random() < 0.7)
            polarity = contrast if turn or (balanced and number % 2) else main
            lead = ""
            if turn and rng.random() < 0.65:
                lead = rng.choice(self.common["contrast"][f"to_{polarity}"])
            say(aspect[polarity]["sentences"], lead)
            told.append((aspect, polarity))
            if room() > 50 and rng.random() < 0.5:
                say(aspect[polarity]["details"])
            if room() > 120 and rng.random() < 0.3:
                say(bank["anecdotes"] if rng.random() < 0.5 else self.common["asides"])
        if (room() > 25 and target > 120) or rng.random() < 0.12:
            verdict = VERDICTS[stars]
            say(bank["closings"][verdict] if rng.random() < 0.6 else self.common["closings"][verdict])
        while len(" ".join(parts)) > LONGEST_BODY:
            parts.pop()
        return " ".join(parts), told, quotable

    def _title(self, bank, told, slots, stars, quotable, body) -> str:
        """Return a title: mostly the verdict on what was told first, at times a pair, a quotation, a platitude or a slip."""
        rng = self.rng
        verdict = VERDICTS[stars]
        main_aspect, main = told[0]
        opposed = next((pair for pair in told[1:] if pair[1] != main), None)
        agreeing = next((pair for pair in told[1:] if pair[1] == main), None)
        kind = rng.random()
        quote = re.split(r"[,;:.!?…]", quotable.strip("¿¡"))[0].strip()
        if rng.random() < SHORT_TITLE_SHARE[self.language]:
            title = self._short_title(main_aspect[main]["tags"], verdict, slots)
        elif kind < 0.02:  # sarcasm or a slip: the title says the opposite of the body
            opposite = {"positive": "negative", "negative": "positive", "mixed": "positive"}[verdict]
            title = expand(rng.choice(self.common["titles"][opposite]), slots, rng)
        elif kind < 0.10 and 3 <= len(quote.split()) <= 8:  # many people repeat their first words
            title = quote
        elif kind < 0.22:
            source = bank if rng.random() < 0.6 else self.common
            title = expand(rng.choice(source["titles"][verdict]), slots, rng)
        elif opposed and kind < 0.65:
            tags = {
                "pos": (main_aspect, opposed[0])[main == "negative"],
                "neg": (main_aspect, opposed[0])[main == "positive"],
            }
            pair = {
                "pos": self._echoing(tags["pos"]["positive"]["tags"], slots, body),
                "neg": self._echoing(tags["neg"]["negative"]["tags"], slots, body),
            }
            title = expand(
                rng.choice(self.common["mixed_titles"]),
                slots | {name: uncapitalise(tag, slots["name"]) for name, tag in pair.items()},
                rng,
            )
        elif agreeing and kind < 0.36:
            joint = rng.choice([", ", {"en": " and ", "es": " y "}[self.language]])
            first, second = (self._echoing(aspect[main]["tags"], slots, body) for aspect in (main_aspect, agreeing[0]))
            title = f"{first}{joint}{uncapitalise(second, slots['name'])}"
        else:
            title = self._echoing(main_aspect[main]["titles"], slots, body)
        style = rng.random()
        if style < 0.06:
            title = title.lower()
        elif style < 0.075:
            title = title.upper()
        elif style < 0.12 and title[-1].isalpha() and "¡" not in title:
            title = {"en": "{}!", "es": "¡{}!"}[self.language].format(title) if rng.random() < 0.6 else f"{title}..."
        return title

    def _echoing(self, lines: list[str], slots, body: str) -> str:
        """Return a reading of one line; people tend to say again in the title what they say in the body, word for word."""
        drawn = [expand(line, slots, self.rng) for line in self.rng.sample(lines, min(ECHO_DRAWS, len(lines)))]
        said = set(tokenize_words(body))
        return max(drawn, key=lambda text: _share(text, said))

    def _short_title(self, tags, verdict, slots) -> str:
        pairs = [tag for tag in (expand(tag, slots, self.rng) for tag in tags) if len(tag.split()) <= 2]
        if pairs and self.rng.random() < 0.3:
            return self.rng.choice(pairs)
        short = [line for line in self.common["short_titles"][verdict] if line not in self.recent]
        line = self.rng.choice(short or self.common["short_titles"][verdict])
        return expand(line, slots, self.rng)


def _share(text: str, said: set[str]) -> float:
    words = tokenize_words(text)
    return sum(word in said for word in words) / len(words)


def compose(language: str, seed: int = SEED) -> dict[str, list[dict]]:
    """Return the rows of every split of one language, defects planted, individually written reviews included."""
    rng = random.Random(f"{language}-{seed}")
    composer = Composer(language, rng)
    products = _products(language, rng)
    weights = [
        CATEGORY_WEIGHTS.get(name, (1 - sum(CATEGORY_WEIGHTS.values())) / (len(CATEGORIES) - 2)) for name in CATEGORIES
    ]
    serial = iter(rng.sample(range(1_000_000), 40_000))
    splits: dict[str, list[dict]] = {}
    for split, size in ROWS.items():
        stars = [number % 5 + 1 for number in range(size)]
        rng.shuffle(stars)
        rows = []
        for star in stars:
            category = rng.choices(CATEGORIES, weights)[0]
            product_id, item = rng.choice(products[category])
            body, title = composer.review(category, item, star)
            rows.append(
                {
                    "review_id": f"{language}_{next(serial):07d}",
                    "product_id": product_id,
                    "reviewer_id": f"reviewer_{language}_{rng.randrange(1_000_000):07d}",
                    "stars": star,
                    "review_body": body,
                    "review_title": title,
                    "language": language,
                    "product_category": category,
                }
            )
        splits[split] = rows
    return splits


def _products(language: str, rng: random.Random) -> dict[str, list[tuple[str, dict]]]:
    """Return about forty invented products per category: (product_id, item)."""
    return {
        name: [
            (f"product_{language}_{rng.randrange(1_000_000):07d}", item)
            for item in load_bank(language, name)["items"]
            for _ in range(4)
        ]
        for name in CATEGORIES
    }


def written_reviews(language: str) -> dict[str, list[dict]]:
    """Return the individually written reviews: every third goes to validation, the others to test."""
    written = yaml.safe_load((BANKS / language / "written.yaml").read_text(encoding="utf-8"))
    splits: dict[str, list[dict]] = {"validation": [], "test": []}
    for number, review in enumerate(written):
        row = {
            "review_id": f"{language}_written_{number:04d}",
            "product_id": f"product_{language}_written_{number:04d}",
            "reviewer_id": f"reviewer_{language}_written_{number:04d}",
            "stars": review["stars"],
            "review_body": review["body"],
            "review_title": review["title"],
            "language": language,
            "product_category": review["category"],
        }
        splits["validation" if number % 3 == 0 else "test"].append(row)
    return splits


def plant_defects(corpora: dict[str, dict[str, list[dict]]], seed: int = SEED) -> dict[str, dict[str, Counter]]:
    """Plant the defects of `DEFECTS` in place and return their counts per language and split.

    A composed row carries at most one defect. Individually written reviews carry none.
    """
    counts: dict[str, dict[str, Counter]] = {language: {} for language in corpora}
    # Foreign texts and held-out bodies are copied from the clean rows, before any row is touched.
    clean = {
        language: {split: [dict(row) for row in rows] for split, rows in splits.items()}
        for language, splits in corpora.items()
    }
    for language, splits in corpora.items():
        rng = random.Random(f"{language}-defects-{seed}")
        foreign = clean["es" if language == "en" else "en"]
        off_topic = load_bank(language, "common")["off_topic"]
        slots = Composer(language, rng).slots | item_slots(language, OFF_TOPIC_ITEM[language])
        for split, rows in splits.items():
            wanted = DEFECTS[split]
            composed = [row for row in rows if not is_written(row["review_id"])]
            rng.shuffle(composed)
            # Parcels do not come with e-books: off-topic reviews go to the other categories.
            # Decomposing changes accented text only, and English has little of it: those rows are taken first.
            accented = [row for row in composed if not row["review_body"].isascii()][: wanted["nfd"]]
            taken = {id(row) for row in accented}
            plain = (row for row in composed if id(row) not in taken)
            delivered = (row for row in plain if row["product_category"] != "digital_ebook_purchase")
            sources = {"nfd": iter(accented), "off_topic": delivered}
            added: list[dict] = []
            planted = counts[language][split] = Counter()
            for defect, number in wanted.items():
                for row in itertools.islice(sources.get(defect, plain), number):
                    planted[defect] += 1
                    if defect == "duplicate":
                        added.append(_copy(row, rng))
                    elif defect == "leakage":
                        held_out = rng.choice(clean[language][rng.choice(["validation", "test"])])
                        added.append(_copy(held_out, rng))
                    elif defect == "wrong_language":
                        other = rng.choice(foreign[split])
                        row.update(review_body=other["review_body"], review_title=other["review_title"])
                    elif defect == "off_topic":
                        other = rng.choice(off_topic)
                        body, title = (expand(other[part], slots, rng) for part in ("body", "title"))
                        row.update(review_body=body, review_title=title)
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


def build(seed: int = SEED) -> tuple[dict[str, dict[str, list[dict]]], dict[str, dict[str, Counter]]]:
    """Return (rows by language and split, planted defects by language and split)."""
    corpora = {language: compose(language, seed) for language in LANGUAGES}
    counts = plant_defects(corpora, seed)
    for language, splits in corpora.items():
        rng = random.Random(f"{language}-written-{seed}")
        for split, written in written_reviews(language).items():
            for row in written:
                splits[split].insert(rng.randrange(len(splits[split]) + 1), row)
        for rows in splits.values():
            _part_neighbours(rows)
    return corpora, counts


def _part_neighbours(rows: list[dict]) -> None:
    """Move a row that starts like the row before it, or has its title, one place down, in place."""
    for place in range(1, len(rows) - 1):
        before, row = rows[place - 1], rows[place]
        starts = [(review["review_body"] or "").split()[:4] for review in (before, row)]
        titles = [review["review_title"] or "" for review in (before, row)]
        if (starts[0] and starts[0] == starts[1]) or (titles[0] == titles[1] and len(titles[0].split()) >= 3):
            rows[place], rows[place + 1] = rows[place + 1], row


def write(folder: Path, seed: int = SEED) -> None:
    """Write `<language>_<split>.parquet` for every split, and the data card."""
    corpora, counts = build(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for language, splits in corpora.items():
        for split, rows in splits.items():
            table = pa.Table.from_pylist(rows, schema=SCHEMA)
            pq.write_table(table, folder / f"{language}_{split}.parquet", compression="zstd", compression_level=19)
    (folder / "README.md").write_text(data_card(corpora, counts), encoding="utf-8")


def data_card(corpora, counts) -> str:
    """Return the data card of the corpus, its counts taken from the rows."""
    rows = [
        f"| {language} | {split} | {len(rows):,} | {sum(is_written(row['review_id']) for row in rows)} |"
        for language, splits in corpora.items()
        for split, rows in splits.items()
    ]
    planted = [
        f"| {defect} | "
        + " | ".join(str(counts[language][split][defect]) for language in LANGUAGES for split in SPLITS)
        + " |"
        for defect in DEFECTS["train"]
    ]
    lengths = []
    for language, splits in corpora.items():
        composed = [row for rows in splits.values() for row in rows if not is_written(row["review_id"])]
        bodies = sorted(len(row["review_body"]) for row in composed if row["review_body"])
        titles = [row["review_title"] for row in composed if row["review_title"]]
        short = sum(len(title.split()) < 3 for title in titles) / len(titles)
        lengths.append(
            f"| {language} | {sum(bodies) / len(bodies):.0f} | {bodies[len(bodies) // 2]} | {bodies[-1]:,} "
            f"| {sum(map(len, titles)) / len(titles):.1f} | {short:.0%} |"
        )
    stars = Counter(row["stars"] for splits in corpora.values() for rows in splits.values() for row in rows)
    columns = " | ".join(f"{language} {split}" for language in LANGUAGES for split in SPLITS)
    return CARD.format(
        seed=SEED,
        rows="\n".join(rows),
        planted="\n".join(planted),
        columns=columns,
        rule="---|" * 7,
        lengths="\n".join(lengths),
        stars=", ".join(f"{star}: {number:,}" for star, number in sorted(stars.items())),
        categories=", ".join(f"`{name}`" for name in CATEGORIES),
    )


CARD = """# Embedded review corpus

Product reviews in English and Spanish, written for this course. Licence: CC BY 4.0 (`LICENSE-CONTENT`).
This card and the parquet files are made by `python -m resumen.authoring.reviews` (seed {seed}). Do not edit them.

## What it is

Most reviews are **composed**: a seeded program joins sentences from phrase banks written for this course (`src/resumen/authoring/banks`).
The others are **individually written**, one by one, without the banks. They lie in validation and test only, and their `review_id`
holds `_written_`. A model that is good on composed reviews and weak on written ones has learned our banks, not the task: report both.

No row comes from a shop. The columns are those of the multilingual Amazon reviews corpus (Keung et al., 2020,
<https://aclanthology.org/2020.emnlp-main.369>), so the same code reads either. That corpus was withdrawn by its owner in 2023 and its licence
allowed academic research without republishing, so this course ships none of it.

| column | holds |
|---|---|
| `review_id`, `product_id`, `reviewer_id` | invented identifiers |
| `stars` | 1 to 5 |
| `review_body` | the text to summarize |
| `review_title` | the reference summary |
| `language` | `en` or `es` |
| `product_category` | {categories} |

## Rows

| language | split | rows | individually written |
|---|---|---|---|
{rows}

Stars, both languages: {stars}.

## Lengths of the composed rows, in characters

| language | body mean | body median | body maximum | title mean | one- and two-word titles |
|---|---|---|---|---|---|
{lengths}

## Planted defects

Real corpora are dirty, so this one is too. A row carries at most one planted defect. Composing also repeats a few short bodies and titles by
chance, as life does; they are not counted here.

| defect | {columns} |
|{rule}
{planted}

- **duplicate**: the review again under new ids; half of the copies differ in case or spacing only.
- **leakage**: a train row with the body of a validation or test row.
- **missing_title, missing_body**: None. **blank_title, blank_body**: white space, an empty tag or `&nbsp;`.
- **html**: entities or tags in the body. **nfd**: decomposed accents (English rows with an accent are rare).
- **wrong_language**: the text is in the other language. **off_topic**: about the delivery or the seller, not the product.

## Limits

The banks hold the opinions and the habits of their few writers. Composed text is more regular than life: n-grams repeat, sarcasm and spelling
mistakes are rare. Scores on it say nothing about scores on real reviews; compare systems on it, and measure again on your own data.
"""


if __name__ == "__main__":
    write(EMBEDDED_REVIEWS)
    print(f"Written: {EMBEDDED_REVIEWS}")
