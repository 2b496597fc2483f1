"""The column layouts of review corpora that readers bring, as a table: what becomes of each column, and what the licence allows.

A new layout is one more entry in `LAYOUTS`, and a row in docs/setup.md and docs/setup.es.md.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from resumen.errors import CourseError

COLUMNS = (
    "review_id",
    "product_id",
    "reviewer_id",
    "stars",
    "review_body",
    "review_title",
    "language",
    "product_category",
)
"""The columns of the reference corpus (Keung et al., 2020, https://aclanthology.org/2020.emnlp-main.369)."""

SCHEMA = pa.schema([(name, pa.int32() if name == "stars" else pa.string()) for name in COLUMNS])

KEPT_CATEGORY = "book"
"""A category that the lectures keep. Rows of a layout without categories of that kind count as this one."""

Columns = dict[str, list]
"""A file: the values of each column, in the order of the rows."""


@dataclass(frozen=True)
class Layout:
    """One layout. A file has it if it holds the columns in `known_by`, by default every column that is named here.

    Attributes:
        name: what the corpus is called.
        columns: the course's column, and the column that holds it there. A course's column that is not named is filled in: ids with
            numbers, the language with that of the file, the category with `KEPT_CATEGORY`, others with nothing.
        licence: one sentence on what may be done with the corpus, shown when it is read; "" where the reader must know it.
        known_by: columns, where not every column that is named here is in the file.
        split: the column that says which split a row belongs to; "" if there is none.
        licences: the column with the licence of each row; "" if there is none.
        one_star: the number that means one star.
        places: the layout is the course's own, so the corpus is known by one of these words in the name of its file, folder or data set.
        unpack: makes the named columns, where the file has them in another shape. It gets the file, the language and the file's name.
    """

    name: str
    columns: Mapping[str, str]
    licence: str = ""
    known_by: Collection[str] = ()
    split: str = ""
    licences: str = ""
    one_star: int = 1
    places: Collection[str] = ()
    unpack: Callable[[Columns, str, str], Columns] | None = field(default=None, repr=False)

    def needs(self) -> set[str]:
        """Return the columns by which the layout is known."""
        return set(self.known_by) or {*self.columns.values(), self.split, self.licences} - {""}


def layout_of(names: Collection[str], where: str) -> Layout | None:
    """Return the layout of a file by the names of its columns, None if it has none that is known."""
    for layout in LAYOUTS:
        if layout.needs() <= set(names) and (not layout.places or any(word in where for word in layout.places)):
            return layout
    return None


def _title_above_body(columns: Columns, language: str, where: str) -> Columns:
    """Part texts that hold the title, a blank line, and the body. A text without a blank line has no title."""
    parts = [text.partition("\n\n") if isinstance(text, str) else ("", "", text) for text in columns["text"]]
    if 2 * sum(bool(gap) for _, gap, _ in parts) < len(parts):
        raise CourseError(
            f"{where} has texts without titles, as the copies of the Amazon reviews by SetFit, and the title is what the model learns to "
            "write: take a copy that kept the titles."
        )
    return columns | {
        "text": [body if gap else text for (_, gap, body), text in zip(parts, columns["text"], strict=True)],
        "title in text": [title if gap else None for title, gap, _ in parts],
    }


def _one_of_the_languages(columns: Columns, language: str, where: str) -> Columns:
    """Take the texts in one language out of reviews that hold {language: text}. Old and deleted revisions have no language left."""
    nothing = [None] * len(columns["title"])
    gone = zip(columns.get("_revDeleted", nothing), columns.get("_oldRevOf", nothing), strict=True)
    texts = {
        name: [text.get(language) if isinstance(text, dict) else text for text in columns[name]]
        for name in ("title", "text")
    }
    here = [
        language if title and text and not any(marks) else None
        for title, text, marks in zip(texts["title"], texts["text"], gone, strict=True)
    ]
    return columns | texts | {"language of the text": here}


_SAME = {name: name for name in COLUMNS}

_AMAZON = (
    "Amazon licensed these reviews for academic research only and withdrew them in 2023, so publish no row of them, and use them for "
    "nothing commercial"
)

LAYOUTS = (
    Layout(name="multilingual Amazon reviews", columns=_SAME, licence=_AMAZON, places=("amazon_reviews_multi",)),
    Layout(name="the course's own columns", columns=_SAME),
    Layout(
        name="multilingual Amazon reviews as the MTEB benchmark has them",
        columns={"review_id": "id", "stars": "label", "review_body": "text", "review_title": "title in text"},
        known_by=("id", "text", "label", "label_text"),
        one_star=0,
        licence=_AMAZON,
        unpack=_title_above_body,
    ),
    Layout(
        name="Muchocine, Spanish film reviews with summaries",
        columns={"stars": "star_rating", "review_body": "review_body", "review_title": "review_summary"},
        licence="Muchocine is under CC BY 2.1, so name Muchocine and its makers (Cruz et al., 2008) with what you publish",
    ),
    Layout(
        name="the reviews table of a lib.reviews dump",
        columns={
            "review_id": "id",
            "product_id": "thingID",
            "reviewer_id": "createdBy",
            "stars": "starRating",
            "review_body": "text",
            "review_title": "title",
            "language": "language of the text",
        },
        known_by=("id", "thingID", "createdBy", "starRating", "text", "title", "originalLanguage"),
        licence="the texts of lib.reviews are under CC BY-SA 4.0, so name their writers, and publish what you make of them under the same licence",
        unpack=_one_of_the_languages,
    ),
    Layout(
        name="the capstone's data contract",
        columns={
            "review_id": "id",
            "product_id": "group",
            "review_body": "source",
            "review_title": "reference",
            "language": "language",
        },
        split="split",
        licences="licence",
        licence="each row has its own licence in the column licence, so keep to all of them",
    ),
    Layout(
        name="Debian package descriptions",
        columns={
            "review_id": "package",
            "product_id": "source",
            "review_body": "long_description",
            "review_title": "synopsis",
            "language": "language",
        },
        known_by=("package", "source", "section", "language", "long_description", "synopsis"),
        licence="each description is under the free licence of its package, so name the Debian package maintainers and the Debian Description Translation Project with what you publish",
    ),
)
