"""The data contract: each rule is broken once, alone, and the line that says so names the row and the remedy."""

import json

import pandas as pd
import pytest

from resumen.cli import app
from resumen.errors import CourseError
from resumen.projects.capstone import contract
from resumen.projects.capstone.contract import (
    COLUMNS,
    LOOK,
    MINIMUM_ROWS,
    OK,
    REFUSED,
    check_corpus,
    other_language,
    read_corpus,
)

CARD = "# Card\n\n## Origin\n\n" + "word " * 20 + "\n\n## Licence\n\nCC BY 4.0, name the authors."


@pytest.fixture
def corpus():
    """A corpus that keeps every rule, as small as the rules allow."""
    rows = []
    for language, text in (
        ("en", "The bridge number {} of the town is closed."),
        ("es", "El puente número {} está cerrado."),
    ):
        for split, count in MINIMUM_ROWS.items():
            for number in range(count):
                name = f"{language}-{split}-{number}"
                rows.append((name, name, language, text.format(f"{split} {number}"), "Closed", split, "CC0"))
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def states(corpus, card=CARD):
    return {line.name: line.state for line in check_corpus(corpus, card) if line.state != OK}


def test_a_good_corpus(corpus):
    lines = check_corpus(corpus, CARD)
    assert {line.state for line in lines} == {OK}
    assert len(lines) == 14 == len({line.name for line in lines})


def first(column, value):
    def spoil(corpus):
        corpus.loc[0, column] = value

    return spoil


def second_id(corpus):
    corpus.loc[1, "id"] = corpus.loc[0, "id"]


def leak(corpus):
    test = corpus.index[corpus["split"] == "test"][0]
    corpus.loc[test, "group"] = corpus.loc[0, "group"]


def copy_text(corpus):
    corpus.loc[1, "source"] = "  ".join(corpus.loc[0, "source"].upper().split())


SPOILT = {
    "missing value": (first("reference", None), "types", REFUSED, "reference (0)"),
    "number": (first("licence", 4), "types", REFUSED, "licence (0)"),
    "blank": (first("reference", " \n"), "empty", REFUSED, "en-train-0"),
    "an id twice": (second_id, "ids", REFUSED, "1 row with an id seen before: en-train-0"),
    "another split": (first("split", "dev"), "splits", REFUSED, "en-train-0"),
    "no code": (first("language", "english"), "language codes", REFUSED, "en-train-0"),
    "NFD": (first("source", "An\u0303o"), "NFC", REFUSED, "en-train-0"),
    "the same text in capitals": (copy_text, "duplicates", REFUSED, "en-train-1"),
    "leak": (leak, "leakage", REFUSED, "1 such groups"),
    "no licence": (first("licence", " Unknown "), "licence", REFUSED, "en-train-0"),
    "Spanish under en": (
        first("source", "El puente de la ciudad está cerrado por las obras que se hacen en los arcos."),
        "wrong language",
        LOOK,
        "en-train-0",
    ),
    "tag": (first("source", "A <b>bridge</b>"), "HTML", LOOK, "en-train-0"),
    "entity": (first("reference", "Bed &amp; breakfast"), "HTML", LOOK, "en-train-0"),
    "e-mail": (first("source", "Write to ana.ruiz@example.org now"), "personal data", LOOK, "en-train-0"),
    "phone": (first("source", "Call +34 612 345 678 now"), "personal data", LOOK, "en-train-0"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_row(corpus, case):
    spoil, name, state, words = SPOILT[case]
    spoil(corpus)
    lines = [line for line in check_corpus(corpus, CARD) if line.state != OK]
    # A row that leaves its language or split is missed there.
    assert {line.name for line in lines} - {"enough rows"} == {name}
    line = next(line for line in lines if line.name == name)
    assert line.state == state and words in line.what and line.remedy


def test_too_few_rows(corpus):
    assert states(corpus[corpus["id"] != "es-test-0"]) == {"enough rows": REFUSED}
    line = next(line for line in check_corpus(corpus[corpus["language"] == "en"], CARD) if line.state != OK)
    assert "one language (en)" in line.what


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("", "origin (0 of 20"),
        (CARD.split("## Licence")[0], "licence (0 of 5"),
        (CARD.replace("word " * 20, "we wrote it"), "origin (3"),
    ],
)
def test_data_card(corpus, card, words):
    (line,) = [line for line in check_corpus(corpus, card) if line.state != OK]
    assert (line.name, line.state) == ("data card", REFUSED) and words in line.what


