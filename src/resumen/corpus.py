"""Load the corpora, and the stage 1 toolbox that turns one into a corpus you can trust."""

import html
import os
import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa
from datasets import Dataset, DatasetDict, concatenate_datasets, load_dataset

from resumen.errors import CourseError, first_sentence
from resumen.profiles import DATA, current_profile

LANGUAGES = ("en", "es")
SPLITS = ("train", "validation", "test")
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
EMBEDDED_REVIEWS = DATA / "reviews"
EMBEDDED_SYNOPSES = DATA / "synopses" / "descriptions.parquet"
NO_ROW = ("BatchSize must be greater than 0", "corresponds to no data")
"""What datasets says of a file without rows, when it says anything."""

FORMATS = {".parquet": "parquet", ".jsonl": "json", ".jsonl.gz": "json", ".json": "json"}


def load_reviews(language: str, folder: str | Path | None = None) -> DatasetDict:
    """Return the review corpus of one language: splits train, validation and test, columns `COLUMNS`.

    Args:
        language: `en` or `es`.
        folder: your own corpus, files called `<language>_<split>` with the ending .parquet, .jsonl, .jsonl.gz or .json. By
            default the folder in `RESUMEN_DATA`, else the embedded corpus.

    Raises:
        CourseError: if the language is unknown, a file is missing, lacks a column or holds no row.
    """
    _check_language(language)
    folder = folder or os.environ.get("RESUMEN_DATA")
    if folder is None:
        profile = current_profile()
        if profile.needs_own_corpus:
            raise CourseError(
                f"The profile {profile.name!r} has no corpus of its own: set RESUMEN_DATA to the folder that holds yours (see README.md)."
            )
        folder = EMBEDDED_REVIEWS
    files = {split: _find_file(Path(folder), language, split) for split in SPLITS}
    return DatasetDict({split: _read(path) for split, path in files.items()})


def load_synopses(language: str) -> DatasetDict:
    """Return real text in the shape of the reviews: Debian package descriptions and their one-line synopses.

    The long description is the body and the synopsis the title. Packages of one source share most of their text, so the
    source package is the `product_id`, and a source lies in one split only (80 % train, 10 % validation, 10 % test). There
    are no stars and no reviewers: those columns hold None.

    Raises:
        CourseError: if the language is unknown.
    """
    _check_language(language)
    frame = load_dataset("parquet", data_files=str(EMBEDDED_SYNOPSES), split="train").to_pandas()
    frame = frame[frame["language"] == language]
    rows = pd.DataFrame(
        {
            "review_id": language + ":" + frame["package"],
            "product_id": frame["source"],
            "reviewer_id": None,
            "stars": None,
            "review_body": frame["long_description"],
            "review_title": frame["synopsis"],
            "language": frame["language"],
            "product_category": frame["section"],
        }
    )
    # A digest, unlike hash(), puts a source into the same split on every machine and in both languages.
    bucket = frame["source"].map(lambda source: _digest(source) % 10)
    split = bucket.map({8: "validation", 9: "test"}).fillna("train")
    return DatasetDict(
        {name: Dataset(pa.Table.from_pandas(rows[split == name], SCHEMA, preserve_index=False)) for name in SPLITS}
    )


def is_written(review_id: str) -> bool:
    """Say whether an embedded review was written by hand, as opposed to composed from the phrase banks."""
    return "_written_" in review_id


def clean_text(text: str | None) -> str:
    """Return the text as a reader would see it; None becomes "".

    In this order: HTML entities unescaped once; each tag (`<`, then a letter, `/` or `!`, up to `>`) replaced by a space;
    Unicode NFC; white space collapsed and trimmed. Case, ñ, accents, ¿ and ¡ are kept.
    """
    text = html.unescape(text or "")
    text = re.sub(r"<[A-Za-z/!][^>]*>", " ", text)
    return " ".join(unicodedata.normalize("NFC", text).split())


def drop_invalid(dataset: Dataset) -> Dataset:
    """Drop the rows whose body or title is None or blank after cleaning. The kept rows are unchanged, and in order."""
    return dataset.filter(
        lambda body, title: bool(clean_text(body)) and bool(clean_text(title)),
        input_columns=["review_body", "review_title"],
    )


def filter_categories(corpus: DatasetDict, categories: Collection[str]) -> DatasetDict:
    """Keep, in every split, the rows whose product category is one of `categories` exactly."""
    return corpus.filter(lambda category: category in categories, input_columns=["product_category"])


def has_min_words(title: str, min_words: int = 3) -> bool:
    """Say whether a title has at least `min_words` words: white-space tokens that hold a letter or a digit."""
    return sum(any(character.isalnum() for character in token) for token in title.split()) >= min_words


def normalized_body(text: str) -> str:
    """Return the key by which two bodies count as the same: NFC, case folded, white space collapsed and trimmed."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def deduplicate(dataset: Dataset) -> Dataset:
    """Keep the first row for each pair of language and normalised body, in order."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for index, (language, body) in enumerate(zip(dataset["language"][:], dataset["review_body"][:], strict=True)):
        key = (language, normalized_body(body))
        if key not in seen:
            seen.add(key)
            kept.append(index)
    return dataset.select(kept)


