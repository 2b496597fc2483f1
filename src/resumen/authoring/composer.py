"""Compose reviews in bulk from the phrase banks: text for pretraining, and rows for benchmarks of 100,000 and more.

Nobody reads them as a corpus: the embedded reviews are written one by one (`resumen.authoring.reviews`).
"""

import random
import re
from collections import deque

from resumen.authoring.phrases import CATEGORIES, expand, item_slots, load_bank, uncapitalise
from resumen.text import tokenize_words

SEED = 20260

CATEGORY_WEIGHTS = {"book": 0.28, "digital_ebook_purchase": 0.15}
"""Share of the two categories that the course keeps; the other categories share the rest equally."""

SHORT_TITLE_SHARE = {"en": 0.31, "es": 0.56}
"""Share of one- and two-word titles, the habit that stage 1 measures."""

BODY_LENGTH = {"en": (4.88, 0.82), "es": (4.72, 0.80)}
"""Mean and deviation of the logarithm of a body's target length in characters."""

ECHO_DRAWS = 3
"""Title lines drawn; the one that shares most words with the body is kept."""

LONGEST_BODY = 2_000

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


def compose(language: str, count: int, seed: int = SEED) -> list[dict]:
    """Return `count` rows of one language in the columns of the corpus, without defects. For benchmarks: no student reads them."""
    rng = random.Random(f"{language}-{seed}")
    composer = Composer(language, rng)
    products = _products(language, rng)
    weights = [
        CATEGORY_WEIGHTS.get(name, (1 - sum(CATEGORY_WEIGHTS.values())) / (len(CATEGORIES) - 2)) for name in CATEGORIES
    ]
    rows = []
    for number in range(count):
        stars = number % 5 + 1
        category = rng.choices(CATEGORIES, weights)[0]
        product_id, item = rng.choice(products[category])
        body, title = composer.review(category, item, stars)
        rows.append(
            {
                "review_id": f"{language}_{number:07d}",
                "product_id": product_id,
                "reviewer_id": f"reviewer_{language}_{rng.randrange(1_000_000):07d}",
                "stars": stars,
                "review_body": body,
                "review_title": title,
                "language": language,
                "product_category": category,
            }
        )
    return rows


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
