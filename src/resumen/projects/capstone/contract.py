"""The capstone's data contract: what a corpus must be before anything is trained on it, and the validator that says so."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from resumen.corpus import SPLITS, normalized_body
from resumen.errors import CourseError
from resumen.files import read_parquet, read_rows
from resumen.profiles import DATA
from resumen.text import STOP_WORDS, count_stop_words

COLUMNS = ("id", "group", "language", "source", "reference", "split", "licence")
"""Columns of a corpus, all of them text. Others are allowed and left alone."""

MINIMUM_ROWS = {"train": 300, "validation": 50, "test": 100}
"""Rows that each language needs in each split."""

EMBEDDED_HELP = DATA / "help" / "help.parquet"
EMBEDDED_NEWS = DATA / "news" / "news.parquet"
"""The corpus of the capstone's exemplar; its data card lies beside it."""

OK, LOOK, REFUSED = "ok", "look", "refused"

LANGUAGE_CODES = set(
    """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es
    et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki
    kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no
    nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te
    tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
    """.split()
)
"""ISO 639-1."""

_TAG = re.compile(r"</?[A-Za-z][^<>]*>|&(?:[A-Za-z]{2,8}|#\d+|#x[0-9A-Fa-f]+);")
_E_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+\.\w[\w.-]*")
# Nine digits at least, in groups: fewer are a date, an amount or a range of pages.
_PHONE = re.compile(
    r"(?<![\w.,])(?=(?:[ ().-]*\+?\d){9,15}(?!\d))(?:\+\d{1,3}[ .-]?)?(?:\(?\d{2,4}\)?[ .-]?){2,4}\d{2,4}(?![\w,]|\.\d)"
)
_NO_LICENCE = {"unknown", "none", "n/a", "na", "?", "-", "todo", "tbd"}


@dataclass(frozen=True)
class Check:
    """A line of the validator: `state` is "ok", "look" (read these rows and decide) or "refused"."""

    name: str
    state: str
    what: str = ""
    remedy: str = ""


