"""Load the corpora, and the stage 1 toolbox that turns one into a corpus you can trust."""

import hashlib
import html
import os
import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict, concatenate_datasets, load_dataset

from resumen.columns import cleaned, digests, long_enough, map_tables, per_row
from resumen.errors import CourseError
from resumen.layouts import COLUMNS, SCHEMA
from resumen.profiles import DATA, current_profile
from resumen.sources import WHOLE, read_corpus, say_once

LANGUAGES = ("en", "es")
SPLITS = ("train", "validation", "test")
BOOKS = ("book", "digital_ebook_purchase")
"""The product categories that the course is about."""

EMBEDDED_REVIEWS = DATA / "reviews"
EMBEDDED_SYNOPSES = DATA / "synopses" / "descriptions.parquet"


def load_reviews(language: str, folder: str | Path | None = None) -> DatasetDict:
    """Return the review corpus of one language: splits train, validation and test, columns `COLUMNS`, stars int32, the others text.

    Args:
        language: `en` or `es`.
        folder: your own corpus: a folder, or the name of a data set on the Hub (`owner/name`); docs/setup.md says what may be in it. By
            default the one in `RESUMEN_DATA`, else the embedded corpus. Splits that are missing are made, by product. Values of other
            types are converted where nothing is lost: ids that are numbers, categories, stars that are written as 5.0 or "5".

    Raises:
        CourseError: if the language is unknown, a file is missing, lacks a column, holds no row or a value that does not fit.
    """
    _check_language(language)
    folder = folder or os.environ.get("RESUMEN_DATA")
    if not folder:
        profile = current_profile()
        if profile.needs_own_corpus:
            raise CourseError(
                f"The profile {profile.name!r} has no corpus of its own: set RESUMEN_DATA to the folder that holds yours (see docs/setup.md)."
            )
        folder = EMBEDDED_REVIEWS
    return _with_all_splits(read_corpus(folder, language), folder, language)


def load_literary(language: str) -> Dataset:
    """Return the embedded split `literary`: some 170 vivid reviews by one hand, a test outside the domain of the others, without defects.

    Raises:
        CourseError: if the language is unknown.
    """
    _check_language(language)
    path = str(EMBEDDED_REVIEWS / f"{language}_literary.parquet")
    return load_dataset("parquet", data_files=path, split="train").select_columns(list(COLUMNS))


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
    split = frame["source"].map(_split_of)
    return DatasetDict(
        {name: Dataset(pa.Table.from_pandas(rows[split == name], SCHEMA, preserve_index=False)) for name in SPLITS}
    )


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
    return _select(dataset, per_row(dataset, ["review_body", "review_title"], _has_both))


def filter_categories(corpus: DatasetDict, categories: Collection[str]) -> DatasetDict:
    """Keep, in every split, the rows whose product category is one of `categories` exactly."""

    def wanted(rows: pa.RecordBatch) -> np.ndarray:
        names = rows["product_category"].dictionary_encode(null_encoding="encode")
        kept = np.array([name in categories for name in names.dictionary.to_pylist()], dtype=bool)
        return kept[names.indices.to_numpy()]

    return DatasetDict(
        {split: _select(rows, per_row(rows, ["product_category"], wanted)) for split, rows in corpus.items()}
    )


def has_min_words(title: str, min_words: int = 3) -> bool:
    """Say whether a title has at least `min_words` words: white-space tokens that hold a letter or a digit."""
    return sum(any(character.isalnum() for character in token) for token in title.split()) >= min_words


def normalized_body(text: str) -> str:
    """Return the key by which two bodies count as the same: NFC, case folded, white space collapsed and trimmed."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def deduplicate(dataset: Dataset) -> Dataset:
    """Keep the first row for each pair of language and normalised body, in order."""
    keys = pd.DataFrame(per_row(dataset, ["language", "review_body"], _keys))
    return _select(dataset, ~keys.duplicated().to_numpy())


def remove_leakage(train: Dataset, held_out: Dataset) -> Dataset:
    """Drop the train rows whose normalised body is held out, whatever their language. Repeated train rows stay."""
    own, forbidden = (per_row(rows, ["review_body"], _body_keys) for rows in (train, held_out))
    leaks = np.isin(own[:, 0], forbidden[:, 0])
    known = set(map(tuple, forbidden[np.isin(forbidden[:, 0], own[leaks, 0])].tolist()))
    leaks[leaks] = [tuple(key) in known for key in own[leaks].tolist()]
    return _select(train, ~leaks)


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


def clean_pairs(dataset: Dataset) -> Dataset:
    """Return the rows with cleaned bodies and titles, without invalid rows, short titles and duplicates, in order."""
    return deduplicate(map_tables(dataset, _pairs))


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
        parts.append(DatasetDict({split: clean_pairs(rows) for split, rows in corpus.items()}))
    bilingual = build_bilingual(*parts)
    held_out = concatenate_datasets([bilingual["validation"], bilingual["test"]])
    bilingual["train"] = remove_leakage(bilingual["train"], held_out)
    for split, rows in bilingual.items():
        if len(rows) == 0:
            raise CourseError(
                f"No row of the split {split!r} is left after cleaning: check the categories and the titles of your corpus."
            )
    return bilingual


def _select(dataset: Dataset, kept: np.ndarray) -> Dataset:
    return dataset if kept.all() else dataset.select(np.flatnonzero(kept))


def _cleaned(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with cleaned bodies and titles."""
    for name in ("review_body", "review_title"):
        rows = rows.set_column(rows.schema.get_field_index(name), name, cleaned(rows[name], clean_text))
    return rows


