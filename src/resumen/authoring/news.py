"""Build the corpus of the capstone's exemplar: news in brief from invented places, in English and Spanish.

Run `python -m resumen.authoring.news` to write `data/news/news.parquet` and its data card again. The same seed gives the same rows
on every machine, and the same bytes with the pinned pyarrow (`tests/authoring/test_news.py` holds this).
"""

import random
import re
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from resumen.authoring.phrases import expand, load_bank
from resumen.corpus import LANGUAGES
from resumen.metrics import unsupported_numbers
from resumen.projects.capstone.contract import COLUMNS, EMBEDDED_NEWS

SEED = 20261
STORIES = 1_150
LICENCE = "CC BY 4.0"

TOWNS = (
    "Alderbrook",
    "Cala Morena",
    "Fuentegrís",
    "Harrowfield",
    "Kestrelton",
    "Las Retamas",
    "Marrow Bay",
    "Montealbar",
    "Northmere",
    "Peñaluz",
    "Puerto Albor",
    "Ribera Clara",
    "Saltmarsh End",
    "San Telmo del Arlo",
    "Thornwick",
    "Valdebruma",
    "Villarrosal",
    "Westerholt",
)
"""Invented. Whoever finds a real place of one of these names has found a coincidence."""

WOMEN = (
    "Alma Rivas",
    "Carmen Duarte",
    "Elena Prado",
    "Grace Holloway",
    "Inés Zamora",
    "Joan Whitlock",
    "Lucía Ferrer",
    "Maggie Orr",
    "Noelia Campos",
    "Priya Shaw",
    "Ruth Vega",
    "Teresa Lind",
)
MEN = ("Andrés Molina", "Colin Marsh", "Diego Salas", "Hugh Barrow", "Martín Olmedo", "Samuel Reed")

DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
}
MONTHS = {
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    "es": (
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ),
}


def facts(rng: random.Random) -> dict:
    """Draw what happened, before any language tells it."""
    town, town2 = rng.sample(TOWNS, 2)
    mayor, person, spokes = rng.sample(WOMEN, 3)
    month, month2 = rng.sample(range(12), 2)
    n, n2 = rng.sample(range(3, 20), 2)
    return {
        "town": town,
        "town2": town2,
        "day": rng.randrange(7),
        "month": month,
        "month2": month2,
        "n": min(n, n2),
        "n2": max(n, n2),
        "people": rng.randrange(30, 980, 10),
        "money": rng.randrange(20, 900, 5),
        "pct": rng.randrange(12, 49),
        "age": rng.randrange(24, 79),
        "person": person,
        "mayor": rng.choice([(mayor, True), (rng.choice(MEN), False)]),
        "spokes": spokes,
    }


def slots_of(event: dict, language: str) -> dict[str, str]:
    """Return the slots of a bank line: the facts in the words and number formats of one language."""
    mayor, is_woman = event["mayor"]
    slots = {name: str(event[name]) for name in ("town", "town2", "n", "n2", "people", "pct", "age", "person")}
    slots["day"] = DAYS[language][event["day"]]
    slots |= {name: MONTHS[language][event[name]] for name in ("month", "month2")}
    if language == "en":
        words = {
            "money": f"{event['money']},000 euros",
            "mayor": f"Mayor {mayor}",
            "spokes": f"spokeswoman {event['spokes']}",
        }
    else:
        words = {
            "money": f"{event['money']} 000 euros",
            "mayor": f"{'la alcaldesa' if is_woman else 'el alcalde'} {mayor}",
            "spokes": f"la portavoz {event['spokes']}",
        }
    return slots | words


def tell(kind: dict, slots: dict[str, str], rng: random.Random) -> tuple[str, str]:
    """Return (text, headline) of one brief: at times a background sentence first, then the lead, then details."""
    chosen = [rng.choice(kind["background"])] if rng.random() < 0.4 else []
    chosen.append(rng.choice(kind["leads"]))
    chosen += rng.sample(kind["details"], rng.choice([1, 2, 2, 3]))
    text = " ".join(expand(line, slots, rng) for line in chosen)
    # A headline states what its text states: its numbers, months and other towns must stand there.
    headlines = [expand(line, slots, rng) for line in rng.sample(kind["headlines"], len(kind["headlines"]))]
    names = [slots[name] for name in ("month", "town2")]
    supported = (
        headline
        for headline in headlines
        if not unsupported_numbers(headline, text) and all(name in text for name in names if name in headline)
    )
    return text, next(supported)


