"""Where reviews come from: a folder of JSON, CSV or parquet files, or a data set on the Hub, in any layout of `resumen.layouts`."""

import glob
import hashlib
import math
import os
import re
import reprlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, get_dataset_config_names, load_dataset
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError

from resumen.errors import CourseError, first_sentence
from resumen.files import number_in, read_csv, read_parquet, read_rows
from resumen.layouts import COLUMNS, KEPT_CATEGORY, SCHEMA, Layout, layout_of
from resumen.profiles import is_hub_id

FORMATS = (".parquet", ".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz")
SPELLINGS = {"train": ("train",), "validation": ("validation", "valid", "dev"), "test": ("test",)}
"""Split to the names that files and data sets have for it."""

WHOLE = "all"
"""In place of a split: a file with the rows of all splits."""

Values = pa.ChunkedArray | Sequence

_said: set[str] = set()


def say_once(sentence: str) -> None:
    """Print what a reader should know about a corpus, once a process: a lecture loads it many times."""
    if sentence not in _said:
        _said.add(sentence)
        print(sentence)


def read_corpus(place: str | Path, language: str) -> dict[str, Dataset]:
    """Return the reviews of one language by split, `COLUMNS` in the types of `SCHEMA`; `WHOLE` where nothing tells the splits apart.

    Raises:
        CourseError: if there are none, or a file is not what it should be.
    """
    if is_hub_id(str(place)):
        return _from_hub(str(place), language)
    # A shell leaves a ~ alone where it is quoted, and nobody else minds it.
    folder = Path(os.path.expanduser(place))
    if folder.is_file():
        raise CourseError(f"{folder} is a file: name the folder that holds it.")
    return _from_files(find_files(_files_below(folder), folder, language), folder, language)


def find_files(names: Collection[str], place: str | Path, language: str) -> dict[str, tuple[str, bool]]:
    """Return for each split its file, and whether it is named after the language: else its column `language` decides.

    Named after language and split (en_train.csv, en/train.csv), after the split (train.csv), after the language (en.csv), or the
    only file. The first of these ways that fits is taken. Of several files for a split the one nearest to the folder counts, and of
    these the first in the order of `FORMATS`.

    Args:
        names: paths in the folder or data set, with slashes.
        place: the folder or data set, for the message.
        language: the code.

    Raises:
        CourseError: if no file has the rows to train.
    """
    endings = "|".join(re.escape(ending) for ending in FORMATS)
    data = [name for name in names if re.search(f"({endings})$", name) and not name.rpartition("/")[2].startswith(".")]
    data.sort(key=lambda name: (name.count("/"), [name.endswith(ending) for ending in FORMATS].index(True), name))

    def first(pattern: str) -> str | None:
        return next((name for name in data if re.search(f"{pattern}({endings})$", name)), None)

    def by_split(before: str, of_language: bool) -> dict[str, tuple[str, bool]]:
        spelled = {split: first(f"{before}({'|'.join(words)})") for split, words in SPELLINGS.items()}
        return {split: (name, of_language) for split, name in spelled.items() if name}

    found = by_split(rf"(^|[/_]){language}[/_]", True) or by_split("^(data/)?", False)
    if found and "train" not in found:
        raise _no_file(place, language)
    if not found and (name := first(rf"(^|[/_]){language}")):
        found = {WHOLE: (name, True)}
    if not found and len(data) == 1:
        found = {WHOLE: (data[0], False)}
    if not found:
        raise _no_file(place, language)
    return found


def _no_file(place: str | Path, language: str) -> CourseError:
    return CourseError(
        f"{place} holds no file {language}_train with the ending {', '.join(FORMATS)}: put the train split there, or all reviews as "
        f"{language} with one of these endings."
    )


def _files_below(folder: Path) -> list[str]:
    """Return the files in a folder and in its folders."""
    found = []
    for place in (folder, *_listed(folder, Path.is_dir)):
        found += [path.relative_to(folder).as_posix() for path in _listed(place, Path.is_file)]
    return found


def _listed(folder: Path, kind: Callable[[Path], bool]) -> Iterator[Path]:
    try:
        yield from (path for path in sorted(folder.iterdir()) if kind(path))
    except OSError:
        return


def _from_files(found: dict[str, tuple[str, bool]], folder: Path, language: str) -> dict[str, Dataset]:
    parts: dict[str, Dataset] = {}
    for split, (name, of_language) in found.items():
        path = folder / name
        parts |= _by_split(_read(path, language, of_language), split, str(path))
    return parts


def _by_split(table: pa.Table | Path, split: str, where: str) -> dict[str, Dataset]:
    """Return the rows of a file as data sets; where it has a column with the split, that decides."""
    if isinstance(table, Path):
        return {split: _mapped(table)}
    if "split" not in table.column_names:
        return {split: _mapped(_cached(table))}
    rows, parts = table.drop_columns(["split"]), {}
    for name, words in SPELLINGS.items():
        part = rows.filter(pc.is_in(table["split"], value_set=pa.array(words, pa.string())))
        if part.num_rows:
            parts[name] = _mapped(_cached(part))
    if "train" not in parts:
        raise CourseError(
            f"{where} has no row whose split is train: its column split must say train, validation or test."
        )
    return parts


