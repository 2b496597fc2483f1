"""Turn phrase-bank lines into sentences: `[a|b]` alternation, `{slot}` filling, agreement.

The banks are YAML files in `banks/<language>/`. Their grammar is described in `banks/README.md`.
"""

import random
import re
from functools import cache
from pathlib import Path

import yaml

BANKS = Path(__file__).parent / "banks"
CATEGORIES = (
    "book",
    "digital_ebook_purchase",
    "home",
    "kitchen",
    "wireless",
    "pc",
    "apparel",
    "shoes",
    "toy",
    "beauty",
    "sports",
    "pet_products",
)
_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
# Words written with a vowel but pronounced with a consonant: "a USB hub", "a unisex shirt".
_CONSONANT_SOUND = re.compile(r"(?:u(?:ni|sb|ti|ku)|eu|one)", re.IGNORECASE)


@cache
def load_bank(language: str, name: str) -> dict:
    """Return one bank as plain YAML data; e-books borrow every aspect that book reviews have."""
    bank = yaml.safe_load((BANKS / language / f"{name}.yaml").read_text(encoding="utf-8"))
    if name == "digital_ebook_purchase":
        shared = {
            slug: aspect
            for slug, aspect in load_bank(language, "book")["aspects"].items()
            if slug not in ("edition", "illustrations", "age_fit")
        }
        bank["aspects"] = bank["aspects"] | shared
    return bank


def item_slots(language: str, item: dict) -> dict[str, str]:
    """Return the slots that name the product, with article and agreement."""
    noun = item["noun"]
    if language == "en":
        vowel = noun[0].lower() in "aeiou" and not _CONSONANT_SOUND.match(noun)
        return {"item": noun, "an_item": f"{'an' if vowel else 'a'} {noun}"}
    feminine = item["gender"] == "f"
    the = f"la {noun}" if feminine else f"el {noun}"
    return {
        "item": noun,
        "un_item": f"{'una' if feminine else 'un'} {noun}",
        "el_item": the,
        "este_item": f"{'esta' if feminine else 'este'} {noun}",
        "del_item": f"de {the}" if feminine else f"del {noun}",
        "al_item": f"a {the}" if feminine else f"al {noun}",
        "o": "a" if feminine else "o",
        "lo": "la" if feminine else "lo",
    }


def expand(line: str, slots: dict[str, str | list[str]], rng: random.Random) -> str:
    """Return one reading of a bank line: one option per alternation, a value per slot.

    A slot whose value is a list is drawn anew at each use. The first letter is capitalised.
    """
    while "[" in line:
        line = _INNERMOST.sub(lambda match: rng.choice(match[1].split("|")), line)

    def fill(match: re.Match) -> str:
        value = slots[match[1]]
        return rng.choice(value) if isinstance(value, list) else value

    line = re.sub(r"\{(\w+)\}", fill, line)
    line = re.sub(r"\s+([,.;:!?…])", r"\1", re.sub(r"\s+", " ", line)).strip()
    return capitalise(line)


def capitalise(text: str) -> str:
    """Upper-case the first letter, past any opening ¿ ¡ « or quote."""
    return re.sub(r"^([¿¡«'(]*)(\w)", lambda match: match[1] + match[2].upper(), text)


def uncapitalise(text: str, names: list[str]) -> str:
    """Lower-case the first letter unless the first word is "I", a name or an acronym."""
    first = re.match(r"\w+", text)
    if not first or first[0] == "I" or first[0] in names or first[0][1:2].isupper():
        return text
    return text[0].lower() + text[1:]