def test_data_card_in_spanish(corpus):
    assert states(corpus, CARD.replace("Origin", "Procedencia").replace("Licence", "Licencia")) == {}


@pytest.mark.parametrize(
    "text", ["In 2023 it cost 1,234,567 euros.", "3.50 or 12 000 000", "2026-11-21", "pages 100-110"]
)
def test_numbers_that_are_no_phone(corpus, text):
    corpus.loc[0, "source"] = text
    assert states(corpus) == {}


def test_other_language():
    assert other_language("The bridge is closed and the town has been cut in two.", "es")
    assert not other_language("The bridge is closed and the town has been cut in two.", "en")
    assert not other_language("El puente está cerrado.", "en"), "two words are no evidence"
    assert not other_language("The bridge is closed and the town has been cut in two.", "sw"), "no list for Swahili"
    portuguese = "O puente da cidade foi fechado por uma semana e os moradores não sabem o que fazer com as crianças."
    assert other_language(portuguese, "es")


class TestReading:
    def test_several_files_and_kinds(self, corpus, tmp_path):
        corpus[:100].to_json(tmp_path / "a.jsonl", orient="records", lines=True, force_ascii=False)
        corpus[100:].to_parquet(tmp_path / "b.parquet")
        read = read_corpus([tmp_path / "a.jsonl", tmp_path / "b.parquet"])
        assert read[list(COLUMNS)].to_dict("list") == corpus.to_dict("list")

    def test_ids_stay_text(self, corpus, tmp_path):
        rows = [{**row, "id": "007", "group": "2024-01-01"} for row in corpus[:1].to_dict("records")]
        (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        assert read_corpus([tmp_path / "c.jsonl"]).loc[0, ["id", "group"]].to_list() == ["007", "2024-01-01"]

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("none.jsonl", None, "not found"),
            ("c.csv", "a,b", "neither .jsonl nor .parquet"),
            ("c.jsonl", "{", "line 1 cannot be read as JSON"),
            ("c.parquet", "PAR", "cannot be read as parquet"),
            ("c.jsonl", '{"id": "1", "source": "x"}', "lacks the columns group, language, reference, split, licence"),
            ("c.jsonl", "", "it has none"),
        ],
    )
    def test_mistakes(self, tmp_path, name, content, words):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(CourseError, match=words) as caught:
            read_corpus([tmp_path / name])
        assert str(caught.value).count("\n") == 0


class TestCommand:
    def call(self, *arguments):
        from typer.testing import CliRunner

        return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["corpus", *map(str, arguments)])

    def test_good(self):
        result = self.call(contract.EMBEDDED_NEWS, "--card", contract.EMBEDDED_NEWS.parent / "README.md")
        assert result.exit_code == 0 and "leakage" in result.output

    def test_refused(self, corpus, tmp_path):
        leak(corpus)
        corpus.to_parquet(tmp_path / "c.parquet")
        (tmp_path / "card.md").write_text(CARD)
        result = self.call(tmp_path / "c.parquet", "--card", tmp_path / "card.md")
        assert result.exit_code == 1 and "refused" in result.output

    def test_no_card(self):
        result = self.call(contract.EMBEDDED_NEWS, "--card", "nothing.md")
        assert isinstance(result.exception, CourseError) and "nothing.md" in str(result.exception)
