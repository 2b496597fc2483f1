"""One reader per format: what people's spreadsheets and pandas write is read, and a mistake costs one sentence."""

import gzip
import json
import math

import pandas as pd
import pytest

from resumen.files import markdown_table, number_in, read_csv, read_json, read_rows, read_text, table_rows, write_text

TABLE = pd.DataFrame({"id": ["a", "b"], "note": ["NA", ""], "text": ['dos; "tres", 4,5', "año\tNuevo\nsegunda línea"]})


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_spreadsheets_write(tmp_path, separator, encoding, line_end):
    path = tmp_path / "table.csv"
    TABLE.to_csv(path, index=False, sep=separator, encoding=encoding, lineterminator=line_end)
    pd.testing.assert_frame_equal(read_csv(path, list(TABLE)), TABLE, check_dtype=False)


def test_a_quoted_head(tmp_path):
    path = tmp_path / "table.csv"
    TABLE.to_csv(path, index=False, sep=";", quoting=1)
    assert list(read_csv(path, list(TABLE))) == list(TABLE)


WHOLE = pd.DataFrame({"id": ["a", "b"], "text": ["uno", "dos"]})


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nid;text\r\na;uno\r\nb;dos\r\n",
        "id,text,,\na,uno,,\nb,dos,,\n,,,\n",
        "\n id , text \na,uno\n\nb,dos",
        ",id,text\n0,a,uno\n1,b,dos\n",
        "Unnamed: 0,id,text\n0,a,uno\n1,b,dos\n",
        '"id"\t"text"\t""\na\tuno\nb\tdos\t\n',
    ],
    ids=[
        "Excel's own first line",
        "blank at the end",
        "blank lines",
        "pandas' index",
        "index read and written",
        "short rows",
    ],
)
def test_what_surrounds_a_table(tmp_path, text):
    (tmp_path / "table.csv").write_bytes(text.encode())
    pd.testing.assert_frame_equal(read_csv(tmp_path / "table.csv", list(WHOLE)), WHOLE, check_dtype=False)


def test_the_separator_is_the_one_that_gives_the_columns(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('id;"a, b, c, d, e"\n1;2\n', encoding="utf-8")
    assert read_csv(path, ("id",), more=True).to_dict("list") == {"id": ["1"], "a, b, c, d, e": ["2"]}


def test_rows_that_do_not_fit(tmp_path, course_error):
    path = tmp_path / "table.csv"
    path.write_text("id,text\na,uno\nb,dos, tres\n", encoding="utf-8")
    with course_error("table.csv, row 3 has 3 cells, but the first row has 2: put quotation marks"):
        read_csv(path, ("id", "text"))
    path.write_text("id,text,id\na,uno,b\n", encoding="utf-8")
    with course_error("table.csv has the column id more than once"):
        read_csv(path, ("id", "text"))


@pytest.mark.parametrize(
    ("cell", "number"),
    [("4", 4), ("4.0", 4), (" 4,0 ", 4), ("-1,5", -1.5), ("\u22121.5", -1.5), ("1e3", 1000), ("0", 0)],
)
def test_numbers_in_cells(cell, number):
    assert number_in(cell) == number


@pytest.mark.parametrize("cell", ["", "tres", "4 or 5", "1.2.3", "nan", "inf", "1_0", "٣", "=1"])
def test_cells_without_a_number(cell):
    assert math.isnan(number_in(cell))


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
    for text in ("[" * 100_000, "1" * 5_000):
        path.write_text(text, encoding="utf-8")
        with course_error("metrics.json is not JSON that anybody would write"):
            read_json(path)


ROWS = [{"id": "1", "text": "año 2021-03-01", "tags": ["x"]}, {"id": 2, "text": None, "tags": []}]
LINES = "".join(json.dumps(row) + "\r\n\n" for row in ROWS)


@pytest.mark.parametrize(
    "data",
    [LINES.encode(), LINES.encode("utf-16"), json.dumps(ROWS).encode("utf-8-sig"), json.dumps(ROWS, indent=1).encode()],
    ids=["lines", "utf-16", "a list", "a list over many lines"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_rows(tmp_path, data, pack):
    path = tmp_path / ("rows.json.gz" if pack is gzip.compress else "rows.json")
    path.write_bytes(pack(data))
    assert read_rows(path) == ROWS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (pd.DataFrame(ROWS).to_json(), "line 1 is JSON, but not one row"),
        (pd.DataFrame(ROWS).to_json(indent=1), "line 1 cannot be read as JSON"),
        (pd.DataFrame(ROWS).to_json(orient="index"), "line 1 is JSON, but not one row"),
        (pd.DataFrame(ROWS).to_json(orient="values"), "row 1 is JSON, but not one row"),
        ('{"id": "1"}\n{"id": ', "line 2 cannot be read as JSON"),
        ('{"id": "1"}\n3', "line 2 is JSON, but not one row"),
        ('{"id": "\\ud83d"}', "row 1 holds half a character"),
    ],
)
def test_no_rows(tmp_path, course_error, text, words):
    (tmp_path / "rows.json").write_text(text, encoding="utf-8")
    with course_error(f"{tmp_path / 'rows.json'}, {words}"):
        read_rows(tmp_path / "rows.json")


def test_a_cut_gzip_file(tmp_path, course_error):
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(LINES.encode() * 99)[:-20])
    with course_error("rows.jsonl.gz cannot be read: it is no complete gzip file, so pack it again."):
        read_rows(tmp_path / "rows.jsonl.gz")


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
