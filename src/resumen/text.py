"""Words and sentences, right in English and in Spanish. Stage 3 builds both by hand."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
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

STOP_WORDS = {
    language: set(words.split())
    for language, words in {
        "ca": """
            a amb aquest aquesta això al als com de del dels el els els en era es està han ha hi i jo la les li lo més
            molt no o on pel per però perquè quan que què se ser són sense seu seva si sobre també tot un una va
        """,
        "de": """
            aber als am an auch auf aus bei bin das dass dem den der des die doch ein eine einem einen einer er es für
            hat ich im in ist ist ja kein mehr mit nach nicht noch nur oder sehr sich sie sind so über um und uns von
            vor war was wenn wie wird wurde zu zum zur
        """,
        "en": """
            a about all an and are as at be been but by can could did do does for from had has have he her
            his i if in is it its just me my no not of on one only or our out she so some than that the their
            them then there they this to too up very was we were what when which who will with would you
            your
        """,
        "es": """
            a al algo aunque como con cuando cual de del desde donde el ella ellos en entre era es esa
            ese eso esta este esto está están fue ha han has hasta hay he la las le les lo los más me mi mis mucho
            muy nada ni no nos o para pero poco por porque pues que qué se ser si sin sobre son su sus
            también te tiene tu un una uno unos y ya yo
        """,
        "fr": """
            à au aussi aux avec ce ces cette ceux comme dans de des du elle en est et été être eux fait il ils je la le
            les leur lui mais même moi mon ne nous on ou où par pas plus pour qu que qui sa sans se ses si son sont
            sur très tout un une vous y
        """,
        "it": """
            a ai al alla alle anche che chi ci come con cui da dal dalla dei del della delle di e è era gli ha hanno
            ho i il in io la le lo loro ma mi molto nel nella non o per però più quando quella quello questa questo se
            senza si sono su sua sul suo tra tutti un una uno
        """,
        "pt": """
            a à ao aos as até com como da das de do dos e é ela ele em entre era essa esse esta este está foi há isso
            já lhe mais mas me meu muito na não nas nem no nos o os ou para pela pelo por quando que quem são se sem
            ser seu sua são também tem um uma você
        """,
    }.items()
}
"""Common words of each language that `count_stop_words` knows."""

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


def count_stop_words(text: str) -> dict[str, int]:
    """Return how many words of a text are common words of each language in `STOP_WORDS`; one that two share counts for both.

    It is cheap evidence for the language of a text: quotations and names set it off, and short texts give little.
    """
    words = tokenize_words(text)
    return {language: sum(word in listed for word in words) for language, listed in STOP_WORDS.items()}


def ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    """Return the runs of `n` words of a text, by `tokenize_words`, in order."""
    words = tokenize_words(text)
    return list(zip(*(words[start:] for start in range(n)), strict=False))


GRAM = 8
"""Words in a row by which two texts are compared, as GPT-3's authors looked for their test sets (Brown et al., 2020, appendix C)."""


def near_duplicates(texts: Sequence[str], source: Sequence[str]) -> dict[int, Counter[int]]:
    """Return which of the texts have half of their different 8-grams or more in the source texts, taken together.

    A text of fewer than eight words is one n-gram; one without words is nobody's duplicate.

    Returns:
        for the position of each such text the positions of the source texts that hold an n-gram of it, and how many they hold.
    """
    wanted = [_runs(text) for text in texts]
    owners = defaultdict(list)
    for number, runs in enumerate(wanted):
        for run in runs:
            owners[run].append(number)
    held: set[tuple[str, ...]] = set()
    holders: list[Counter[int]] = [Counter() for _ in texts]
    for position, text in enumerate(source):
        shared = _runs(text) & owners.keys()
        held |= shared
        for run in shared:
            for number in owners[run]:
                holders[number][position] += 1
    return {number: holders[number] for number, runs in enumerate(wanted) if runs and 2 * len(runs & held) >= len(runs)}


def _runs(text: str) -> set[tuple[str, ...]]:
    return set(ngrams(text, GRAM)) or {tuple(tokenize_words(text))} - {()}


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
