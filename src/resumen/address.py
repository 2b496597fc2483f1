"""Where the course is published: `[tool.resumen]` in pyproject.toml, and every file that repeats it."""

import re
from dataclasses import dataclass
from pathlib import Path

from resumen.errors import CourseError
from resumen.files import LAB, PROJECT, QUIZ, STARTER, read_text, write_text
from resumen.notebooks import read_notebook, write_notebook
from resumen.setup import PROJECTS

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

COLAB = "https://colab.research.google.com"
BADGE = re.compile(r"^(?:\[!\[Open in Colab\].*|\*\*Colab:\*\* .*)$", re.MULTILINE)
"""The line of a notebook that leads to Colab, or says why it does not yet."""

INSTALL = re.compile(r'^    %pip install --quiet "resumen\[notebooks\] @ git\+.*"$', re.MULTILINE)
LINES = {
    "CITATION.cff": (r"^(repository-code: ).*$", r'\g<1>"{url}"'),
    "pyproject.toml": (r"^(Repository = ).*$", r'\g<1>"{url}"'),
}
"""For files that hold the address once: the line, and what it becomes."""


@dataclass(frozen=True)
class Address:
    """What `[tool.resumen]` says. `published` is false until the tag exists on the server."""

    owner: str
    repository: str
    tag: str
    published: bool

    @property
    def url(self) -> str:
        """The repository's page."""
        return f"https://github.com/{self.owner}/{self.repository}"

    def colab(self, path: str) -> str:
        """Return the address that opens a notebook of the repository on Colab."""
        return f"{COLAB}/github/{self.owner}/{self.repository}/blob/{self.tag}/{path}"

    def badge(self, path: str) -> str:
        """Return the line of Markdown that opens a notebook on Colab; before the tag exists, a sentence that says so."""
        if not self.published:
            return f"**Colab:** from the release `{self.tag}` on, which is not published yet."
        return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({self.colab(path)})"

    @property
    def first_cell(self) -> str:
        """The first code cell of every notebook of the course."""
        return (
            "try:\n    import resumen\nexcept ImportError:  # on Colab\n"
            f'    %pip install --quiet "resumen[notebooks] @ git+{self.url}@{self.tag}"\n    import resumen'
        )


def read_address(root: Path) -> Address:
    """Return the address in the repository's pyproject.toml.

    Raises:
        CourseError: if it is missing there.
    """
    path = root / "pyproject.toml"
    try:
        return Address(**tomllib.loads(read_text(path))["tool"]["resumen"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        raise CourseError(
            f"{path} needs a table [tool.resumen] with owner, repository, tag and published, and nothing else."
        ) from None


def opened_path(path: Path) -> str:
    """Return which notebook the badge of `path`, relative to the repository, opens: of a source, what students get of it."""
    top, *folders, name = path.parts
    if top == "src":
        stem = path.stem
        return f"capstone/{stem}/{STARTER}" if stem in PROJECTS else f"labs/{stem}/{LAB}"
    if top == "solutions" and name == PROJECT:
        return f"capstone/{folders[0]}/{STARTER}"
    if top == "solutions" and name in (LAB, QUIZ):
        return f"labs/{folders[0]}/{name}"
    return path.as_posix()


def notebooks_with_badge(root: Path) -> list[Path]:
    """Return every notebook that can be opened on Colab or is the source or a copy of one that can."""
    patterns = ("stages", "labs", "quizzes", "capstone", "solutions", "src/resumen/data/labs")
    found = [path for folder in patterns for path in sorted((root / folder).rglob("*.ipynb"))]
    return [path for path in found if ".ipynb_checkpoints" not in path.parts]


def write_address(root: Path) -> list[Path]:
    """Write the address into notebooks and files, and return those that changed. The same address gives the same bytes."""
    address = read_address(root)
    changed = []
    for path in notebooks_with_badge(root):
        notebook = read_notebook(path)
        badge = address.badge(opened_path(path.relative_to(root)))
        install = address.first_cell.splitlines()[3]
        before = [cell.source for cell in notebook.cells]
        for cell in notebook.cells:
            pattern, line = (BADGE, badge) if cell.cell_type == "markdown" else (INSTALL, install)
            cell.source = pattern.sub(lambda _, line=line: line, cell.source)
        if [cell.source for cell in notebook.cells] != before:
            write_notebook(notebook, path)
            changed.append(path)
    for name, (pattern, line) in LINES.items():
        path = root / name
        text = read_text(path)
        new = re.sub(pattern, line.format(url=address.url), text, flags=re.MULTILINE)
        if new != text:
            write_text(path, new)
            changed.append(path)
    return changed
