"""The capstone's demo in a real browser, without a network: a text in, a headline out, and nobody is called.

This needs `pip install -e '.[demo]' -c constraints.txt` and a Chromium on the PATH; without them it is skipped.
"""

import importlib.util
from pathlib import Path
from urllib.parse import urlparse

import pytest
from playwright import sync_api

pytestmark = pytest.mark.slow  # starts a browser

pytest.importorskip("gradio", reason="gradio is not installed: see this file's first lines")

DEMO = Path(__file__).parents[2] / "capstone" / "capstone" / "demo.py"


@pytest.fixture(scope="module")
def demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def address(demo):
    """The page with a stand-in for the model: its headline is the text's last three words, and a number that is not there."""
    page = demo.build(lambda text: " ".join([*text.split()[-3:], "999"]))
    _, url, share = page.launch(server_name="127.0.0.1", share=False, quiet=True, prevent_thread_lock=True)
    assert not share
    yield url
    page.close()


@pytest.fixture
def page(browser, address):
    """The page; afterwards: every request went to this machine, and the page raised no error."""
    page = browser.new_page()
    page.set_default_timeout(60_000)
    asked, problems = set(), []

    def local_only(route):
        asked.add(urlparse(route.request.url).hostname)
        if urlparse(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            route.abort()

    page.route("**/*", local_only)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(address)
    yield page
    page.close()
    assert problems == []
    assert asked == {"127.0.0.1"}, "the page works without them, but it asks others"


def value_of(page, label, expected):
    field = page.get_by_label(label)
    sync_api.expect(field).to_have_value(expected, timeout=60_000)
    return field.input_value()


def test_a_headline(page):
    page.get_by_label("Text / Texto").fill("El puente de Peñaluz está cerrado por obras")
    page.get_by_role("button", name="Write a headline").click()
    value_of(page, "Headline / Titular", "cerrado por obras 999")
    assert "Numbers that are not in the text: 999" in page.get_by_label("Doubts / Dudas").input_value()


def test_nothing_to_summarize(page):
    page.get_by_role("button", name="Write a headline").click()
    value_of(page, "Doubts / Dudas", "Write or paste a text first. / Escribe o pega primero un texto.")


def test_an_example(page, demo):
    page.get_by_text("The old bridge in Northmere").first.click()
    sync_api.expect(page.get_by_label("Text / Texto")).to_have_value(demo.EXAMPLES[0], timeout=60_000)
    page.get_by_role("button", name="Write a headline").click()
    value_of(page, "Headline / Titular", "cross at weekends. 999")


def test_markup_stays_text(page):
    """What a user or a model writes is shown, not run."""
    page.get_by_label("Text / Texto").fill("one two <img src=x onerror=alert(1)> three")
    page.get_by_role("button", name="Write a headline").click()
    value_of(page, "Headline / Titular", "src=x onerror=alert(1)> three 999")
    assert page.locator("img[src=x]").count() == 0


def test_a_wrong_checkpoint_costs_one_sentence(demo, capsys):
    assert demo.main(["--checkpoint", "no/such/folder"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("demo.py: ") and "no/such/folder" in said and "Traceback" not in said
