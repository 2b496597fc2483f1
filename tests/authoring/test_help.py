"""The capstone's help pages: what the builder takes, and what it made."""

import pytest

from resumen.authoring import help as author
from resumen.authoring.prose import in_language
from resumen.projects.capstone.contract import EMBEDDED_HELP, REFUSED, check_corpus, read_corpus
from resumen.text import ngrams

CARD = EMBEDDED_HELP.parent / "README.md"

PAGE = """<div id="DisplayArea"><h1 id="a" dir="auto"><a name="b"></a>{heading}</h1>
<p id="c" class="paragraph" dir="auto">{text}</p><p class="tablecontent">no paragraph</p></div><div id="DonationFrame">
<p class="paragraph">Please donate to the project that you are using here.</p></div>"""

TEXT = {
    "en": "You can save the {0} in a folder of your own, and open it again with the menu when you want to use it for the next {0}.",
    "es": "Puede guardar {0} en una carpeta de su elección y abrirla de nuevo desde el menú cuando quiera utilizarla para la siguiente {0}.",
}


@pytest.fixture
def packages(tmp_path):
    """Return a function that writes a page of both languages into an unpacked package."""

    def write(path, english, spanish, words=("table", "la tabla")):
        for language, folder, heading, word in zip(
            ("en", "es"), ("en-US", "es"), (english, spanish), words, strict=True
        ):
            file = tmp_path / "usr/share/libreoffice/help" / folder / "text" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(PAGE.format(heading=heading, text=TEXT[language].format(word)), encoding="utf-8")
        for folder in ("help/C", "help/es", "doc/debian-handbook/html/en-US", "doc/debian-handbook/html/es-ES"):
            (tmp_path / "usr/share" / folder).mkdir(parents=True, exist_ok=True)
        return tmp_path

    return write


def test_a_page_and_its_heading(packages):
    root = packages("a/b.html", "Saving a table", "Guardar una tabla")
    english, spanish = author.rows(root)
    assert (english["id"], spanish["id"], english["group"]) == ("en-a/b", "es-a/b", "a/b")
    assert (english["reference"], spanish["reference"]) == ("Saving a table", "Guardar una tabla")
    assert english["source"] == TEXT["en"].format("table")
    assert english["split"] == spanish["split"]


@pytest.mark.parametrize(
    ("english", "spanish"),
    [("Tables", "Guardar una tabla"), ("Saving a table", "Saving a table"), ("A b " * 7, "Guardar una tabla")],
)
def test_a_page_without_two_headings_is_left_out(packages, english, spanish):
    assert author.rows(packages("a.html", english, spanish)) == []


def test_a_page_that_was_not_translated_is_left_out(packages, monkeypatch):
    monkeypatch.setitem(TEXT, "es", TEXT["en"])
    assert author.rows(packages("a.html", "Saving a table", "Guardar una tabla")) == []


def test_a_page_that_says_the_same_is_left_out(packages):
    packages("a.html", "Saving a table", "Guardar una tabla")
    root = packages("b.html", "Saving another table", "Guardar otra tabla")
    assert {row["group"] for row in author.rows(root)} == {"a"}


def test_a_missing_package_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="libreoffice-help-en-us"):
        author.rows(tmp_path)


@pytest.fixture(scope="module")
def corpus():
    return read_corpus([EMBEDDED_HELP])


def test_the_corpus_keeps_the_contract(corpus):
    assert [check for check in check_corpus(corpus, CARD.read_text(encoding="utf-8")) if check.state == REFUSED] == []


def test_pages_are_in_their_language_and_in_one_split(corpus):
    assert (corpus.groupby("group")["split"].nunique() == 1).all()
    assert (corpus.groupby("group")["language"].nunique() == 2).all()
    for language, source in zip(corpus["language"], corpus["source"], strict=True):
        assert in_language(source, language), source


def test_no_page_says_what_another_one_says(corpus):
    for language in ("en", "es"):
        sources = corpus[corpus["language"] == language]["source"]
        known: set = set()
        for source in sources:
            grams = set(ngrams(source, 8))
            assert 2 * len(grams & known) < len(grams), source
            known |= grams


def test_the_card_counts_the_rows(corpus):
    card = CARD.read_text(encoding="utf-8")
    assert card == author.card(corpus.to_dict("records"))
    assert "Mozilla Public License 2.0" in card
