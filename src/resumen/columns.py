"""A function of one text on a whole Arrow column: Arrow does the plain texts at once, Python the odd ones, one by one.

Most texts of a corpus need no cleaning, and Arrow finds that out at the speed of memory. What is *plain* is drawn from
Python's own tables when this module is imported, so Arrow and Python agree on every plain text, whatever the version of Unicode.
"""

import hashlib
import unicodedata
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features, Value

BLOCK = 10_000
"""Rows that are in memory at a time."""

# Latin letters, typographic marks, currencies, joiner and variation selector of emoji, dingbats, emoji.
_RANGES = (
    (0x21, 0x17F),
    (0x2010, 0x2027),
    (0x20A0, 0x20BF),
    (0x200D, 0x200D),
    (0xFE0F, 0xFE0F),
    (0x2600, 0x27BF),
    (0x1F300, 0x1FAFF),
)


def _is_plain(character: str) -> bool:
    """Say whether a character is alone in NFC, no white space, and folds its case to one character, its small letter."""
    folded = character.casefold()
    return (
        unicodedata.normalize("NFC", character) == character
        and not character.isspace()
        and len(folded) == 1
        and folded == character.lower()
    )


PLAIN = [chr(code) for first, last in _RANGES for code in range(first, last + 1) if _is_plain(chr(code))]
"""The characters of plain texts, besides single spaces between words. None of them combines with another in NFC."""


def _in_brackets(characters: list[str]) -> str:
    """Return what stands in the brackets of a regular expression of Arrow (RE2) for these characters."""
    codes = np.array(sorted(map(ord, characters)))
    runs = np.split(codes, np.flatnonzero(np.diff(codes) > 1) + 1)
    return "".join(rf"\x{{{run[0]:x}}}-\x{{{run[-1]:x}}}" for run in runs)


_WHITE = "|  |^ | $"  # white space that is not yet one space between two words
_ODD = f"[^ {_in_brackets(PLAIN)}]{_WHITE}"
_UNCLEAN = f"[^ {_in_brackets([one for one in PLAIN if one not in '&<'])}]{_WHITE}"
_ALPHANUMERIC = f"[{_in_brackets([one for one in PLAIN if one.isalnum()])}]"


def cleaned(texts: pa.Array, clean_text: Callable) -> pa.Array:
    """Return `clean_text` of each text. A plain one without entity and tag stays as it is."""
    return _by_row(texts, texts, _found(texts, _UNCLEAN), clean_text)


def is_clean(texts: pa.Array) -> pa.Array:
    """Say which texts are plain, without entity and tag: words of plain characters, with one space between two."""
    return pc.invert(_found(texts, _UNCLEAN))


def long_enough(titles: pa.Array, has_min_words: Callable) -> pa.Array:
    """Return `has_min_words` of each title: three plain words are three letters or digits with a space between each two."""
    plain = _found(titles, f"{_ALPHANUMERIC}.* .*{_ALPHANUMERIC}.* .*{_ALPHANUMERIC}")
    return _by_row(titles, plain, _found(titles, _ODD), has_min_words)


def digests(texts: pa.Array, normalized: Callable) -> np.ndarray:
    """Return 128 bits of what `normalized` makes of each text, as two numbers a row: equal where the results are equal.

    Two of a thousand million different texts have the same 128 bits with a probability below 1e-20.
    """
    keys = _by_row(texts, pc.utf8_lower(texts), _found(texts, _ODD), normalized).cast(pa.binary())
    found = b"".join([hashlib.blake2b(key, digest_size=16).digest() for key in keys.to_pylist()])
    return np.frombuffer(found, dtype=np.int64).reshape(-1, 2)


def per_row(dataset: Dataset, names: list[str], function: Callable[[pa.RecordBatch], np.ndarray]) -> np.ndarray:
    """Return the numbers that a function gives for the rows of a table, for all rows of a dataset, a block at a time.

    The table *behind* the dataset is read in its own order, and only where the dataset has rows: gathering texts by their
    row numbers would cost more than the function.
    """
    table, parts, rows, back = dataset.data, [], None, None
    if dataset._indices is not None:
        rows, back = np.unique(dataset._indices.column(0).to_numpy(), return_inverse=True)
    for start in range(0, table.num_rows, BLOCK):
        block = _batch(table.fast_slice(start, BLOCK).select(names))
        if rows is not None:
            block = _among(block, rows, start)
        parts.append(function(block))
    if not parts:
        return function(_batch(table.table.select(names)))
    values = np.concatenate(parts)
    return values if back is None else values[back]


def map_tables(dataset: Dataset, function: Callable[[pa.RecordBatch], pa.RecordBatch]) -> Dataset:
    """Return the rows that a function of a table makes of a dataset's, a block at a time, in the cache of datasets as by `map`."""
    rows, source = None, dataset
    if dataset._indices is not None:
        chosen = dataset._indices.column(0).to_numpy()
        if np.all(
            np.diff(chosen.astype(np.int64)) > 0
        ):  # by a filter: the table behind it has these rows in the same order
            rows = chosen
            source = Dataset(dataset.data, dataset.info, dataset.split, fingerprint=dataset._fingerprint)
    mapped = source.with_format("arrow").map(
        _on_block,
        with_indices=True,
        batched=True,
        batch_size=BLOCK,
        writer_batch_size=BLOCK,
        features=_of_texts(dataset.features),
        fn_kwargs={"function": function, "rows": rows},
    )
    shape = dataset.format
    return mapped.with_format(shape["type"], shape["columns"], shape["output_all_columns"], **shape["format_kwargs"])


def _of_texts(features: Features) -> Features:
    """Return the features with texts where a column is None throughout."""
    return Features({name: Value("string") if one == Value("null") else one for name, one in features.items()})


def _on_block(block: pa.Table, numbers: list[int], function: Callable, rows: np.ndarray | None) -> pa.Table:
    batch = _batch(block)
    if rows is not None:
        batch = _among(batch, rows, numbers[0])
    return pa.Table.from_batches([function(batch)])


def _among(block: pa.RecordBatch, rows: np.ndarray, start: int) -> pa.RecordBatch:
    """Return those of the sorted row numbers that are in a block, which begins with row number `start`."""
    first, last = np.searchsorted(rows, [start, start + len(block)])
    return block.take(pa.array(rows[first:last] - start))


def _batch(block: pa.Table) -> pa.RecordBatch:
    """Return a block in one piece. A column that is None throughout, or of categories, becomes one of texts."""
    columns = []
    for column in block.columns:
        if pa.types.is_null(column.type) or pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        columns.append(column.chunk(0) if column.num_chunks == 1 else column.combine_chunks())
    return pa.RecordBatch.from_arrays(columns, block.column_names)


def _found(texts: pa.Array, pattern: str) -> pa.Array:
    """Say in which texts a pattern is found. None counts as found."""
    return pc.fill_null(pc.match_substring_regex(texts, pattern), True)


def _by_row(texts: pa.Array, plain: pa.Array, odd: pa.Array, function: Callable) -> pa.Array:
    """Return `plain`, but function(text) where a text is odd."""
    done = [function(text) for text in texts.filter(odd).to_pylist()]
    return pc.replace_with_mask(plain, odd, pa.array(done, type=plain.type))
