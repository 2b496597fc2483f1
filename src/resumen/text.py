"""Words and sentences, right in English and in Spanish. Stage 3 builds both by hand."""

import re
import unicodedata
from functools import cache

from nltk.tokenize.punkt import PunktLanguageVars, PunktParameters, PunktSentenceTokenizer, PunktToken

ABBREVIATIONS = {
    "en": """
        capt. cf. ch. chap. dr. e.g. eds. gen. gov. i.e. lt. messrs. mr. mr./mrs. mrs. ms. mt. p. pp. pres. prof. pvt.
        rev. sen. sgt. st. u.k. u.n. u.s. u.s.a. vol. vols. vs.
    """,
    "es": """
        a. art. arts. atte. av. avda. bs. cap. caps. cf. cía. coord. d. dir. doc. dr. dra. dras. dres. dña. dª. ed.
        edit. ee. ee.uu. ej. excma. excmo. fdo. fig. figs. fr. gral. hnos. ilma. ilmo. ilustr. impr. ing. lda. ldo. lic.
        mons. núm. núms. p. p.d. p.ej. prof. profa. pról. pág. págs. párr. ref. rte. s. sr. sr./sra. sra. sras. sres.
        srta. srtas. sta. sto. tfno. trad. u.s. uu. v. vol. vols. vs.
    """,
}
"""Abbreviations per language. One of these never ends a sentence, so none of them is a word that often does."""

MAY_END = """
    approx aprox apt as ave blvd cm cms co col corp dept depto dpto ed esp est etc fig figs ft gr grs hr hrs inc izq jr
    kg kgs km lb lbs ltd mm máx min misc mín oz ph.d pt ptas pts sec seg sr tel ud uds univ vd vds yr yrs
    jan feb aug sept oct nov dec
"""
"""Abbreviations of both languages that end a sentence, as an ellipsis does, only before a capital letter, ¿ or ¡."""

_WORD = re.compile(r"\w+")
_OPENING = " \u00a0«\"'“‘([{—–-"
_CLOSING = r"[»\"'”’)\]}]"
_ELLIPSIS = r"(?:…|\.\.)[.…]*"
_SMILEY = re.compile(r"(?:\s*(?:[\u2600-\u27bf\u2b50\ufe0f\u200d\U0001f000-\U0001faff]|[:;]-?[()DP]))+(?!\S)")

# Ends that Punkt passes over: an ellipsis, a smiley after a mark, a number before a small letter, a letter (`size M.`).
_MORE_ENDS = re.compile(
    rf"(?:(?<=[^\s(\[]){_ELLIPSIS}{_CLOSING}*|{_ELLIPSIS})(?:{_SMILEY.pattern})?"
    rf"|[.?!]{_CLOSING}*{_SMILEY.pattern}|\d\.(?=\s)"
    r"|\b(?i:clase|grade|grado|parte?|plan|size|talla|tipo|type|vitamina?) \w\.(?=\s)"
)
# No word so far, or the number of a list item.
_NOT_YET = re.compile(r"\W*(?:\d\d?\.)?")
# An ellipsis, single letters (`a. m.`) or an abbreviation of MAY_END.
_MAYBE = re.compile(
    rf"(?:…|\.\.){_CLOSING}*(?:{_SMILEY.pattern})?$"
    rf"|(?<![\w'’])(?:(?:[^\W\d_]\. ?)+|(?:{'|'.join(map(re.escape, MAY_END.split()))})\.)$",
    re.IGNORECASE,
)
# The end of a quotation, or of a question that may have begun half-way.
_ASIDE = re.compile(rf"(?:[.?!]{_CLOSING}+|[¿¡][^¿¡]*[?!])$")


def tokenize_words(text: str) -> list[str]:
    """Return the words of a text: Unicode NFC, case folded, runs of Unicode word characters.

    Accents are kept, so `año` and `ano` are different words, as they are to a Spanish reader.
    """
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def split_sentences(text: str, language: str) -> list[str]:
    """Return the sentences of a text without line breaks, verbatim, in order, none of them empty.

    NLTK's Punkt finds the sentence ends, untrained but told the language's abbreviations. An ellipsis (or one of
    `MAY_END`) ends a sentence only before a capital letter, ¿ or ¡.

    Raises:
        ValueError: if the language is neither `en` nor `es`.
    """
    ends = {end for _, end in _punkt(language).span_tokenize(text)}
    ends |= {match.end() for match in _MORE_ENDS.finditer(text)}
    last_word = max((match.start() for match in _WORD.finditer(text)), default=0)
    sentences, start = [], 0
    for end in sorted(ends):
        if end <= last_word and not _goes_on(text[start:end].strip(), text[end:]):
            sentences.append(text[start:end].strip())
            start = end
    rest = text[start:].strip()
    return [*sentences, rest] if rest else sentences


def _goes_on(sentence: str, rest: str) -> bool:
    """Say whether a sentence that might end here goes on in the rest of the text, which holds a word."""
    if _NOT_YET.fullmatch(sentence) or _SMILEY.match(rest):
        return True
    first = rest.lstrip(_OPENING)[:1]
    if _MAYBE.search(unicodedata.normalize("NFC", sentence)):
        return not (first.isupper() or first in "¿¡")
    if not rest[0].isspace():
        return True
    aside = _ASIDE.search(sentence)
    half_way = aside and _WORD.search(sentence, 0, aside.start())
    return first.islower() and (rest.lstrip()[0] in "—–" or bool(half_way))


class _Marks(PunktLanguageVars):
    """Punkt's marks, put right: `¿Sr. Gil?` holds the word `Sr.`, and in `(Mr. Gil.)` nothing ends at `Mr.`."""

    _re_word_start = PunktLanguageVars._re_word_start.replace("[^", "[^¿¡«»“”‘—–…", 1)
    _period_context_fmt = PunktLanguageVars._period_context_fmt.replace(r"<next_tok>\S+", r"<next_tok>[^\s.?!]+|\S")


class _Token(PunktToken):
    """Punkt's word; only capitals are initials (`J.`, `J.K.`): not the metre of `2 m.`, nor the pronoun `I.`."""

    @property
    def is_initial(self) -> bool:
        return self.tok != "I." and self.tok.isupper() and re.fullmatch(r"(?:[^\W\d_]\.)+", self.tok) is not None


@cache
def _punkt(language: str) -> PunktSentenceTokenizer:
    if language not in ABBREVIATIONS:
        known = " and ".join(map(repr, ABBREVIATIONS))
        raise ValueError(f"language is {language!r}, but sentences can be split in {known} only.")
    parameters = PunktParameters()
    for form in ("NFC", "NFD"):
        listed = unicodedata.normalize(form, ABBREVIATIONS[language]).split()
        parameters.abbrev_types |= {abbreviation.removesuffix(".") for abbreviation in listed}
    if language == "en":
        parameters.collocations = {("no", "##number##")}  # "No. 5"
    return PunktSentenceTokenizer(parameters, lang_vars=_Marks(), token_cls=_Token)