def remove_leakage(train: Dataset, held_out: Dataset) -> Dataset:
    """Drop the train rows whose normalised body is held out, whatever their language. Repeated train rows stay."""
    forbidden = {normalized_body(body) for body in held_out["review_body"][:]}
    return train.filter(lambda body: normalized_body(body) not in forbidden, input_columns=["review_body"])


def build_bilingual(english: DatasetDict, spanish: DatasetDict, seed: int = 42) -> DatasetDict:
    """Concatenate the two languages split by split and shuffle each split.

    Raises:
        ValueError: if the two corpora differ in their splits or in their columns.
    """
    if set(english) != set(spanish):
        raise ValueError(f"The splits differ: {sorted(english)} in English, {sorted(spanish)} in Spanish.")
    for split in english:
        if set(english[split].column_names) != set(spanish[split].column_names):
            raise ValueError(f"The columns of the split {split!r} differ between English and Spanish.")
    return DatasetDict(
        {split: concatenate_datasets([english[split], spanish[split]]).shuffle(seed=seed) for split in english}
    )


def length_stats(dataset: Dataset) -> pd.DataFrame:
    """Return one row per language (sorted): lengths in white-space words, and the share of short titles.

    Columns body_median, body_p95, title_median, title_p95 (95th percentile, linearly interpolated) and short_title_share in
    [0, 1], short meaning fewer than three words by `has_min_words`.
    """
    frame = dataset.select_columns(["language", "review_body", "review_title"]).to_pandas()
    frame["body"] = frame["review_body"].str.split().str.len()
    frame["title"] = frame["review_title"].str.split().str.len()
    frame["short"] = ~frame["review_title"].map(has_min_words).astype(bool)
    return (
        frame.groupby("language")
        .agg(
            body_median=("body", "median"),
            body_p95=("body", lambda lengths: lengths.quantile(0.95)),
            title_median=("title", "median"),
            title_p95=("title", lambda lengths: lengths.quantile(0.95)),
            short_title_share=("short", "mean"),
        )
        .sort_index()
    )


def prepare_pairs(english: DatasetDict, spanish: DatasetDict, categories: Collection[str] | None = None) -> DatasetDict:
    """Run the whole of stage 1: two raw corpora in, one bilingual corpus of clean training pairs out.

    Invalid rows, short titles and duplicates are dropped in every split, and rows of train whose body is held out. The short-title
    filter touches validation and test too: it changes the benchmark, and the course says so.

    Raises:
        CourseError: if nothing is left of a split.
    """
    parts = []
    for corpus in (english, spanish):
        if categories is not None:
            corpus = filter_categories(corpus, categories)
        corpus = DatasetDict({split: drop_invalid(rows) for split, rows in corpus.items()})
        corpus = corpus.map(
            lambda body, title: {"review_body": clean_text(body), "review_title": clean_text(title)},
            input_columns=["review_body", "review_title"],
        )
        corpus = corpus.filter(has_min_words, input_columns=["review_title"])
        parts.append(DatasetDict({split: deduplicate(rows) for split, rows in corpus.items()}))
    bilingual = build_bilingual(*parts)
    held_out = concatenate_datasets([bilingual["validation"], bilingual["test"]])
    bilingual["train"] = remove_leakage(bilingual["train"], held_out)
    for split, rows in bilingual.items():
        if len(rows) == 0:
            raise CourseError(
                f"No row of the split {split!r} is left after cleaning: check the categories and the titles of your corpus."
            )
    return bilingual


def _check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise CourseError(
            f"language is {language!r}, but the corpora are in {' and '.join(map(repr, LANGUAGES))}: choose one of them."
        )


def _digest(text: str) -> int:
    from hashlib import sha256

    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


def _find_file(folder: Path, language: str, split: str) -> Path:
    for ending in FORMATS:
        path = folder / f"{language}_{split}{ending}"
        if path.is_file():
            return path
    raise CourseError(
        f"{folder} holds no file {language}_{split} with the ending {', '.join(FORMATS)}: put the {split} split there."
    )


def _no_row(path: Path) -> CourseError:
    return CourseError(f"{path} holds no row: a split needs at least one review.")


def _read(path: Path) -> Dataset:
    ending = next(ending for ending in FORMATS if path.name.endswith(ending))
    try:
        dataset = load_dataset(FORMATS[ending], data_files=str(path), split="train")
    except Exception as error:  # pyarrow and datasets raise a dozen types for a file that is not what its name says
        reason = first_sentence(str(error.__cause__ or error))
        if any(sign in reason for sign in NO_ROW) or not reason:
            raise _no_row(path) from None
        raise CourseError(f"{path} cannot be read as {FORMATS[ending]} ({reason}): save the file again.") from None
    missing = [name for name in COLUMNS if name not in dataset.column_names]
    if missing:
        raise CourseError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {', '.join(dataset.column_names)}: rename or add them."
        )
    if len(dataset) == 0:
        raise _no_row(path)
    return dataset.select_columns(list(COLUMNS))