def _mapped(path: Path) -> Dataset:
    """Return a parquet file of our own schema, mapped by datasets from its cache on disk."""
    # Escaped: datasets would look for a pattern in a folder called `reviews [2020]`.
    return load_dataset("parquet", data_files=glob.escape(str(path)), split="train").select_columns(list(COLUMNS))


def _read(path: Path, language: str, of_language: bool) -> pa.Table | Path:
    """Return the rows of a file, or the file itself if it has our schema already."""
    if "::" in str(path):
        raise CourseError(
            f"{path} cannot be read, as datasets takes what follows a :: for another path: rename the folder."
        )
    columns, first_row = _columns(path)
    return adapt(columns, str(path), language, of_language, first_row) or path


def _columns(path: Path) -> tuple[dict[str, Values], int]:
    """Return the columns of a file as they are, and the number of its first row.

    Ours is not pyarrow's reader of JSON: that one turns texts like 2021-03-01 into dates.
    """
    if path.suffix == ".parquet":
        return _named(read_parquet(path)), 1
    if ".csv" in path.suffixes[-2:]:
        frame = read_csv(path, (), more=True)
        # A sheet has no other way to say that there is nothing. Its first row are the names.
        return {name: [cell if cell.strip() else None for cell in frame[name]] for name in frame.columns}, 2
    rows = read_rows(path)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}, 1


def _named(table: pa.Table) -> dict[str, Values]:
    """Return the columns of a table; the numbers that datasets writes for a list of names become the names."""
    columns: dict[str, Values] = dict(zip(table.column_names, table.columns, strict=True))
    try:
        features = datasets.Features.from_arrow_schema(table.schema)
    except Exception:  # types that datasets does not know have no names either
        return columns
    for name, feature in features.items():
        if isinstance(feature, datasets.ClassLabel) and feature.names:
            numbers = columns[name].to_pylist()
            columns[name] = [
                feature.names[number] if number is not None and number >= 0 else None for number in numbers
            ]
    return columns


def adapt(
    columns: dict[str, Values], where: str, language: str, of_language: bool, first_row: int = 1
) -> pa.Table | None:
    """Return the rows of one language in our schema, and a column `split` where they have one; None if nothing had to be changed.

    Args:
        columns: the columns of a file.
        where: its name, for messages.
        language: the code.
        of_language: True if the file holds this language only; else its column `language` says which rows do.
        first_row: the number of the first row, for messages.

    Raises:
        CourseError: if a column is missing, a value does not fit, or no row is left.
    """
    if not any(map(len, columns.values())):
        raise CourseError(f"{where} holds no row: a split needs at least one review.")
    layout = layout_of(columns, where)
    if layout is None:
        missing = [name for name in COLUMNS if name not in columns]
        raise CourseError(
            f"{where} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {', '.join(columns)}: rename or add them, "
            "or bring one of the other layouts of docs/setup.md."
        )
    if layout.licence:
        _tell_licence(layout, columns, where)
    ours = all(getattr(columns.get(field.name), "type", None) == field.type for field in SCHEMA)
    if ours and of_language and pc.all(pc.fill_null(pc.equal(columns["language"], language), False)).as_py():
        return None
    table = _converted_table(layout, columns, where, language, first_row)
    return _of_language(table, layout, where, language, of_language, first_row)


def _tell_licence(layout: Layout, columns: dict[str, Values], where: str) -> None:
    said = f"{where} has the layout of {layout.name}: {layout.licence}"
    if layout.licences:
        said += f" ({', '.join(sorted({str(value) for value in _list(columns[layout.licences]) if value}))})"
    if "product_category" not in layout.columns:
        said += f"; it names no product categories, so every row counts as {KEPT_CATEGORY!r}"
    say_once(f"{said}.")


def _list(values: Values) -> list:
    return values.to_pylist() if isinstance(values, pa.ChunkedArray) else list(values)


def _converted_table(layout: Layout, columns: dict[str, Values], where: str, language: str, first_row: int) -> pa.Table:
    lists = {name: _list(values) for name, values in columns.items() if layout.unpack or name in layout.needs()}
    size = len(next(iter(lists.values())))
    if layout.unpack:
        lists = layout.unpack(lists, language, where)
    made = {}
    for name in COLUMNS:
        theirs = layout.columns.get(name)
        if theirs is not None:
            shift = 1 - layout.one_star if name == "stars" else 0
            made[name] = _converted(lists[theirs], name == "stars", theirs, where, first_row, shift)
        elif name == "review_id":
            made[name] = [f"{language}_{number}" for number in range(first_row, first_row + size)]
        else:
            made[name] = [{"language": language, "product_category": KEPT_CATEGORY}.get(name)] * size
    table = pa.table(made, schema=SCHEMA)
    if layout.split:
        table = table.append_column("split", pa.array([str(value) for value in lists[layout.split]], pa.string()))
    return table