def split_of(group: int) -> str:
    """Return the split of a composed story: eight of ten train, one validation, one test. All its briefs follow."""
    return {8: "validation", 9: "test"}.get(group % 10, "train")


def rows(seed: int = SEED) -> list[dict]:
    """Return the corpus: composed briefs, then the individually written ones of both languages."""
    rng = random.Random(seed)
    kinds = list(load_bank("en", "news")["stories"])
    corpus: list[dict] = []
    seen: set[str] = set()
    for number in range(STORIES):
        event, kind = facts(rng), kinds[(number // 10) % len(kinds)]
        for language in LANGUAGES:
            # One event in five is told twice in a language, as two papers would.
            for part in ("a", "b")[: 1 + (rng.random() < 0.2)]:
                text, headline = tell(load_bank(language, "news")["stories"][kind], slots_of(event, language), rng)
                if text in seen:
                    continue
                seen.add(text)
                names = (f"{language}-{number:04d}-{part}", f"story-{number:04d}", language)
                corpus.append(dict(zip(COLUMNS, (*names, text, headline, split_of(number), LICENCE), strict=True)))
    rng.shuffle(corpus)
    for language in LANGUAGES:
        for number, brief in enumerate(load_bank(language, "news")["written"]):
            group = f"written-{language}-{brief.get('group', f'{number:02d}')}"
            # Every fourth is for choosing settings; those of one event stay together.
            split = "validation" if number % 4 == 3 and "group" not in brief else "test"
            names = (f"{language}-written-{number:02d}", group, language)
            corpus.append(dict(zip(COLUMNS, (*names, brief["text"], brief["headline"], split, LICENCE), strict=True)))
    return corpus


def card(corpus: list[dict]) -> str:
    """Return the data card, with the counts of this corpus."""
    counts = Counter((row["language"], row["split"], "-written-" in row["id"]) for row in corpus)
    table = [
        f"| {language} | {split} | {counts[language, split, False]:,} | {counts[language, split, True]} |"
        for language in LANGUAGES
        for split in ("train", "validation", "test")
    ]
    words = sorted(len(row["source"].split()) for row in corpus)
    titles = sorted(len(row["reference"].split()) for row in corpus)
    return f"""# News in brief, English and Spanish

The corpus of the capstone's exemplar: short news items and their headlines, from places and people that do not exist.
This card and `news.parquet` are made by `python -m resumen.authoring.news` (seed {SEED}). Do not edit them.

## Origin

Written for this course, all of it; nothing was copied from a newspaper, and no name means a real person. Two kinds of rows:

- **Composed**: a seeded program tells {STORIES:,} invented events in both languages from the sentences in `src/resumen/authoring/banks/*/news.yaml`. An event is a `group`: its English and its Spanish briefs, and at times a second
  brief in one language, share the facts. So they lie in one split.
- **Individually written**: {sum(counts[key] for key in counts if key[2])} briefs, one by one, without those sentences. Their `id` holds `-written-`, and none is in train. A system that is good on composed rows and weak on written ones has learned
  the patterns, not the task: report both.

## Licence

CC BY 4.0. Attribute "Resumen course". You may share and change it.

## Columns

| column | holds |
|---|---|
| `id` | unique name of the row |
| `group` | the event: rows of one group must not lie in two splits |
| `language` | `en` or `es` |
| `source` | the brief |
| `reference` | its headline |
| `split` | `train`, `validation` or `test` |
| `licence` | the row's licence |

## Rows

| language | split | composed | individually written |
|---|---|---|---|
{chr(10).join(table)}

A brief has {words[len(words) // 2]} words in the median (at most {words[-1]}), a headline {titles[len(titles) // 2]} (at most {titles[-1]}).

## Personal data

None: names are invented, and there is no address, e-mail or phone number.

## Limits

- Composed briefs repeat sentence patterns, and the test split has the same patterns as train. Scores on it say how well a system learned them.
- The written briefs are few and lean to the odd and cheerful. They are no sample of real news.
- One style per language; the Spanish avoids words that are understood in one country only.
"""


def main() -> None:
    """Write the corpus and its card into the package."""
    corpus = rows()
    EMBEDDED_NEWS.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    pq.write_table(pa.Table.from_pylist(corpus, schema), EMBEDDED_NEWS, compression="zstd")
    text = re.sub(r"[ \t]+\n", "\n", card(corpus))
    (EMBEDDED_NEWS.parent / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
