"""`with predict("key"):` holds an output back until the reader has made a guess, and keeps the guess."""

import contextlib
import io
import sys
from pathlib import Path

from IPython.display import display
from IPython.utils.capture import capture_output

from resumen.errors import CourseError
from resumen.explore.reader import reader_present
from resumen.files import keep_entry, read_json

GUESSES = "guesses.json"
"""{notebook's folder/key: what the reader guessed}"""


class predict:
    """Run the block at once, and show what it prints and displays after a guess. Where nobody reads, show it at once.

    Args:
        key: a short name, unique in the notebook: the guess is kept under it, and shown beside the output from then on.
    """

    def __init__(self, key: str):
        self.key = key

    def __enter__(self) -> None:
        self.capture = capture_output() if reader_present() else None
        if self.capture:
            self.capture.__enter__()
            # What is printed joins what is displayed, in one list: `capture_output` forgets which came first.
            self.held = self.capture.shell.display_pub.outputs
            sys.stdout, sys.stderr = (_Printed(self.held, name) for name in ("stdout", "stderr"))

    def __exit__(self, kind, error, trace) -> None:
        if not self.capture:
            return
        if backend := sys.modules.get("matplotlib_inline.backend_inline"):
            backend.flush_figures()  # or a figure left open would be shown when the cell ends
        self.capture.__exit__(kind, error, trace)
        if error is None:
            _ask(self.key, self.held)
        else:
            _replay(self.held)


class _Printed(io.TextIOBase):
    """A stream whose text joins a list of outputs."""

    def __init__(self, outputs: list, name: str):
        self.outputs, self.name = outputs, name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.outputs.append((self.name, text))
        return len(text)


def _replay(outputs: list) -> None:
    """Print and display what was held back, in its order."""
    for output in outputs:
        if isinstance(output, dict):
            display(output["data"], metadata=output.get("metadata"), raw=True)
        else:
            name, text = output
            print(text, end="", file=getattr(sys, name))
    sys.stdout.flush()
    sys.stderr.flush()


def _ask(key: str, outputs: list) -> None:
    """Display a field for the guess and a button; once it is pressed, or was pressed at some other time, the outputs too."""
    import ipywidgets as widgets  # here: the package itself needs none

    guess = widgets.Text(
        value=read_guess(key) or "",
        description="Your guess",
        continuous_update=True,
        style={"description_width": "initial"},
        layout={"width": "100%", "max_width": "40em"},
    )
    button = widgets.Button(description="Show", tooltip="Show the output")
    shown = widgets.Output()

    def show(*_) -> None:
        if guess.disabled:
            return
        guess.disabled = True
        box.children = (guess, shown)
        with shown:
            _replay(outputs)

    def press(*_) -> None:
        keep_guess(key, guess.value.strip())
        show()

    button.on_click(press)
    guess.on_msg(lambda _, content, __: press() if content.get("event") == "submit" else None)  # the key Enter
    box = widgets.VBox([guess, button])
    display(box)
    if guess.value:
        show()


def read_guess(key: str) -> str | None:
    """Return the guess that was made in this folder's notebook, None if there was none."""
    path, name = _place(key)
    with contextlib.suppress(CourseError):
        return read_json(path).get(name)
    return None


def keep_guess(key: str, guess: str) -> None:
    """Keep a guess; where nothing can be written, forget it."""
    if guess:
        path, name = _place(key)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            keep_entry(path, name, guess)


def _place(key: str) -> tuple[Path, str]:
    """Return the file with the guesses, and the name of a guess in it.

    The file is in the workspace, the folder that holds `stages`. In the repository it is in `var`, which git ignores. Elsewhere, as in
    Colab, it is beside the notebook.
    """
    folder = Path.cwd()
    top = next((parent for parent in (folder, *folder.parents) if (parent / "stages").is_dir()), folder)
    file = top / "var" / GUESSES if (top / "pyproject.toml").is_file() else top / GUESSES
    return file, (folder.relative_to(top) / key).as_posix()
