"""Build the capstone's real corpus: help pages of LibreOffice in English and Spanish, each with its heading.

    python -m resumen.authoring.help --prose var/prose          # the folder with the unpacked packages: see `prose`

A page is there in both languages, and both lie in one split. No page shares half of its 8-grams with another one.
"""

import argparse
import hashlib
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resumen.authoring.prose import in_language, office_pages
from resumen.corpus import LANGUAGES, SPLITS, has_min_words
from resumen.projects.capstone.contract import COLUMNS, EMBEDDED_HELP
from resumen.text import ngrams

LICENCE = "MPL-2.0"

SHORTEST, LONGEST = 20, 150
"""Words of a source: the first paragraphs of a page, as many as fit."""

LONGEST_HEADING = 12
"""Words of a reference, which has three at least."""


def opening(paragraphs: list[str], language: str) -> str:
    """Return the first paragraphs of a page that fit; "" if one of them is in another language, or they are too short."""
    found: list[str] = []
    for paragraph in paragraphs:
        if not in_language(paragraph, language):
            if len(paragraph.split()) >= 6:
                break
            continue  # "To change this folder:" has too few words to say which language it is in, and is of no use alone
        if len(" ".join([*found, paragraph]).split()) > LONGEST:
            break
        found.append(paragraph)
    text = " ".join(found)
    return text if len(text.split()) >= SHORTEST else ""


def rows(root: Path) -> list[dict]:
    """Return the corpus.

    Raises:
        FileNotFoundError: if a package is missing under `root`.
    """
    english, spanish = ({path: rest for path, *rest in office_pages(language, root)} for language in LANGUAGES)
    corpus, known = [], set()
    for path in sorted(set(english) & set(spanish)):
        pages = {"en": english[path], "es": spanish[path]}
        texts = {language: opening(paragraphs, language) for language, (_, paragraphs) in pages.items()}
        headings = {language: heading for language, (heading, _) in pages.items()}
        fits = (has_min_words(heading) and len(heading.split()) <= LONGEST_HEADING for heading in headings.values())
        grams = [set(ngrams(text, 8)) for text in texts.values()]
        if not all(texts.values()) or not all(fits) or len(set(headings.values())) == 1:
            continue  # one heading for both languages was never translated
        if any(2 * len(some & known) >= len(some) for some in grams):
            continue
        known.update(*grams)
        group = path.removesuffix(".html")
        for language in LANGUAGES:
            names = (f"{language}-{group}", group, language)
            cells = (*names, texts[language], headings[language], split_of(group), LICENCE)
            corpus.append(dict(zip(COLUMNS, cells, strict=True)))
    return corpus


def split_of(group: str) -> str:
    """Return the split of a page, by a digest of its path: 65 % train, 12 % validation, the rest test."""
    draw = hashlib.sha256(group.encode()).digest()[0] / 256
    return "train" if draw < 0.65 else "validation" if draw < 0.77 else "test"


def card(corpus: list[dict]) -> str:
    """Return the data card, with the counts of this corpus."""
    counts = Counter((row["language"], row["split"]) for row in corpus)
    sources = sorted(len(row["source"].split()) for row in corpus)
    headings = sorted(len(row["reference"].split()) for row in corpus)
    return CARD.format(
        rows="\n".join(
            f"| {language} | {' | '.join(str(counts[language, split]) for split in SPLITS)} |" for language in LANGUAGES
        ),
        splits=" | ".join(SPLITS),
        groups=len({row["group"] for row in corpus}),
        source=sources[len(sources) // 2],
        longest=sources[-1],
        heading=headings[len(headings) // 2],
    )


CARD = """# Help pages, English and Spanish

Real text for a capstone: pages of the help of LibreOffice 7.4 and their headings, in both languages. A student alone at home can start from it.
This card and `help.parquet` are made by `python -m resumen.authoring.help`. Do not edit them.

## Origin

The Debian 12 packages `libreoffice-help-en-us` and `libreoffice-help-es`. The source is the opening of a page: its first paragraphs, up to 150 words, without headings, lists and tables. The reference is the page's heading.
A page is here if both languages have it, its paragraphs are translated, its heading has three to twelve words, and it shares less than half of its 8-grams with every page before it: {groups} of 2,560.

## Licence

Mozilla Public License 2.0, <https://mozilla.org/MPL/2.0/>. Copyright 2000, 2010 Oracle and/or its affiliates; copyright 2010 LibreOffice contributors and/or their affiliates. The pages' own source is
<https://git.libreoffice.org/help>. You may share and change the texts under the same licence.

## Columns

| column | holds |
|---|---|
| `id` | unique name of the row: language and path of the page |
| `group` | the path: the page in English and in Spanish. Rows of one group must not lie in two splits |
| `language` | `en` or `es` |
| `source` | the opening of the page |
| `reference` | its heading |
| `split` | `train`, `validation` or `test` |
| `licence` | the row's licence |

## Rows

| language | {splits} |
|---|---|---|---|
{rows}

A source has {source} words in the median (at most {longest}), a heading {heading}.

## Personal data

None.

## Limits

- One subject, one house style. The Spanish is a translation.
- Paragraphs that belonged to a list or a figure are there without it: "The following options are available:".
- Headings name the topic of a page. They are titles, not summaries of what it says.
"""


def write(folder: Path, root: Path) -> None:
    """Write the corpus and its card."""
    corpus = rows(root)
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    pq.write_table(pa.Table.from_pylist(corpus, schema), folder / "help.parquet", compression="zstd")
    (folder / "README.md").write_text(card(corpus), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--prose", type=Path, default=Path("/"), help="where the packages of resumen.authoring.prose are"
    )
    write(EMBEDDED_HELP.parent, parser.parse_args().prose)