def read_corpus(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Return the rows of one or more .jsonl or .parquet files, in order, all of their columns.

    Raises:
        CourseError: if a file is missing, is not what its name says, or lacks a column.
    """
    frames = []
    for path in map(Path, paths):
        if path.suffix not in (".jsonl", ".parquet"):
            raise CourseError(f"{path} is neither .jsonl nor .parquet: save your corpus as one of them.")
        if not path.is_file():
            raise CourseError(f"{path} not found: name your corpus, such as capstone/capstone/my-folder/corpus.jsonl.")
        # Ours and not pandas' reader of JSON: that one turns the id "007" into 7, and columns in place of rows into one row.
        if path.suffix == ".jsonl":
            frame = pd.DataFrame(read_rows(path))
        else:
            frame = read_parquet(path).to_pandas(ignore_metadata=True)
        kinds = {name: object for name, kind in frame.dtypes.items() if isinstance(kind, pd.CategoricalDtype)}
        frame = frame.astype(kinds)
        missing = [name for name in COLUMNS if name not in frame.columns]
        if missing:
            found = ", ".join(map(str, frame.columns)) or "none"
            raise CourseError(f"{path} lacks the columns {', '.join(missing)}; it has {found}: rename or add them.")
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def check_corpus(corpus: pd.DataFrame, card: str) -> list[Check]:
    """Return one line per rule of the contract, "ok" lines too, in the order of `data_contract.md`.

    Args:
        corpus: at least the columns `COLUMNS`; see `read_corpus`.
        card: the text of the data card.
    """
    types = _types(corpus)
    if types.state == REFUSED:
        return [types]  # the other rules read text
    return [types, *(rule(corpus) for rule in _RULES), _card(card)]


def _types(corpus: pd.DataFrame) -> Check:
    is_text = corpus[list(COLUMNS)].map(lambda value: isinstance(value, str))
    bad = [
        f"{name} ({', '.join(map(str, corpus.index[~is_text[name]][:3]))})" for name in COLUMNS if ~is_text[name].all()
    ]
    what = f"not text, by column (first rows, from 0): {'; '.join(bad)}" if bad else ""
    return _line("types", REFUSED, what, "write every value as text, and leave none out")


def _empty(corpus: pd.DataFrame) -> Check:
    blank = corpus[list(COLUMNS)].map(lambda value: not value.strip()).any(axis=1)
    return _rows("empty", REFUSED, corpus[blank], "a blank value", "fill it, or drop the row")


def _ids(corpus: pd.DataFrame) -> Check:
    return _rows("ids", REFUSED, corpus[corpus["id"].duplicated()], "an id seen before", "give each row its own id")


def _splits(corpus: pd.DataFrame) -> Check:
    wrong = corpus[~corpus["split"].isin(SPLITS)]
    return _rows("splits", REFUSED, wrong, "another split", f"the splits are {', '.join(SPLITS)}")


def _codes(corpus: pd.DataFrame) -> Check:
    wrong = corpus[~corpus["language"].isin(LANGUAGE_CODES)]
    return _rows("language codes", REFUSED, wrong, "no ISO 639-1 code", "write two small letters, such as es")


def _enough(corpus: pd.DataFrame) -> Check:
    counts = corpus.groupby(["language", "split"]).size()
    languages = sorted(corpus["language"].unique())
    few = [
        f"{language} {split} {counts.get((language, split), 0)} of {minimum}"
        for language in languages
        for split, minimum in MINIMUM_ROWS.items()
        if counts.get((language, split), 0) < minimum
    ]
    few += [f"one language ({', '.join(languages)})"] if len(languages) < 2 else []
    return _line("enough rows", REFUSED, ", ".join(few), "collect more, or ask your instructor before you go on")


def _nfc(corpus: pd.DataFrame) -> Check:
    other = corpus[["source", "reference"]].map(lambda text: not unicodedata.is_normalized("NFC", text)).any(axis=1)
    return _rows("NFC", REFUSED, corpus[other], "not in Unicode NFC", 'apply unicodedata.normalize("NFC", text)')


def _duplicates(corpus: pd.DataFrame) -> Check:
    keys = corpus["language"] + "\t" + corpus["source"].map(normalized_body)
    again = corpus[keys.duplicated()]
    return _rows("duplicates", REFUSED, again, "a source seen before in its language", "keep the first of them")


def _leaks(corpus: pd.DataFrame) -> Check:
    leaking = leaking_groups(corpus)
    again = corpus[corpus["group"].isin(leaking)]
    remedy = "put all rows of a group into one split"
    return _rows("leakage", REFUSED, again, f"a group that lies in two splits ({len(leaking)} such groups)", remedy)


def leaking_groups(corpus: pd.DataFrame) -> list[str]:
    """Return the groups that have rows in more than one split, sorted."""
    splits = corpus.groupby("group")["split"].nunique()
    return sorted(splits.index[splits > 1])


def _licences(corpus: pd.DataFrame) -> Check:
    unknown = corpus[corpus["licence"].str.strip().str.lower().isin(_NO_LICENCE)]
    return _rows("licence", REFUSED, unknown, "no licence", "name it, or leave the row out: unlicensed text stays home")


def _languages(corpus: pd.DataFrame) -> Check:
    suspects = [other_language(text, tag) for text, tag in zip(corpus["source"], corpus["language"], strict=True)]
    unchecked = sorted(set(corpus["language"]) - set(STOP_WORDS))
    remedy = "read them" + (
        f"; there is no word list for {', '.join(unchecked)}, so read a sample" if unchecked else ""
    )
    return _rows("wrong language", LOOK, corpus[suspects], "words of another language", remedy)


def other_language(text: str, language: str) -> bool:
    """Say whether the stop words of a text speak for another language than the one named: three at least, and twice as many.

    It is a cheap test: quotations and names set it off, short texts pass it. False for a language without a word list.
    """
    if language not in STOP_WORDS:
        return False
    hits = count_stop_words(text)
    return max(hits.values()) >= max(3, 2 * hits[language] + 1)


def _html(corpus: pd.DataFrame) -> Check:
    left = _has(corpus, _TAG)
    return _rows(
        "HTML", LOOK, left, "a tag or an entity", "apply resumen.corpus.clean_text, unless it is text about HTML"
    )


def _personal(corpus: pd.DataFrame) -> Check:
    found = pd.concat([_has(corpus, _E_MAIL), _has(corpus, _PHONE)]).drop_duplicates("id")
    remedy = "remove or replace what points to a person; what is no such thing may stay"
    return _rows("personal data", LOOK, found, "an e-mail address or a phone number", remedy)


def _has(corpus: pd.DataFrame, pattern: re.Pattern) -> pd.DataFrame:
    return corpus[corpus[["source", "reference"]].map(lambda text: bool(pattern.search(text))).any(axis=1)]


def _card(card: str) -> Check:
    """Ask for the two things that nobody can reconstruct later. Twenty words are about two sentences."""
    sections = re.split(r"^#+ *(.+)$", card, flags=re.MULTILINE)[1:]
    words: dict[str, int] = {}
    for heading, text in zip(sections[::2], sections[1::2], strict=True):
        for name, pattern in {"origin": r"origin|source|procedencia", "licence": r"licen[cs]e|licencia"}.items():
            if re.search(pattern, heading, flags=re.IGNORECASE):
                words[name] = words.get(name, 0) + len(text.split())
    least = {"origin": 20, "licence": 5}
    missing = [
        f"{name} ({words.get(name, 0)} of {count} words)" for name, count in least.items() if words.get(name, 0) < count
    ]
    what = f"the data card says too little about: {', '.join(missing)}" if missing else ""
    return _line(
        "data card", REFUSED, what, "add a heading for each, and say who wrote the texts and what may be done with them"
    )


_RULES: tuple[Callable[[pd.DataFrame], Check], ...] = (
    _empty,
    _ids,
    _splits,
    _codes,
    _enough,
    _nfc,
    _duplicates,
    _leaks,
    _licences,
    _languages,
    _html,
    _personal,
)


def _rows(name: str, state: str, rows: pd.DataFrame, what: str, remedy: str) -> Check:
    """Return the line of a rule that speaks of rows: how many break it, and the first three by their id."""
    if not len(rows):
        return Check(name, OK)
    shown = ", ".join(rows["id"].astype(str)[:3]) + (" …" if len(rows) > 3 else "")
    return Check(name, state, f"{len(rows)} row{'s' * (len(rows) > 1)} with {what}: {shown}", remedy)


def _line(name: str, state: str, what: str, remedy: str) -> Check:
    return Check(name, state, what, remedy) if what else Check(name, OK)
