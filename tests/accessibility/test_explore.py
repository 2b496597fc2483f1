"""A guess and an explorer in JupyterLab, in a real browser: by keyboard, light and dark, and axe finds nothing in the outputs.

Without a Chromium on the PATH it is skipped.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from axe_playwright_python import sync_playwright as axe

pytestmark = pytest.mark.slow  # starts a browser and a server


CELLS = (
    "from resumen.explore import predict, rouge_alignment\nwith predict('sum'):\n    print('the sum is', 4)",
    "rouge_alignment('a slow book', 'a book')",
)
EXPLORERS = (
    "from resumen import explore\nfrom resumen.modeling import load_checkpoint\ntokenizer, model = load_checkpoint()",
    "explore.attention('Not a good ending.', model, tokenizer)",
    "explore.decoding('Not a good ending.', model, tokenizer, limit=4)",
    "explore.rouge_alignment('a slow book', 'a book')",
    "explore.length_limit({'en': [3, 5, 8], 'es': [4, 6, 9]}, 5)",
    "explore.bootstrap([1, 2, 3, 5], [1, 1, 2, 2])",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """JupyterLab on a folder with two notebooks, and the folder."""
    folder = tmp_path_factory.mktemp("course")
    for name, cells in {"guess": CELLS, "explorers": EXPLORERS}.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        # JupyterLab asks for a kernel where none is named.
        notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        nbformat.write(notebook, folder / f"{name}.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--IdentityProvider.token=",
        f"--notebook-dir={folder}",
    ]
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "s"),
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/lab/tree/", folder
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(params=["JupyterLab Light", "JupyterLab Dark"])
def show(request, browser, address):
    """Return a function that opens a notebook in a theme and runs its cells by keyboard."""
    url, folder = address
    settings = folder / "s" / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"theme": request.param}), encoding="utf-8")
    page = browser.new_page()
    page.set_default_timeout(180_000)  # a busy machine takes a minute to load the model

    def open_notebook(name, cells):
        page.goto(f"{url}{name}?reset")  # or JupyterLab opens what was open before
        page.locator(".jp-CodeCell .cm-content").first.click()
        for _ in cells:
            page.keyboard.press("Shift+Enter")
        return page

    yield open_notebook
    page.close()


def violations(page):
    found = axe.Axe().run(page, context=".jp-OutputArea-output").response["violations"]
    return [f"{rule['id']}: {node['html'][:150]}" for rule in found for node in rule["nodes"]]


def test_a_guess_by_keyboard(show, address):
    _, folder = address
    (folder / "guesses.json").unlink(missing_ok=True)
    page = show("guess.ipynb", CELLS)
    field = page.get_by_label("Your guess")
    field.fill("four")
    assert page.get_by_text("the sum is 4", exact=True).count() == 0
    field.press("Enter")
    page.get_by_text("the sum is 4", exact=True).wait_for()
    assert json.loads((folder / "guesses.json").read_text(encoding="utf-8")) == {"sum": "four"}
    words = page.get_by_label("Prediction")
    words.fill("a book")
    words.press("Tab")
    page.get_by_text("2 words matched in order: a, book. The prediction has 2 words").wait_for()
    assert violations(page) == []


@pytest.mark.thorough
def test_axe_finds_nothing_on_any_explorer(show):
    page = show("explorers.ipynb", EXPLORERS)
    for number in range(1, len(EXPLORERS)):
        page.locator(".jp-CodeCell").nth(number).locator(".jp-OutputArea-output img").first.wait_for()
    assert violations(page) == []
