"""The site, built once: every page is there, nothing that a reader should not see, and it works from a folder in a real browser.

Without a Chromium on the PATH, what needs one is skipped.
"""

import re
from pathlib import Path

import pytest
from axe_playwright_python import sync_playwright as axe

from resumen.authoring.site import Site, broken_links, build
from resumen.quiz import load_quiz
from resumen.setup import LESSONS, STAGES

pytest.importorskip("sphinx", reason="Sphinx needs Python 3.11")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*is deprecated. Check CHANGES"),
]  # builds the site, starts a browser

ROOT = Path(__file__).parents[2]
SITE = Site(ROOT)
LECTURE = "stages/stage3_rouge_baseline/lecture"
LAB = "labs/stage1_corpus/lab"
KINDS = ("index", LECTURE, LAB, "quizzes/stage1_corpus", "docs/setup.es", "docs/glossary", "search")
LARGEST = 1_500_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The built site. `build` raises if Sphinx warns, or a link leads nowhere."""
    target = tmp_path_factory.mktemp("site") / "html"
    build(ROOT, target)
    return target


@pytest.fixture(scope="module")
def html(folder):
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}


@pytest.fixture
def show(browser, folder):
    """Return a function that opens a page of the site without a network."""
    contexts, problems = [], []

    def open_page(name, **options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
        page.goto((folder / f"{name.split('?')[0]}.html").as_uri() + name[len(name.split("?")[0]) :])
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == [], "a page asks for something, or fails"


def test_every_page_has_what_a_reader_needs(html):
    assert {f"{page.name}.html" for page in SITE.pages.values()} | {"search.html"} == set(html)
    for page in SITE.pages.values():
        text = html[f"{page.name}.html"]
        assert f'<html lang="{page.language}"' in text
        assert re.search(rf"<span>{page.minutes} minut[eo]", text)
        assert "CC BY 4.0" in text and "Apache-2.0" in text and "CITATION.cff" in text
        before, after = SITE.neighbours(page)
        assert ('rel="prev"' in text, 'rel="next"' in text) == (bool(before), bool(after)), page.source
        assert ("download>" in text.split("<article>")[0]) == page.is_notebook
        assert ("Colab: from the release" in text) == (page.is_notebook and not SITE.address.published)
        assert len(text.encode()) < LARGEST


@pytest.mark.parametrize(("name", "door"), [("index", "Begin with stage 1"), ("index.es", "Empezar por la etapa 1")])
def test_the_first_page_has_doors(html, name, door):
    assert f'<a href="stages/stage1_corpus/index.html">{door}</a>' in html[f"{name}.html"]


def test_stated_minutes_are_taken_over():
    stated = {page.source: page.minutes for page in SITE.pages.values() if page.stated}
    assert set(stated) >= {
        f"{top}/{stage}/{name}.ipynb" for stage in STAGES for top, name in (("labs", "lab"), ("stages", "lecture"))
    }
    assert set(stated) >= {f"quizzes/{lesson}.ipynb" for lesson in LESSONS}


def test_no_graded_question_is_on_the_site(folder, html):
    everything = "\n".join(html.values())
    for stage in STAGES:
        for question in load_quiz(ROOT / "quizzes" / f"{stage}.yaml").pool("graded"):
            assert question.id not in everything
    copied = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in (".yaml", ".ipynb")}
    assert copied == {page.source for page in SITE.pages.values() if page.is_notebook}


def test_outputs_of_predictions_are_held_back(html):
    text = html[f"{LECTURE}.html"]
    assert text.count('<details class="guess">') == text.count('class="n">predict</span><span class="p">(') > 3


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="#top"></a><a href="b.html"></a><a href="#no"></a><a href="https://example.org"></a>'
        '<script src="https://example.org/x.js"></script>',
        encoding="utf-8",
    )
    assert broken_links(tmp_path) == [
        "a.html leads to b.html, which is not there.",
        "a.html leads to #no, which is not there.",
        "a.html fetches https://example.org/x.js.",
    ]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.repeats("index", "setup", "quizzes", "glossary", "search")
def test_axe_finds_nothing_and_nothing_scrolls_sideways(show, name):
    """In both themes and at both widths. For a long page axe takes ten seconds, so it is looked at twice and not four times."""
    views = [("light", 360), ("dark", 1400)]
    if name not in (LECTURE, LAB):
        views += [("light", 1400), ("dark", 360)]
    for theme, width in views:
        page = show(name, color_scheme=theme, viewport={"width": width, "height": 900})
        found = axe.Axe().run(page).response["violations"]
        shown = [f"{rule['id']}: {node['html'][:150]}" for rule in found for node in rule["nodes"]]
        assert shown == [], f"{theme}, {width} pixels"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{theme}, {width} pixels"
        assert page.get_by_role("searchbox").first.bounding_box()["width"] > 120, f"{theme}, {width} pixels"


def test_the_keyboard_is_enough(show):
    page = show(LECTURE, viewport={"width": 1400, "height": 900})
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("*:focus").get_attribute("id") == "main"
    guess = page.locator("details.guess").first
    assert not guess.locator(".cell_output").is_visible()
    guess.locator("summary").focus()
    page.keyboard.press("Enter")
    assert guess.locator(".cell_output").is_visible()
    page.locator(".walk a[rel=next]").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/labs/stage3_rouge_baseline/lab.html")


def test_the_switch_stays_on_the_page(show):
    page = show("docs/setup")
    page.get_by_role("link", name="Español").first.click()
    page.wait_for_url("**/docs/setup.es.html")
    assert page.locator("html").get_attribute("lang") == "es"
    assert page.get_by_role("navigation", name="Contenido").count() == 1
    page.get_by_role("link", name="English").first.click()
    page.wait_for_url("**/docs/setup.html")


def test_the_search_works_from_a_folder(show):
    page = show("index")
    page.get_by_role("searchbox").fill("fertility")
    page.keyboard.press("Enter")
    page.locator("ul.search a", has_text="From text to tensors").first.wait_for()


def test_a_quiz_works_in_its_page(show):
    page = show("quizzes/primer", locale="en-GB")
    form = page.locator("form.rq-question").first
    form.locator("input").first.check()
    form.get_by_role("button").click()
    assert re.match(r"(Right|Not right|Partly right)\.", form.get_by_role("status").inner_text())
