"""One reader per format: what people's spreadsheets and pandas write is read, and a mistake costs one sentence."""

import pandas as pd
import pytest

from resumen.files import markdown_table, read_csv, read_json, read_text, table_rows, write_text

TABLE = pd.DataFrame({"id": ["a", "b"], "note": ["NA", ""], "text": ['dos; "tres", 4,5', "año\tNuevo\nsegunda línea"]})


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_spreadsheets_write(tmp_path, separator, encoding, line_end):
    path = tmp_path / "table.csv"
    TABLE.to_csv(path, index=False, sep=separator, encoding=encoding, lineterminator=line_end)
    pd.testing.assert_frame_equal(read_csv(path, list(TABLE)), TABLE, check_dtype=False)


def test_a_quoted_head(tmp_path):
    path = tmp_path / "table.csv"
    TABLE.to_csv(path, index=False, sep=";", quoting=1)
    assert list(read_csv(path, list(TABLE))) == list(TABLE)


def test_other_columns(tmp_path, course_error):
    path = tmp_path / "table.csv"
    TABLE.to_csv(path, index=False)
    with course_error("table.csv lacks the column label: it has id, label."):
        read_csv(path, ("id", "label"), more=True)
    with course_error("table.csv has the column note, text, which nobody asked for: it has exactly id."):
        read_csv(path, ("id",))
    assert list(read_csv(path, ("id",), more=True)) == list(TABLE)


@pytest.mark.parametrize("text", ["", 'id,note\n"never closed'])
def test_no_csv(tmp_path, course_error, text):
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    with course_error("table.csv is not a CSV that can be read"):
        read_csv(tmp_path / "table.csv", ("id", "note"))


@pytest.mark.parametrize("read", [read_text, read_json, lambda path: read_csv(path, ())])
def test_missing_or_in_latin_1(tmp_path, course_error, read):
    with course_error("file is missing in", tmp_path, "put it there"):
        read(tmp_path / "file")
    (tmp_path / "file").write_bytes("{año}".encode("latin-1"))
    with course_error("file is not in UTF-8: save it again with that encoding."):
        read(tmp_path / "file")


def test_json(tmp_path, course_error):
    path = tmp_path / "metrics.json"
    path.write_text('\ufeff{"n": 1}', encoding="utf-8")
    assert read_json(path) == {"n": 1}
    path.write_text('{"n":\n1', encoding="utf-8")
    with course_error("metrics.json stops being JSON in line 2"):
        read_json(path)
    path.write_text("[1]", encoding="utf-8")
    with course_error("metrics.json is not a JSON object"):
        read_json(path)


MARKDOWN_BY_PANDAS = """\
|    | rouge1   |   n |
|:---|---------:|:---:|
| en | 20.5     |  10 |
  | es | a \\| b |   5 |
"""
"""What `DataFrame.to_markdown` writes, and a row that somebody has moved."""


def test_tables_in_markdown():
    rows = [["", "rouge1", "n"], ["en", "20.5", "10"], ["es", "a | b", "5"]]
    assert list(table_rows(f"# A card\n\n{MARKDOWN_BY_PANDAS}\nNo | table.")) == rows
    assert list(table_rows(markdown_table(["", "n"], [["en", "10"], ["", "-1.5"]]))) == [
        ["", "n"],
        ["en", "10"],
        ["", "-1.5"],
    ]


def test_a_file_is_written_as_a_whole(tmp_path):
    path = tmp_path / "notes.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half an emoji: \ud83d")
    assert path.read_text(encoding="utf-8") == "old"
    write_text(path, "año")
    assert path.read_bytes() == "año".encode()