def _valid(rows: pa.RecordBatch) -> pa.Array:
    """Say which of these cleaned rows have a body and a title."""
    return pc.and_(pc.not_equal(rows["review_body"], ""), pc.not_equal(rows["review_title"], ""))


def _has_both(rows: pa.RecordBatch) -> np.ndarray:
    return _valid(_cleaned(rows)).to_numpy(zero_copy_only=False)


def _pairs(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows cleaned, without those that are invalid or have a short title."""
    rows = _cleaned(rows)
    return rows.filter(pc.and_(_valid(rows), long_enough(rows["review_title"], has_min_words)))


def _body_keys(rows: pa.RecordBatch) -> np.ndarray:
    """Return two numbers a row, equal where normalised bodies are equal."""
    return digests(rows["review_body"], normalized_body)


def _keys(rows: pa.RecordBatch) -> np.ndarray:
    """Return three numbers a row, equal where languages and normalised bodies are equal."""
    languages = rows["language"].dictionary_encode(null_encoding="encode")
    numbers = np.array([_digest(repr(language)) for language in languages.dictionary.to_pylist()], dtype=np.uint64)
    return np.column_stack([_body_keys(rows), numbers[languages.indices.to_numpy()].view(np.int64)])


def _check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise CourseError(
            f"language is {language!r}, but the corpora are in {' and '.join(map(repr, LANGUAGES))}: choose one of them."
        )


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _split_of(group: str) -> str:
    """Return the split of a group of rows: one of ten goes to validation, one to test.

    A digest, unlike hash(), puts a group into the same split on every machine and in both languages.
    """
    return {8: "validation", 9: "test"}.get(_digest(group) % 10, "train")


def _with_all_splits(parts: dict[str, Dataset], place: str | Path, language: str) -> DatasetDict:
    """Return the three splits. Those that are missing are taken out of train, by product, and one sentence says how many rows each has.

    The reviews of a product lie in one split. Where they have no product, those of the same body do. A body that is held out is left out
    of train, and of validation where test has it.

    Raises:
        CourseError: if there are too few products for it.
    """
    if WHOLE in parts:
        parts = {"train": parts[WHOLE]}
    made = [split for split in SPLITS if split not in parts]
    if not made:
        return DatasetDict({split: parts[split] for split in SPLITS})
    rows = parts["train"]
    bodies = [normalized_body(body or "") for body in rows["review_body"][:]]
    groups = [product or body for product, body in zip(rows["product_id"][:], bodies, strict=True)]
    split_of = {group: split if (split := _split_of(group)) in made else "train" for group in set(groups)}
    chosen = [split_of[group] for group in groups]
    by = "product" if any(rows["product_id"][:]) else "text"
    counts = f"{len(groups):,} in {len(split_of):,} groups by {by}"
    for split in made:
        if split not in chosen:
            raise CourseError(
                f"{place} has no split {split!r} in {language!r}, and its reviews ({counts}) are too few to make one: bring that split as a file."
            )
    kept: dict[str, list[int]] = {split: [] for split in ("train", *made)}
    held_out: set[str] = set()
    for split in reversed(kept):  # test first: what is in it leaves validation, and what is in either leaves train
        here = [index for index, one in enumerate(chosen) if one == split]
        kept[split] = [index for index in here if not bodies[index] or bodies[index] not in held_out]
        held_out.update(bodies[index] for index in kept[split])
    parts = parts | {split: rows.select(indices) for split, indices in kept.items()}
    left_out = len(bodies) - sum(map(len, kept.values()))
    say_once(
        f"{place} has no split {' and no split '.join(map(repr, made))} in {language!r}, so its reviews ({counts}) were parted: "
        f"{', '.join(f'{split} {len(indices):,}' for split, indices in kept.items())}"
        + (f" ({left_out:,} left out, as their text is in a later split)." if left_out else ".")
    )
    return DatasetDict({split: parts[split] for split in SPLITS})
