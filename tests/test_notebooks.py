"""Running notebooks, and what is committed of a run."""

import copy

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from resumen import notebooks
from resumen.notebooks import NotebookFailed, normalize, run_notebook, write_notebook


def write(folder, *sources):
    """Write a notebook of the given code cells, with a title, and return its path."""
    path = folder / "stage" / "lecture.ipynb"
    write_notebook(new_notebook(cells=[new_markdown_cell("# Title"), *map(new_code_cell, sources)]), path)
    return path


def test_run_notebook(tmp_path, capfd):
    path = write(tmp_path, "from pathlib import Path\nvalue = 6 * 7\nprint(Path.cwd().name)", "value")
    before, calls = path.read_bytes(), []
    notebook, answer = run_notebook(
        path,
        lambda done, total: calls.append((done, total)),
        "import sys; print('advice', file=sys.stderr)\nprint([value])",
    )
    assert answer == [42]
    assert calls == [(0, 2), (1, 2), (2, 2)]
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code"]
    assert notebook.cells[1].outputs[0].text == "stage\n"
    assert notebook.cells[2].outputs[0].data["text/plain"] == "42"
    assert path.read_bytes() == before
    assert "".join(capfd.readouterr()) == "", "a kernel's own log would run through the progress bars"


def test_no_kernel(tmp_path, course_error, monkeypatch):
    def find(*_):
        raise NoSuchKernel("python3")

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", find)
    with course_error("There is no Jupyter kernel"):
        run_notebook(write(tmp_path, "1"))


def test_a_failing_cell_is_named(tmp_path):
    path = write(tmp_path, "print('fine')", "raise ValueError('[/b] first line.\\nsecond line')", "print('never')")
    with pytest.raises(NotebookFailed) as caught:
        run_notebook(path, probe="print('{}')")
    assert str(caught.value) == "stage/lecture.ipynb, code cell 2: ValueError: [/b] first line"
    outputs = [cell.outputs for cell in caught.value.notebook.cells if cell.cell_type == "code"]
    assert [len(part) for part in outputs] == [1, 1, 0]


def test_an_error_without_a_message(tmp_path):
    with pytest.raises(NotebookFailed, match=r"code cell 1: KeyError: no message$"):
        run_notebook(write(tmp_path, "raise KeyError"))


def test_a_slow_cell_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "CELL_TIMEOUT", 1)
    with pytest.raises(NotebookFailed, match=r"stage/lecture.ipynb, code cell 1: took more than 1 s$"):
        run_notebook(write(tmp_path, "import time\ntime.sleep(60)"))


def test_a_dead_kernel_is_named(tmp_path):
    with pytest.raises(NotebookFailed, match=r"stage/lecture.ipynb, code cell 2: the kernel died"):
        run_notebook(write(tmp_path, "1", "import os\nos._exit(1)"))


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"cells": 3}'])
def test_an_unreadable_notebook(tmp_path, course_error, content):
    path = tmp_path / "lecture.ipynb"
    path.write_text(content)
    with course_error(path, "is not a notebook that can be read"):
        run_notebook(path)


def test_a_notebook_that_is_not_there(tmp_path, course_error):
    with course_error(tmp_path / "lecture.ipynb", "cannot be read: No such file or directory."):
        run_notebook(tmp_path / "lecture.ipynb")


@pytest.fixture
def executed():
    """A notebook as Jupyter leaves it after a run."""
    cell = new_code_cell("1", execution_count=7, metadata={"execution": {"iopub.status.busy": "now"}, "tags": ["kept"]})
    cell.outputs = [
        new_output("stream", name="stderr", text="50%|#####     | 0.1 s"),
        new_output("stream", name="stdout", text="kept"),
        new_output("display_data", data={"text/html": "<progress value='3'></progress> [3/9 00:01]"}),
        new_output("stream", name="stdout", text=" in one piece\n"),
        new_output("execute_result", data={"text/plain": "1"}, execution_count=7),
    ]
    notebook = new_notebook(cells=[new_markdown_cell("# T"), new_code_cell("2", execution_count=8), cell])
    notebook.metadata = {"widgets": {}, "kernelspec": {"name": "mine", "display_name": "/somewhere/venv"}}
    return nbformat.from_dict(notebook)


def test_normalize_removes_what_differs(executed):
    ids = [cell.id for cell in executed.cells]
    notebook = normalize(executed)
    assert [cell.id for cell in notebook.cells] == ids
    _, silent, code = notebook.cells
    assert code.metadata == {"tags": ["kept"]}
    assert [output.output_type for output in code.outputs] == ["stream", "execute_result"]
    # Numbered in their order, as nbval wants it; a cell without outputs has no number.
    assert code.outputs[0].text == "kept in one piece\n"
    assert [silent.execution_count, code.execution_count, code.outputs[1].execution_count] == [None, 2, 2]
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata and "/somewhere" not in nbformat.writes(notebook)
    nbformat.validate(notebook)


def test_normalize_is_idempotent(executed):
    once = copy.deepcopy(normalize(executed))
    assert normalize(copy.deepcopy(once)) == once


def test_write_notebook(tmp_path, executed):
    path = tmp_path / "new" / "a.ipynb"
    executed.cells[0].source = "# Título"
    write_notebook(normalize(executed), path)
    text = path.read_text(encoding="utf-8")
    assert "Título" in text and text.endswith("}\n") and not text.endswith("\n\n")
    assert nbformat.read(path, as_version=4) == executed
    executed.cells[0].cell_type = "nonsense"
    with pytest.raises(nbformat.ValidationError):
        write_notebook(executed, tmp_path / "b.ipynb")
    assert not (tmp_path / "b.ipynb").exists()


EXERCISE = """> **Try it** Add one.

<details><summary>Answer</summary>

```python
count = count + 1
print(count)
```

```text
3
```

One more.

</details>
<details><summary>Answer</summary>

Not at all.

</details>"""


def test_answers_are_found():
    from resumen.notebooks import answers_in

    assert answers_in(EXERCISE) == [("count = count + 1\nprint(count)\n", "3\n"), ("", None)]
    assert answers_in("<details><summary>Read on after your guess</summary>\n\nMore.\n\n</details>") == []


def test_an_answer_leaves_no_traces(capsys):
    import random

    from resumen.notebooks import without_traces

    names, state = {"count": 2}, random.getstate()
    exec(without_traces("import random\ncount = count + 1\nprint(count, random.random() < 1)"), names)
    assert capsys.readouterr().out == "3 True\n"
    assert {name for name in names if name != "__builtins__"} == {"count"} and names["count"] == 2
    assert random.getstate() == state
