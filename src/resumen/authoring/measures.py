"""Measure how far the written reviews read like life: `python -m resumen.authoring.measures` prints a table.

The reviews in `texts/` were written one by one from drawn briefs (`briefs.py`, `texts/README.md`). A claim about a model is worth no more
than its corpus, so a test holds the bounds. They surround the published figures of the real corpus: lead-3 scores 16.74 (ROUGE-1) and
8.83 (ROUGE-2) in the Hugging Face course, chapter 7, section 5; bodies and titles have the lengths that Keung et al. (2020) give.
"""

import hashlib
import json
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from resumen.corpus import BOOKS, LANGUAGES, clean_text, has_min_words, normalized_body
from resumen.metrics import rouge_n
from resumen.text import near_duplicates, ngrams, split_sentences, tokenize_words

TEXTS = Path(__file__).parent / "texts"
"""`<language>.jsonl`, one review a line: id, stars, category, title, body, and off_topic where the brief asked for delivery only."""

SHARES = {"train": 0.75, "validation": 0.0875, "test": 0.1625}


BOUNDS = {
    "lead-3 ROUGE-1": (13, 20),
    "lead-3 ROUGE-2": (5, 13),
    "mean body, characters": (150, 215),
    "mean title, characters": (18, 27),
    "titles of one or two words, %": (28, 50),
    "rarest stars, % of reviews": (17, 20),
    "bodies with a word of judgement, %": (60, 100),
    "sentences that occur twice, %": (0, 1.5),
    "test titles that stand in train, %": (0, 12),
    "held-out bodies that share half their 8-grams with train": (0, 0),
    "distinct among the first 3,000 4-grams, %": (97, 100),
    "bodies with the commonest first word, %": (0, 14),
    "bodies with the commonest uncommon phrase, %": (0, 1),
}
"""Least and greatest value that a language may have."""

JUDGEMENT = {
    "en": (
        "good great nice love loved loves lovely excellent amazing fantastic perfect wonderful brilliant best better fun enjoyed enjoy "
        "enjoyable liked like recommend recommended useful helpful beautiful interesting easy happy pleased fine ok okay decent bad "
        "boring bored terrible awful poor worst waste disappointed disappointing disappointment horrible useless rubbish dull weak "
        "hate hated average mediocre slow confusing worth cheap regret annoying superb favourite favorite delighted overpriced "
        "well cute dreadful pointless impressed satisfied"
    ).split(),
    "es": (
        "bueno buena buenos buenas buen buenísimo buenísima bien genial excelente encanta encantó encantado encantada encantan perfecto "
        "perfecta maravilloso maravillosa estupendo estupenda fantástico fantástica mejor gusta gustó gustado gustan recomiendo "
        "recomendable recomendado útil bonito bonita bonitos hermoso hermosa precioso preciosa preciosos interesante entretenido "
        "entretenida divertido divertida fácil contento contenta feliz malo mala malos malas mal malísimo malísima aburrido aburrida "
        "aburre pésimo pésima horrible peor decepción decepcionado decepcionada decepcionante fatal flojo floja inútil pobre regular "
        "lento lenta lástima vale correcto correcta normal caro cara carísimo disfruté engancha enganchó lindo linda pesado pesada "
        "odio sirve cumple favorito favorita basura mediocre normalito"
    ).split(),
}
"""Everyday words of judgement: most customers use one."""

STOP_WORDS = {
    "en": (
        "a an the and or but if of to in on at for from with by as is are was were be been being it its it's this that these those i me my "
        "we our you your he she they them his her their not no don't didn't so too very just at all than then there what which who when "
        "how much more most some any have has had do does did can can't could would will i'm i've up out about into one only even also "
        "after before because really a bit quite every other something else whole again few many could might should must don didn isn wasn "
        "wouldn couldn won doesn aren haven hadn shouldn dont didnt t s m d ll re ve one two three four five six seven eight nine ten "
        "hundred thousand first second third several day days week weeks month months year years old time times"
    ).split(),
    "es": (
        "el la los las un una unos unas y e o u pero si de del a al en con por para como es son era eran fue ser está están lo le les me se "
        "mi su sus tu este esta esto ese esa eso no ni ya muy más menos que qué quien cual cuando donde todo toda todos todas hay he ha "
        "había han yo tú te nos poco mucho mucha bastante tan también solo sólo porque sin sobre hasta desde otro otra otros otras algo nada aun aunque así tal vez veces cada varias varios deja dejo "
        "puede pude da dio lee leer leí uno dos tres cuatro cinco seis siete ocho nueve diez veinte treinta cien mil primer primera segundo "
        "segunda día días semana semanas mes meses año años muchas muchos"
    ).split(),
}

COMMON_PHRASES = {
    "en": {
        "waste money",
        "highly recommend",
        "main character",
        "main characters",
        "five stars",
        "last chapter",
        "first chapter",
        "second half",
        "first half",
        "good book",
        "great book",
        "easy read",
        "small print",
        "good price",
        "money back",
        "well written",
        "easy follow",
        "good story",
        "great story",
        "good read",
        "great read",
        "bad book",
        "next book",
        "book club",
        "looking forward",
        "star rating",
    },
    "es": {
        "buen libro",
        "gran libro",
        "primera mitad",
        "segunda mitad",
        "primer capítulo",
        "último capítulo",
        "buen precio",
        "mala calidad",
        "buena calidad",
        "letra pequeña",
        "primera parte",
        "segunda parte",
        "buena historia",
        "vale pena",
        "primeras páginas",
        "buen estado",
        "tapa dura",
        "gran cosa",
    },
}
"""Pairs of words that real customers write all the time: they may be frequent."""


