"""Read, run, normalise and write notebooks: `make course` shows them to readers, `make notebooks` commits their outputs."""

import json
import re
import symtable
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from resumen.errors import CourseError, first_sentence
from resumen.files import write_text

STUB = "raise NotImplementedError"
"""What stands in an answer cell before there is an answer."""

CELL_TIMEOUT = 600
"""Seconds that one cell may take. On the tiny profile the longest takes about a minute."""


class NotebookFailed(CourseError):
    """A cell failed. `notebook` holds the outputs up to it."""

    def __init__(self, message: str, notebook: nbformat.NotebookNode):
        super().__init__(message)
        self.notebook = notebook


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Return a notebook in the form of nbformat 4.

    Raises:
        CourseError: if it cannot be read or is not a notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}.") from None
    except Exception as error:  # nbformat lets AttributeError and TypeError through for JSON that is no notebook
        raise CourseError(f"{path} is not a notebook that can be read: {first_sentence(str(error))}.") from None


def run_notebook(
    path: Path,
    on_cell: Callable[[int, int], None] = lambda done, total: None,
    probe: str | None = None,
    timeout: int | None = None,
) -> tuple[nbformat.NotebookNode, dict]:
    """Execute every cell in the notebook's folder and return (executed notebook, what the probe printed).

    Args:
        path: the notebook; it is not changed.
        on_cell: called with (cells done, cells in all) before the first code cell and after each.
        probe: Python that runs after the last cell, in the same kernel, and prints one JSON object. It is not kept.
        timeout: seconds that one cell may take; by default `CELL_TIMEOUT`.

    Raises:
        NotebookFailed: naming notebook, cell and error, in one line.
    """
    notebook = read_notebook(path)
    timeout = timeout or CELL_TIMEOUT
    client = make_client(notebook, path.parent, timeout=timeout)
    code_cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    number = 0
    try:
        with client.setup_kernel():
            on_cell(0, len(code_cells))
            for number, (index, cell) in enumerate(code_cells, start=1):
                client.execute_cell(cell, index)
                on_cell(number, len(code_cells))
            answer = {}
            if probe:
                scratch = nbformat.v4.new_code_cell(probe)
                notebook.cells.append(scratch)
                client.execute_cell(scratch, len(notebook.cells) - 1)
                notebook.cells.pop()
                answer = json.loads(
                    "".join(output.text for output in scratch.outputs if output.get("name") == "stdout")
                )
    except CellExecutionError as error:
        raise NotebookFailed(
            f"{path.parent.name}/{path.name}, code cell {number}: {error.ename}: {_first_line(error.evalue)}", notebook
        ) from None
    except CellTimeoutError:
        raise NotebookFailed(
            f"{path.parent.name}/{path.name}, code cell {number}: took more than {timeout} s", notebook
        ) from None
    except DeadKernelError:
        raise NotebookFailed(
            f"{path.parent.name}/{path.name}, code cell {number}: the kernel died (out of memory?)", notebook
        ) from None
    return notebook, answer


def make_client(notebook: nbformat.NotebookNode, folder: Path, **options) -> NotebookClient:
    """Return a client that executes the notebook in `folder`, with nbclient's other options as given.

    Raises:
        CourseError: if there is no kernel.
    """
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=ERROR"],  # or each kernel warns that its own machine's loopback is not encrypted
        **options,
    )
    try:
        _ = client.create_kernel_manager().kernel_spec
    except NoSuchKernel:
        raise CourseError(
            "There is no Jupyter kernel here: run `pip install -e '.[notebooks]' -c constraints.txt`."
        ) from None
    return client


def _first_line(text: str) -> str:
    """Return the first line of an error's message, without its full stop: the caller's sentence goes on."""
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else "no message"


def normalize(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove, in place, what differs from one run to the next: timings, widget state, kernel versions.

    Code cells that have outputs are numbered from 1 in their order: nbval refuses outputs without a number.
    """
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code_cells, start=1):
        cell.metadata.pop("execution", None)
        # Trainers and loops report progress on stderr; readers need what the code says, not how the bar moved.
        cell.outputs = _joined(
            [output for output in cell.outputs if output.get("name") != "stderr" and not _is_progress_bar(output)]
        )
        cell.execution_count = number if cell.outputs else None
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


class Answer(NamedTuple):
    """An answer to a *Try it*: its code, and what that prints; None where that is not said."""

    code: str
    prints: str | None


def answers_in(markdown: str) -> list[Answer]:
    """Return the answers that a Markdown cell of a lecture has to unfold; "" is the code of one in words only."""
    found = []
    for body in re.findall(r"<details>\s*<summary>Answer</summary>(.*?)</details>", markdown, flags=re.DOTALL):
        code, prints = (
            re.search(rf"^```{kind}\n(.*?)^```", body, flags=re.DOTALL | re.MULTILINE) for kind in ("python", "text")
        )
        found.append(Answer(code[1] if code else "", prints[1] if prints else None))
    return found


def without_traces(code: str) -> str:
    """Return code that runs other code in a notebook and leaves neither names nor another state of the random generators."""
    return f"""\
def _run(_names):
    import random as _random, sys as _sys
    _states = [(_random.setstate, _random.getstate())]
    if "numpy" in _sys.modules:
        _states.append((_sys.modules["numpy"].random.set_state, _sys.modules["numpy"].random.get_state()))
    if "torch" in _sys.modules:
        _states.append((_sys.modules["torch"].set_rng_state, _sys.modules["torch"].get_rng_state()))
    try:
        exec(compile({code!r}, "answer", "exec"), _names)
    finally:
        for _restore, _state in _states:
            _restore(_state)


_run(dict(globals()))
del _run
"""


def _is_progress_bar(output: nbformat.NotebookNode) -> bool:
    """Say whether an output is the Trainer's live display in a notebook: HTML with a bar and seconds, empty once closed."""
    html = output.get("data", {}).get("text/html")
    return html is not None and ("<progress" in html or not html.strip())


def _joined(outputs: list) -> list:
    """Join consecutive pieces of stdout: a slow machine delivers one print in two pieces."""
    joined: list = []
    for output in outputs:
        if joined and output.output_type == joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def write_notebook(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Validate and write a notebook as UTF-8, one space of indent, with a final newline."""
    nbformat.validate(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, nbformat.writes(notebook) + "\n")


def grading_of(cell: nbformat.NotebookNode) -> dict:
    """Return nbgrader's metadata of a cell, {} if it is neither an answer nor a test."""
    return cell.metadata.get("nbgrader", {})


def is_answer(cell: nbformat.NotebookNode) -> bool:
    """Say whether students write into this cell."""
    return bool(grading_of(cell).get("solution"))


def is_test(cell: nbformat.NotebookNode) -> bool:
    """Say whether this cell grades an answer and is none itself: a written answer carries its own points."""
    return bool(grading_of(cell).get("grade")) and not is_answer(cell)


@lru_cache(maxsize=4096)
def names(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a cell reads from the notebook's namespace and those that it binds there; none if it cannot be compiled."""
    from IPython.core.inputtransformer2 import TransformerManager

    reads, binds = set(), set()
    try:
        top = symtable.symtable(TransformerManager().transform_cell(source), "cell", "exec")
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # halves of characters, a thousand brackets
        return frozenset(), frozenset()
    tables = [top]
    for table in tables:
        tables += table.get_children()
        for symbol in table.get_symbols():
            if table is top or symbol.is_global():
                if symbol.is_referenced():
                    reads.add(symbol.get_name())
                if symbol.is_assigned() or symbol.is_imported():
                    binds.add(symbol.get_name())
    return frozenset(reads), frozenset(binds)
