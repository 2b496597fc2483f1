"""The prose of a lecture quotes its outputs: a number that no checked cell prints is wrong, or will be one day."""

import re

import nbformat
import pytest

from resumen.experiment import SYSTEMS

NUMBER = re.compile(r"(?<![\w.])(\d+(?:,\d{3})*(?:\.\d+)?)(?!\.?\d)(\s?%)?")
"""A number on its own, thousands separated by commas, and the percent sign behind it. Not S3.1, v0.1 or 0.1.2."""


def numbers_in(text):
    """Return every number of a text, as written."""
    return {match[1] for match in NUMBER.finditer(text)}


def claims_in(paragraph):
    """Return the numbers of a paragraph that claim something measured: those with a decimal point or a percent sign."""
    return [match[1] for match in NUMBER.finditer(paragraph) if "." in match[1] or match[2]]


def paragraphs_of(markdown):
    """Return the paragraphs, list items and tables of a markdown cell that must agree with the outputs.

    Code is left out: fenced blocks and spans in backticks. So are paragraphs with a source: they quote others.
    """
    markdown = re.sub(r"^(```|~~~).*?^\1", "", markdown, flags=re.DOTALL | re.MULTILINE)
    paragraphs = re.split(r"\n[>\s]*\n|\n(?=[>\s]*(?:[-*]|\d+\.) )", re.sub(r"`[^`\n]+`", "", markdown))
    return [paragraph for paragraph in paragraphs if not re.search(r"https?://|\[source\]", paragraph)]


def checked_text(notebook):
    """Return what the cells tagged nbval-check-output print: streams and plain text."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and "nbval-check-output" in cell.metadata.get("tags", []):
            texts += [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "\n".join(texts)


def test_numbers_are_printed(lecture):
    printed = numbers_in(checked_text(lecture))
    wrong = [
        f"cell {cell.id}: {claim} in: {' '.join(paragraph.split())[:200]}"
        for cell in lecture.cells
        if cell.cell_type == "markdown"
        for paragraph in paragraphs_of(cell.source)
        for claim in claims_in(paragraph)
        if claim not in printed
    ]
    assert wrong == [], "no cell tagged nbval-check-output prints these numbers:\n" + "\n".join(wrong)


def test_helper_finds_claims():
    text = "In S3.1 and 0.1.2 we saw 3 of 4: 12.5 points, 40 %, -0.53, 95% and 1,234.5 (2.0). It rose by 7.25."
    assert claims_in(text) == ["12.5", "40", "0.53", "95", "1,234.5", "2.0", "7.25"]
    assert numbers_in("a 12.50\n[0.53, 40,7] v1.5 0.1.2") == {"12.50", "0.53", "40", "7"}


def test_helper_exempts_code_and_sources():
    text = "Set `p=0.5` here.\n\n> It was 9.5 there (https://example.org).\n>\n> Ours is 3.5.\n\n```\n1.5\n```\n\n| 2.5 [source] |"
    assert [claims_in(paragraph) for paragraph in paragraphs_of(text)] == [[], ["3.5"]]


def printed_systems(root):
    """Return {system: figures as printed} of the lecture of stage 4: rouge1 and rougeL in English, then in Spanish."""
    notebook = nbformat.read(root / "stages" / "stage4_trainer" / "lecture.ipynb", as_version=4)
    (text,) = [
        output.data["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code" and "systems[name], differences[name] = compare(" in cell.source
        for output in cell.outputs
    ]
    rows = [line.split() for line in text.splitlines()]
    return {row[0]: row[1:] for row in rows if row and row[0] in SYSTEMS}


@pytest.mark.parametrize(("page", "point"), [("README.md", "."), ("README.es.md", ",")])
def test_the_readme_has_the_table_of_the_lecture(root, page, point):
    rows = [f"| {name} | {' | '.join(row)} |".replace(".", point) for name, row in printed_systems(root).items()]
    assert len(rows) == len(SYSTEMS)
    text = (root / page).read_text(encoding="utf-8")
    table = re.search(r"<!-- table: systems -->\n(.*?)<!-- end -->", text, flags=re.DOTALL)[1]
    assert table.splitlines()[2:] == rows, "put these rows there:\n" + "\n".join(rows)