class Book(NamedTuple):
    """A review of a book."""

    language: str
    body: str
    title: str
    stars: int


def load_texts(language: str) -> list[dict]:
    """Return the written reviews of one language, in the order of their file."""
    with (TEXTS / f"{language}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def split_of(identifier: str) -> str:
    """Return the split of a text: by a digest of its id alone, so that new texts move no old one."""
    draw = int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8], "big") % 10_000 / 10_000
    if draw < SHARES["train"]:
        return "train"
    return "validation" if draw < SHARES["train"] + SHARES["validation"] else "test"


def measures(texts: list[dict], language: str) -> dict[str, float]:
    """Return the figures of `BOUNDS` for the books among the texts of one language, split by `split_of`."""
    splits = {split: books([text for text in texts if split_of(text["id"]) == split]) for split in SHARES}
    held_out = overlaps(splits["validation"] + splits["test"], splits["train"])
    test = overlaps(splits["test"], splits["train"])
    return reading([row for rows in splits.values() for row in rows], language) | {
        "test titles that stand in train, %": test["titles that stand in train, %"],
        "held-out bodies that share half their 8-grams with train": held_out[
            "bodies that share half their 8-grams with train"
        ],
    }


def reading(rows: list[Book], language: str) -> dict[str, float]:
    """Return the figures that say how some books' reviews read."""
    bodies = [row.body for row in rows]
    long = [row for row in rows if has_min_words(row.title)]
    leads = [("\n".join(split_sentences(row.body, language)[:3]), row.title) for row in long]
    sentences = Counter(sentence for body in bodies for sentence in long_sentences(body, language))
    stars = Counter(row.stars for row in rows)
    grams = list(islice((gram for body in bodies for gram in ngrams(body, 4)), 3_000))
    firsts = Counter(words[0] for words in map(tokenize_words, bodies) if words)
    phrases = Counter(phrase for body in bodies for phrase in _phrases(body, language))
    uncommon = max((count for phrase, count in phrases.items() if phrase not in COMMON_PHRASES[language]), default=0)
    judgement = set(JUDGEMENT[language])
    return {
        "lead-3 ROUGE-1": _percent(rouge_n(lead, title, 1).fmeasure for lead, title in leads),
        "lead-3 ROUGE-2": _percent(rouge_n(lead, title, 2).fmeasure for lead, title in leads),
        "mean body, characters": sum(map(len, bodies)) / len(bodies),
        "mean title, characters": sum(len(row.title) for row in rows) / len(rows),
        "titles of one or two words, %": _percent(not has_min_words(row.title) for row in rows),
        "rarest stars, % of reviews": 100 * min(stars.values()) / len(rows),
        "bodies with a word of judgement, %": _percent(bool(judgement & set(tokenize_words(body))) for body in bodies),
        "sentences that occur twice, %": 100 * sum(n for n in sentences.values() if n > 1) / sentences.total(),
        "distinct among the first 3,000 4-grams, %": 100 * len(set(grams)) / len(grams),
        "bodies with the commonest first word, %": 100 * max(firsts.values()) / len(bodies),
        "bodies with the commonest uncommon phrase, %": 100 * uncommon / len(bodies),
    }


def overlaps(held_out: list[Book], train: list[Book]) -> dict[str, float]:
    """Return what held-out reviews have in common with train: titles of three words or more, sentences of four or more, 8-grams."""
    titles = {" ".join(tokenize_words(row.title)) for row in train}
    sentences = {sentence for row in train for sentence in long_sentences(row.body, row.language)}
    shared = near_duplicates([row.body for row in held_out], [row.body for row in train])
    return {
        "titles that stand in train, %": _percent(
            " ".join(tokenize_words(row.title)) in titles for row in held_out if has_min_words(row.title)
        ),
        "sentences that stand in train, %": _percent(
            sentence in sentences for row in held_out for sentence in long_sentences(row.body, row.language)
        ),
        "bodies that share half their 8-grams with train": len(shared),
    }


def long_sentences(body: str, language: str) -> list[str]:
    """Return the sentences of more than three words, as words only."""
    sentences = (tokenize_words(sentence) for sentence in split_sentences(body, language))
    return [" ".join(words) for words in sentences if len(words) > 3]


def books(texts: list[dict]) -> list[Book]:
    """Return the books among the texts, cleaned as stage 1 does, each body once."""
    seen, kept = set(), []
    for text in texts:
        body, title = clean_text(text["body"]), clean_text(text["title"])
        if text["category"] in BOOKS and body and title and normalized_body(body) not in seen:
            seen.add(normalized_body(body))
            kept.append(Book(text["id"].partition("_")[0], body, title, text["stars"]))
    return kept


def _phrases(body: str, language: str) -> set[str]:
    """Return the pairs of neighbouring words without stop words and words of judgement: what a noun phrase looks like here."""
    words = tokenize_words(body)
    stop = {*STOP_WORDS[language], *JUDGEMENT[language]}
    return {f"{one} {two}" for one, two in pairwise(words) if one not in stop and two not in stop}


def _percent(values) -> float:
    values = list(values)
    return 100 * sum(values) / len(values)


def main() -> None:
    """Print the measures of both languages beside their bounds."""
    table = {language: measures(load_texts(language), language) for language in LANGUAGES}
    print(f"{'':58} {'en':>7} {'es':>7}   bounds")
    for name, (low, high) in BOUNDS.items():
        print(f"{name:58} {table['en'][name]:7.1f} {table['es'][name]:7.1f}   {low} to {high}")


if __name__ == "__main__":
    main()