def _of_language(
    table: pa.Table, layout: Layout, where: str, language: str, of_language: bool, first_row: int
) -> pa.Table:
    """Return the rows of the language. In a file that is named after it no row may be in another."""
    theirs = layout.columns.get("language")
    if theirs is None and not of_language:
        raise CourseError(
            f"{where} has no column language: call the file {language}_train or {language}, as its rows are in one language."
        )
    codes = table["language"].to_pylist()
    if of_language and not layout.unpack:
        for number, code in enumerate(codes, start=first_row):
            if code != language:
                raise CourseError(
                    f"{where}, row {number}: {theirs} is {code!r}, but the file is named after {language!r}: correct the row, or rename "
                    "the file."
                )
        return table
    table = table.filter(pa.array([code == language for code in codes]))
    if not table.num_rows:
        others = ", ".join(sorted({repr(code) for code in codes if code})) or "none"
        raise CourseError(
            f"{where} holds no review in {language!r} (its languages: {others}): the course needs reviews in 'en' and in 'es'."
        )
    return table


def _converted(values: list, is_stars: bool, name: str, where: str, first_row: int, shift: int) -> list:
    """Return the values of a column as `SCHEMA` wants them: ids that are numbers become text, "5" and 5.0 become 5 stars."""
    convert, kind = (_stars, "a whole number") if is_stars else (_text, "text")
    converted = []
    for number, value in enumerate(values, start=first_row):
        try:
            converted.append(None if value is None or value != value else convert(value))
        except ValueError:
            raise CourseError(
                f"{where}, row {number}: {name} is {reprlib.repr(value)}, but {kind} belongs there: correct it and save the file again."
            ) from None
    return [value if value is None else value + shift for value in converted] if shift else converted


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


def _from_hub(name: str, language: str) -> dict[str, Dataset]:
    """Return a data set of the Hub by split. One that has a loader script, which nobody runs any more, gives its files."""
    try:
        try:
            config = _config(name, get_dataset_config_names(name), language)
            found = load_dataset(name, config)
        except RuntimeError as error:
            if "scripts are no longer supported" not in str(error):
                raise
            return _script_less(name, language)
    except CourseError:
        raise
    except (OSError, ValueError, RuntimeError, HfHubHTTPError, datasets.exceptions.DatasetsError) as error:
        raise CourseError(_hub_trouble(name, error)) from None
    return _hub_splits(found, name, config, language)


def _config(name: str, configs: list[str], language: str) -> str:
    """Return the configuration of a data set that holds a language: the one called so, or the only one."""
    if language in configs:
        return language
    shared = [config for config in configs if config in ("default", "all_languages", "all")] or configs
    if len(shared) > 1:
        raise CourseError(
            f"{name} on the Hub has the configurations {', '.join(configs)}, and none is called {language}: download the files that you "
            "mean, and name their folder."
        )
    return shared[0]


def _hub_splits(found: DatasetDict, name: str, config: str, language: str) -> dict[str, Dataset]:
    spelled = {split: next((one for one in words if one in found), None) for split, words in SPELLINGS.items()}
    if not spelled["train"]:
        raise CourseError(
            f"{name} on the Hub has the splits {', '.join(found)}, and the course needs one called train."
        )
    only = [split for split in spelled if spelled[split]] == ["train"]
    parts: dict[str, Dataset] = {}
    for split, theirs in spelled.items():
        if theirs:
            where = f"{name} on the Hub, {config}, {theirs}"
            table = adapt(_named(found[theirs].data.table), where, language, config == language)
            whole = found[theirs].select_columns(list(COLUMNS)) if table is None else None
            target = WHOLE if only else split
            parts |= {target: whole} if whole is not None else _by_split(table, target, where)
    return parts


def _script_less(name: str, language: str) -> dict[str, Dataset]:
    """Return the raw files of a data set that has a loader script."""
    found = find_files(HfApi().list_repo_files(name, repo_type="dataset"), f"{name} on the Hub", language)
    local = {split: Path(hf_hub_download(name, file, repo_type="dataset")) for split, (file, _) in found.items()}
    parts: dict[str, Dataset] = {}
    for split, path in local.items():
        file, of_language = found[split]
        where = f"{name} on the Hub, {file}"
        columns, first_row = _columns(path)
        parts |= _by_split(adapt(columns, where, language, of_language, first_row) or path, split, where)
    return parts


def _hub_trouble(name: str, error: Exception) -> str:
    """Return one sentence on why a data set did not come."""
    if datasets.config.HF_HUB_OFFLINE:
        remedy = (
            "the profile tiny and HF_HUB_OFFLINE keep the network off, so set RESUMEN_PROFILE=full, or name a folder"
        )
    elif "gated" in str(error):
        remedy = "ask for access on its page and log in with hf auth login"
    else:
        remedy = (
            "check the name (a folder called so is not here either), the network and, for a private data set, the token"
        )
    return f"{name} could not be loaded from the Hub ({first_sentence(str(error))}): {remedy}."
