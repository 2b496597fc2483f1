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


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """JupyterLab on a folder with one notebook."""
    folder = tmp_path_factory.mktemp("course")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }  # or it asks
    nbformat.write(notebook, folder / "guess.ipynb")
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
        yield f"http://127.0.0.1:{port}/lab/tree/guess.ipynb", folder
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_guess_by_keyboard(browser, address, theme):
    url, folder = address
    (folder / "guesses.json").unlink(missing_ok=True)
    settings = folder / "s" / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"theme": theme}), encoding="utf-8")
    page = browser.new_page()
    page.set_default_timeout(20_000)
    page.goto(url)
    page.locator(".jp-CodeCell .cm-content").first.click()
    for _ in CELLS:
        page.keyboard.press("Shift+Enter")
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
    found = axe.Axe().run(page, context=".jp-OutputArea-output").response["violations"]
    assert [f"{rule['id']}: {node['html'][:150]}" for rule in found for node in rule["nodes"]] == []
    page.close()
