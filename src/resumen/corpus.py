"""Load the corpora, and the stage 1 toolbox that turns one into a corpus you can trust."""

import glob
import hashlib
import html
import math
import os
import re
import reprlib
import unicodedata
from collections.abc import Collection
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, concatenate_datasets, load_dataset

from resumen.columns import cleaned, digests, long_enough, map_tables, per_row
from resumen.errors import CourseError
from resumen.files import number_in, read_parquet, read_rows
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
FORMATS = (".parquet", ".jsonl", ".jsonl.gz", ".json")


def load_reviews(language: str, folder: str | Path | None = None) -> DatasetDict:
    """Return the review corpus of one language: splits train, validation and test, columns `COLUMNS`, stars int32, the others text.

    Args:
        language: `en` or `es`.
        folder: your own corpus, files called `<language>_<split>` with the ending .parquet, .jsonl, .jsonl.gz or .json. By
            default the folder in `RESUMEN_DATA`, else the embedded corpus. Values of other types are converted where
            nothing is lost: ids that are numbers, categories, stars that are written as 5.0 or "5".

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
    # A shell leaves a ~ alone where it is quoted, and nobody else minds it.
    files = {split: _find_file(Path(os.path.expanduser(folder)), language, split) for split in SPLITS}
    return DatasetDict({split: _read(path) for split, path in files.items()})


def load_literary(language: str) -> Dataset:
    """Return the embedded split `literary`: some 170 vivid reviews by one hand, a test outside the domain of the others, without defects.

    Raises:
        CourseError: if the language is unknown.
    """
    _check_language(language)
    return _read(EMBEDDED_REVIEWS / f"{language}_literary.parquet")


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


def _find_file(folder: Path, language: str, split: str) -> Path:
    for ending in FORMATS:
        path = folder / f"{language}_{split}{ending}"
        if path.is_file():
            return path
    raise CourseError(
        f"{folder} holds no file {language}_{split} with the ending {', '.join(FORMATS)}: put the {split} split there."
    )


def _read(path: Path) -> Dataset:
    """Return a file of reviews, mapped by datasets from its cache on disk; one in other types than `SCHEMA` is converted first."""
    if "::" in str(path):
        raise CourseError(
            f"{path} cannot be read, as datasets takes what follows a :: for another path: rename the folder."
        )
    columns = _columns(path)
    if not any(map(len, columns.values())):
        raise CourseError(f"{path} holds no row: a split needs at least one review.")
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise CourseError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {', '.join(columns)}: rename or add them."
        )
    if any(getattr(columns[field.name], "type", None) != field.type for field in SCHEMA):
        converted = {name: _converted(columns[name], name, path) for name in COLUMNS}
        path = _cached(pa.table(converted, schema=SCHEMA))
    # Escaped: datasets would look for a pattern in a folder called `reviews [2020]`.
    return load_dataset("parquet", data_files=glob.escape(str(path)), split="train").select_columns(list(COLUMNS))


def _columns(path: Path) -> dict[str, pa.ChunkedArray | list]:
    """Return the columns of a file, as they are. Ours is not pyarrow's reader of JSON: that one turns texts like 2021-03-01 into dates."""
    if path.suffix != ".parquet":
        rows = read_rows(path)
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}
    table = read_parquet(path)
    return dict(zip(table.column_names, table.columns, strict=True))


def _converted(values: pa.ChunkedArray | list, name: str, path: Path) -> list:
    """Return the values of a column as `SCHEMA` wants them: ids that are numbers become text, "5" and 5.0 become 5 stars."""
    convert, kind = (_stars, "a whole number") if name == "stars" else (_text, "text")
    converted = []
    for number, value in enumerate(values.to_pylist() if isinstance(values, pa.ChunkedArray) else values, start=1):
        try:
            converted.append(None if value is None or value != value else convert(value))
        except ValueError:
            raise CourseError(
                f"{path}, row {number}: {name} is {reprlib.repr(value)}, but {kind} belongs there: correct it and save the file again."
            ) from None
    return converted


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(_whole(value))


def _stars(value: object) -> int:
    stars = _whole(number_in(value) if isinstance(value, str) else value)
    if abs(stars) >= 2**31:
        raise ValueError(f"{stars} does not fit into 32 bits.")
    return stars


def _whole(value: object) -> int:
    """Return the whole number that a value is.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value != int(value):
        raise ValueError(f"{value!r} is not a whole number.")
    return int(value)


def _cached(table: pa.Table) -> Path:
    """Return the file with this table in the cache of datasets, written if it is not there yet."""
    content = pa.BufferOutputStream()
    pq.write_table(table, content)
    content = content.getvalue().to_pybytes()
    path = Path(datasets.config.HF_DATASETS_CACHE) / "resumen" / f"{hashlib.sha256(content).hexdigest()}.parquet"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")  # several processes may load the same corpus at once
        partial.write_bytes(content)
        os.replace(partial, path)
    return path
