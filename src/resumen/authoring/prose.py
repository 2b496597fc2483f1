"""Openly licensed prose in English and Spanish for the pretraining of the checkpoint: help pages, a handbook, package descriptions.

Only paragraphs are read, never a heading, a title, a one-line description or a synopsis: the model must not have seen what a
capstone or the premier project asks it to write. The pages come from the Debian packages in `PACKAGES`, installed or unpacked:

    apt-get download $(python -m resumen.authoring.prose)      # as root; then, for each file: dpkg -x FILE var/prose
"""

import html
import random
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from resumen.corpus import LANGUAGES, load_synopses, normalized_body
from resumen.text import split_sentences, tokenize_words

PACKAGES = {
    "libreoffice-help-en-us": "MPL-2.0",
    "libreoffice-help-es": "MPL-2.0",
    "gnome-user-docs": "CC-BY-SA-3.0",
    "debian-handbook": "GPL-2+ or CC-BY-SA-3.0",
}
"""The packages of Debian 12 (bookworm) whose pages are read, and their licences (`/usr/share/doc/*/copyright`)."""

FOLDERS = {
    "libreoffice/help": {"en": "en-US", "es": "es"},
    "help": {"en": "C", "es": "es"},
    "doc/debian-handbook/html": {"en": "en-US", "es": "es-ES"},
}
"""Where the pages lie under `usr/share`, and what they call the two languages."""

COMMON_WORDS = {
    "en": set(
        "the of and to in is that it for as with on be this are or by an from at can you will not have which your if has was all more when use used using".split()
    ),
    "es": set(
        "de la que el en y los se del las un por con no una su para es al lo como más pero sus le o este si porque esta entre cuando muy sin sobre también puede desde todos cada está son ser".split()
    ),
}
"""The commonest words of each language: untranslated paragraphs, a tenth to a third of the Spanish pages, give themselves away."""

SHORTEST, LONGEST = 12, 55
"""Words of a passage: about what a review has."""


def in_language(text: str, language: str) -> bool:
    """Say whether an eighth of the words are common ones of the language, and four times as many as are common in the other."""
    words = tokenize_words(text)
    own, other = (
        sum(word in COMMON_WORDS[name] for word in words)
        for name in sorted(LANGUAGES, key=lambda name: name != language)
    )
    return len(words) >= 6 and own >= len(words) / 8 and own >= 4 * other


def office_pages(language: str, root: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (path, heading, paragraphs) of each help page of LibreOffice, in the order of the paths.

    Raises:
        FileNotFoundError: if a package is missing under `root`.
    """
    folder = _folders(language, root)[0] / "text"
    for path in sorted(folder.rglob("*.html")):
        page = path.read_text(encoding="utf-8").partition('id="DisplayArea"')[2].partition('id="DonationFrame"')[0]
        heading = re.search(r"<h1 [^>]*>(.*?)</h1>", page, re.DOTALL)
        paragraphs = re.findall(r'<p [^>]*class="paragraph"[^>]*>(.*?)</p>', page, re.DOTALL)
        yield path.relative_to(folder).as_posix(), _plain(heading[1]) if heading else "", list(map(_plain, paragraphs))


def help_pages(language: str, root: Path) -> Iterator[list[str]]:
    """Yield the paragraphs of each page of `PACKAGES`, in the order of the file names.

    Raises:
        FileNotFoundError: if a package is missing under `root`.
    """
    _, gnome, handbook = _folders(language, root)
    for _, _, paragraphs in office_pages(language, root):
        yield paragraphs
    for path in sorted(gnome.rglob("*.page")):
        found = ElementTree.parse(path).iter("{http://projectmallard.org/1.0/}p")
        yield [" ".join("".join(paragraph.itertext()).split()) for paragraph in found]
    for path in sorted(handbook.glob("*.html")):
        page = path.read_text(encoding="utf-8")
        yield [_plain(part) for part in re.findall(r'<div class="para">\s*(.*?)</div>', page, re.DOTALL)]


def _folders(language: str, root: Path) -> list[Path]:
    folders = [root / "usr/share" / folder / names[language] for folder, names in FOLDERS.items()]
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"There is no {folder}: install or unpack the packages {', '.join(PACKAGES)}.")
    return folders


def _plain(markup: str) -> str:
    """Return the text of a piece of HTML. Tags leave a space behind, which goes again before a mark."""
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())
    return re.sub(r"(?<=\() | (?=[,.;:)])", "", text)


def shared_sources() -> set[str]:
    """Return the source packages that the premier project is about: those described in both languages."""
    english, spanish = (
        {source for part in load_synopses(language).values() for source in part["product_id"][:]}
        for language in LANGUAGES
    )
    return english & spanish


def descriptions(language: str) -> Iterator[list[str]]:
    """Yield the paragraphs of the train descriptions of `load_synopses`, but for every source of the premier project.

    The project splits its sources anew, so none of them is read, whatever their split.
    """
    premier = shared_sources()
    train = load_synopses(language)["train"]
    for source, body in zip(train["product_id"][:], train["review_body"][:], strict=True):
        if source not in premier:
            yield [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", body)]


def passages(paragraphs: list[str], language: str, rng: random.Random) -> Iterator[str]:
    """Yield runs of whole sentences, `SHORTEST` to `LONGEST` words each, of lengths that `rng` draws."""
    run: list[str] = []
    words, enough = 0, rng.randint(SHORTEST, LONGEST)
    sentences = [sentence for paragraph in paragraphs for sentence in split_sentences(paragraph, language)]
    for sentence in [*sentences, None]:
        more = len(sentence.split()) if sentence else LONGEST
        if words and (words >= enough or words + more > LONGEST):
            if words >= SHORTEST:
                yield " ".join(run)
            run, words, enough = [], 0, rng.randint(SHORTEST, LONGEST)
        if more <= LONGEST and sentence:
            run.append(sentence)
            words += more


def prose(language: str, root: Path) -> list[str]:
    """Return the passages of all pages and descriptions of a language. A paragraph that occurs again is read once."""
    rng = random.Random(f"prose-{language}")
    seen: set[str] = set()
    found = []
    for pages in (help_pages(language, root), descriptions(language)):
        for paragraphs in pages:
            fresh = []
            for paragraph in paragraphs:
                key = normalized_body(paragraph)
                if key not in seen and in_language(paragraph, language):
                    seen.add(key)
                    fresh.append(paragraph)
            found += passages(fresh, language, rng)
    return found


if __name__ == "__main__":
    print(" ".join(PACKAGES))
