"""`predict` in a kernel that a person uses, in one that nobody watches, and without any."""

import json
import os
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from resumen.explore import predict, reader_present

SHOW = """
from ipywidgets.widgets.widget import _instances
(button,) = [one for one in _instances.values() if type(one).__name__ == "Button"][-1:]
(field,) = [one for one in _instances.values() if type(one).__name__ == "Text"][-1:]
field.value = "twelve"
button.click()
"""

BLOCK = """
import sys
from IPython.display import HTML, display
from resumen.explore import predict
with predict("pieces"):
    print("before")
    display(HTML("<b>table</b>"))
    print("after")
    print("trouble", file=sys.stderr)
bound = 1
"""

IMAGES = """
%matplotlib inline
import matplotlib.pyplot as plt
from resumen.explore import predict
with predict("figure"):
    plt.plot([1, 2])
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A workspace, and the folder of a lecture in it."""
    lecture = tmp_path_factory.mktemp("my-course") / "stages" / "stage1_corpus"
    lecture.mkdir(parents=True)
    return lecture


@pytest.fixture(scope="module")
def kernel(course):
    """A kernel as JupyterLab starts it."""
    environment = {**os.environ, "JPY_SESSION_NAME": str(course / "lecture.ipynb")}
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(course), env=environment)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def outputs_of(client, code, read=True):
    """Return what a cell puts on the page: texts, and for everything else the MIME types; `read` is whether somebody could answer."""
    found = []

    def hook(message):
        content = message["content"]
        if message["msg_type"] == "stream":
            # One print may arrive in two pieces.
            joined = found.pop() if found and isinstance(found[-1], str) else ""
            found.append(joined + content["text"])
        elif message["msg_type"] in ("display_data", "execute_result"):
            found.append(set(content["data"]))
        elif message["msg_type"] == "error":
            found.append(f"{content['ename']}: {content['evalue']}")

    client.execute_interactive(code, allow_stdin=read, output_hook=hook, timeout=60)
    return found


WIDGET = "application/vnd.jupyter.widget-view+json"


def test_the_output_waits_for_the_guess(kernel, course):
    (box,) = outputs_of(kernel, BLOCK)
    assert WIDGET in box
    first, table, rest = outputs_of(kernel, SHOW)
    assert first == "before\n" and "text/html" in table and rest == "after\ntrouble\n", "in their order"
    guesses = json.loads((course.parents[1] / "guesses.json").read_text(encoding="utf-8"))
    assert guesses == {"stages/stage1_corpus/pieces": "twelve"}
    assert outputs_of(kernel, "print(bound)") == ["1\n"]


def test_a_guess_is_kept(kernel):
    outputs_of(kernel, BLOCK + SHOW)
    box, first, *_ = outputs_of(kernel, BLOCK)
    assert WIDGET in box and first == "before\n"


def test_a_figure_waits_too(kernel):
    (box,) = outputs_of(kernel, IMAGES)
    assert WIDGET in box
    (figure,) = outputs_of(kernel, SHOW)
    assert "image/png" in figure


def test_an_error_comes_through(kernel):
    block = "from resumen.explore import predict\nwith predict('error'):\n    print('so far')\n    1 / 0"
    assert outputs_of(kernel, block) == ["so far\n", "ZeroDivisionError: division by zero"]
    assert outputs_of(kernel, "print('shown again')") == ["shown again\n"]


def test_a_program_in_a_notebook_is_no_reader(kernel):
    """The environment says that a person is there, and the program forbids to ask for input."""
    first, table, rest = outputs_of(kernel, BLOCK, read=False)
    assert first == "before\n" and "text/html" in table and rest == "after\ntrouble\n"


@pytest.mark.parametrize("mark", ["sys.modules['google.colab'] = sys", "__vsc_ipynb_file__ = 'lecture.ipynb'"])
def test_colab_and_code_are_known_by_their_marks(kernel, mark):
    ask = "import os, sys\nfrom resumen.explore import reader_present\nos.environ.pop('JPY_SESSION_NAME', None)\n"
    forget = "_ = sys.modules.pop('google.colab', None), globals().pop('__vsc_ipynb_file__', None)"
    code = f"{ask}print(reader_present())\n{mark}\nprint(reader_present())\n{forget}"
    assert "".join(outputs_of(kernel, code)) == "False\nTrue\n"


def test_nothing_is_changed_where_a_notebook_is_run(tmp_path, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "lecture.ipynb")  # as in a command that a person starts from a cell
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(BLOCK)])
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    kinds = [output.get("name", output.output_type) for output in notebook.cells[0].outputs]
    assert [kind for kind in kinds if kind != "stderr"] == ["stdout", "display_data", "stdout"]


def test_without_a_kernel(capsys):
    assert not reader_present()
    with predict("plain"):
        print("at once")
    assert capsys.readouterr().out == "at once\n"
    with pytest.raises(ZeroDivisionError), predict("plain"):
        1 / 0  # noqa: B018


def test_a_guess_that_cannot_be_kept_is_forgotten(monkeypatch, tmp_path):
    from resumen.explore import guess

    monkeypatch.chdir(tmp_path)
    (tmp_path / guess.GUESSES).mkdir()
    guess.keep_guess("a", "three")
    assert guess.read_guess("a") is None


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"other": 3}'])
def test_a_damaged_file_costs_nothing(monkeypatch, tmp_path, text):
    from resumen.explore import guess

    monkeypatch.chdir(tmp_path)
    (tmp_path / guess.GUESSES).write_text(text, encoding="utf-8")
    assert guess.read_guess("a") is None
    guess.keep_guess("a", "three")
    assert guess.read_guess("a") == "three"


def test_in_the_repository_guesses_are_not_committed(monkeypatch, root):
    from resumen.explore import guess

    monkeypatch.chdir(root / "stages")
    assert guess._place("a") == (Path(root, "var", guess.GUESSES), "stages/a")
