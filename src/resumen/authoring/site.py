"""The course as a site: `make site` copies the pages into var/, rewrites their links and has Sphinx make HTML of them.

Nothing is executed and nothing is fetched: outputs are those that are committed, and the site works from a folder, without a server.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

from resumen.address import BADGE, Address, read_address
from resumen.errors import CourseError
from resumen.files import read_text, write_text
from resumen.notebooks import read_notebook, write_notebook
from resumen.setup import PRIMER, PROJECTS, STAGES

HERE = "docs/site"
"""Where Sphinx's configuration and the theme stand in the repository."""

DATA = "src/resumen/data"
PARTS = {
    "overview": {"en": "Overview", "es": "Resumen de la etapa"},
    "lecture": {"en": "Lecture", "es": "Lección"},
    "lab": {"en": "Lab", "es": "Práctica"},
    "quiz": {"en": "Quiz", "es": "Cuestionario"},
    "brief": {"en": "Brief", "es": "Encargo"},
    "data_contract": {"en": "Data contract", "es": "Contrato de datos"},
    "rubric": {"en": "Rubric", "es": "Rúbrica"},
    "checklist": {"en": "Checklist", "es": "Lista de control"},
    "starter": {"en": "Starter", "es": "Cuaderno de partida"},
    "annotations": {"en": "Worked example", "es": "Ejemplo resuelto"},
}
"""What the pages of a lesson or project are called in the list of contents."""

OTHERS = {
    "Start": ["README.md", "docs/setup.md", "docs/workspace.md", "stages/README.md"],
    "Projects": ["capstone/README.md"],
    **{
        project.capitalize(): [
            *(
                f"capstone/{project}/{name}"
                for name in ("brief.md", *more, "rubric.md", "checklist.md", "starter.ipynb")
            ),
            f"solutions/{project}/annotations.md",
        ]
        for project, more in (("premier", ()), ("capstone", ("data_contract.md",)))
    },
    "Reference": [
        "docs/glossary.md",
        *(f"{DATA}/{name}/README.md" for name in ("mt5-tiny", "reviews", "synopses", "news", "help", "runs")),
        "docs/benchmarks.md",
        "docs/lora.md",
        "docs/not_verified.md",
        "CHANGELOG.md",
    ],
    "Teach and contribute": [
        "docs/instructor.md",
        "docs/classroom.md",
        "quizzes/README.md",
        "CONTRIBUTING.md",
        "docs/style.md",
        "docs/architecture.md",
        "tests/README.md",
    ],
}
"""The pages that belong to no lesson, in reading order. The lessons stand after the first group."""

SPANISH_GROUPS = {
    "Start": "Empezar",
    "Projects": "Proyectos",
    "Reference": "Consulta",
    "Teach and contribute": "Enseñar y contribuir",
    "Primer": "Preparación",
}
FENCE = re.compile(r"(```.*?```|~~~.*?~~~|`[^`\n]*`)", re.DOTALL)
LINK = re.compile(r"(!?)\[([^]\[]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
LANGUAGES = re.compile(r"^(?:English · \[Español\]\(.*\)|\[English\]\(.*\) · Español)\n+", re.MULTILINE)
"""The line of a page that leads to its other language: the site has a switch."""

SHOW = "Guess first, then show the output"
"""What stands where a lecture holds an output back."""

READ_A_MINUTE = 150
"""Words."""


@dataclass
class Page:
    """A page of the site. `source` is its path in the repository, `group` the part of the contents that it belongs to."""

    source: str
    group: str
    part: str = ""
    pair: "Page | None" = None
    title: str = ""
    minutes: int = 0
    stated: bool = False

    @property
    def language(self) -> str:
        """`es` for a page called `*.es.md`."""
        return "es" if self.source.endswith(".es.md") else "en"

    @property
    def name(self) -> str:
        """What Sphinx calls the page: a README is the index of its folder."""
        return re.sub(r"(^|/)README(?=$|\.)", r"\1index", self.source.rsplit(".", 1)[0])

    @property
    def is_notebook(self) -> bool:
        """Whether it can be downloaded and opened on Colab."""
        return self.source.endswith(".ipynb")

    def label(self, language: str) -> str:
        """Return its name in the list of contents."""
        return PARTS[self.part][language] if self.part else self.title


@dataclass
class Site:
    """The pages of a repository, in reading order, and how they are copied."""

    root: Path
    pages: dict[str, Page] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first, *others = OTHERS.items()
        self._add(*first)
        for lesson in (STAGES[0], PRIMER, *STAGES[1:]):
            quiz = f"quizzes/{lesson}.ipynb"
            if lesson == PRIMER:
                self._add("Primer", [f"stages/{PRIMER}.ipynb", quiz], ["lecture", "quiz"])
            else:
                sources = [
                    f"stages/{lesson}/README.md",
                    f"stages/{lesson}/lecture.ipynb",
                    f"labs/{lesson}/lab.ipynb",
                    quiz,
                ]
                self._add(str(STAGES.index(lesson) + 1), sources, ["overview", "lecture", "lab", "quiz"])
        for group, sources in others:
            self._add(group, sources, [Path(source).stem for source in sources] if group.lower() in PROJECTS else ())

    def _add(self, group: str, sources: Sequence[str], parts: Iterable[str] = ()) -> None:
        for source, part in zip(sources, parts or [""] * len(sources), strict=True):
            page = self.pages[source] = Page(source, group, part)
            self._describe(page)
            other = source.removesuffix(".md") + ".es.md"
            if source.endswith(".md") and (self.root / other).is_file():
                page.pair = self.pages[other] = Page(other, group, part, pair=page)
                self._describe(page.pair)

    @cached_property
    def address(self) -> Address:
        """Where the course is published."""
        return read_address(self.root)

    @cached_property
    def citation(self) -> dict:
        """What CITATION.cff says."""
        return yaml.safe_load(read_text(self.root / "CITATION.cff"))

    @cached_property
    def by_name(self) -> dict[str, Page]:
        """The pages by what Sphinx calls them."""
        return {page.name: page for page in self.pages.values()}

    def _describe(self, page: Page) -> None:
        """Set title and minutes: as the page states them, else by the number of its words."""
        text = self._prose(page.source)
        page.title = re.search(r"^# (.+)$", text, re.MULTILINE)[1].replace("`", "")
        stated = re.search(r"\*\*Time\*\*\D*(\d+) minutes", text)
        if page.part == "quiz":
            lesson = Path(page.source).stem
            syllabus = read_text(self.root / "stages" / "README.md")
            target = f"{PRIMER}.ipynb" if lesson == PRIMER else f"{lesson}/README.md"
            row = re.search(rf"\({re.escape(target)}\) \|(.+)\|$", syllabus, re.MULTILINE)
            stated = row and re.search(r"(\d+)\D*$", row[1].rsplit("|", 1)[0])
        page.stated = bool(stated)
        page.minutes = int(stated[1]) if stated else -(-len(re.findall(r"\w+", text)) // READ_A_MINUTE)

    def _prose(self, source: str) -> str:
        path = self.root / source
        if path.suffix == ".md":
            return read_text(path)
        return "\n\n".join(cell.source for cell in read_notebook(path).cells if cell.cell_type == "markdown")

    def contents(self, language: str) -> list[tuple[str, list[Page]]]:
        """Return the list of contents: each group's name, and its pages in a language, in English where there is no other."""
        groups: dict[str, list[Page]] = {}
        for page in self.pages.values():
            if page.language == "en":
                groups.setdefault(page.group, []).append(self.in_language(page, language))
        stage = {"en": "Stage", "es": "Etapa"}[language]
        return [(self._group(name, language, stage), pages) for name, pages in groups.items()]

    def _group(self, name: str, language: str, stage: str) -> str:
        if name.isdigit():
            return f"{stage} {name}"
        return SPANISH_GROUPS.get(name, name) if language == "es" else name

    def in_language(self, page: Page, language: str) -> Page:
        """Return a page in a language, as it is where it has no other."""
        return page.pair if page.pair and page.pair.language == language else page

    def neighbours(self, page: Page) -> tuple[Page | None, Page | None]:
        """Return what comes before and after a page, in its language where that exists."""
        english = [one for one in self.pages.values() if one.language == "en"]
        place = english.index(self.in_language(page, "en"))
        before = english[place - 1] if place else None
        after = english[place + 1] if place + 1 < len(english) else None
        return tuple(one and self.in_language(one, page.language) for one in (before, after))

    def copy(self, folder: Path) -> None:
        """Write what Sphinx reads: the pages into `folder`/source, and the notebooks to download into `folder`/extra."""
        shutil.rmtree(folder, ignore_errors=True)
        for page in self.pages.values():
            path = self.root / page.source
            target = folder / "source" / f"{page.name}{path.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".md":
                write_text(target, self.rewrite(read_text(path), page, folder / "source"))
                continue
            notebook = read_notebook(path)
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = self.rewrite(cell.source, page, folder / "source")
                elif "with predict(" in cell.source:
                    cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-output"]
            if page.part == "quiz":  # the page shows what running the cells would show
                notebook.cells = [notebook.cells[0], notebook.cells[-1]]
                notebook.cells[0].source = notebook.cells[0].source.splitlines()[0]
                notebook.cells[1].metadata["tags"] = ["remove-input"]
            write_notebook(notebook, target)
            download = folder / "extra" / page.source
            download.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, download)
        for name in ("LICENSE", "LICENSE-CONTENT", "CITATION.cff"):
            shutil.copy(self.root / name, folder / "extra" / name)
        shutil.copytree(
            self.root / "docs" / "pictures", folder / "extra" / "docs" / "pictures"
        )  # the README's, in HTML

    def rewrite(self, text: str, page: Page, source: Path) -> str:
        """Return a page's Markdown with its links led to other pages of the site, or to copies of the files."""
        parts = FENCE.split(LANGUAGES.sub("", BADGE.sub("", text)))
        for place, part in enumerate(parts):
            if place % 2 and part.strip("`") in self.pages and not parts[place - 1].endswith("["):
                parts[place] = f"[{part}]({self._relative(self.pages[part.strip('`')], page)})"
        text = "".join(parts)
        # Links once more on the whole: their words may be code.
        blocks = re.split(r"(```.*?```|~~~.*?~~~)", text, flags=re.DOTALL)
        blocks[::2] = [LINK.sub(lambda match: self._link(match, page, source), block) for block in blocks[::2]]
        return "".join(blocks)

    def _relative(self, target: Page, page: Page) -> str:
        path = f"{target.name}{Path(target.source).suffix}"
        return os.path.relpath(path, Path(page.name).parent).replace(os.sep, "/")

    def _link(self, match: re.Match, page: Page, source: Path) -> str:
        image, words, target, anchor = match[1], match[2], match[3], match[4] or ""
        path = os.path.normpath(Path(page.source).parent / unquote(target)).replace(os.sep, "/")
        if path in self.pages:
            return f"[{words}]({self._relative(self.pages[path], page)}{anchor})"
        if target in {self._relative(one, page) for one in self.pages.values()}:  # led there already
            return match[0]
        file = self.root / path
        if not file.is_file() or file.suffix in (".md", ".ipynb"):
            return words  # in the repository, and no page
        copy = source / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
        return f"{image}[{words}]({os.path.relpath(path, Path(page.name).parent)})"


def polish(body: str) -> str:
    """Return a page's HTML with what the sources leave to the page: boxes by their label, wide tables, held-back outputs."""
    body = re.sub(
        r"<blockquote>\n<div><p><strong>([\w ]+)", lambda found: _with_class("blockquote", found[1], found[0]), body
    )
    body = re.sub(r"<p><strong>(Predict)", lambda found: _with_class("p", found[1], found[0]), body)
    body = re.sub(
        r'<details class="admonition hide below-input">\s*<summary[^>]*>.*?</summary>',
        f'<details class="guess"><summary>{SHOW}</summary>',
        body,
        flags=re.DOTALL,
    )
    body = re.sub(r'<table class="docutils.*?</table>', r'<div class="wide">\g<0></div>', body, flags=re.DOTALL)
    # A column of row names has no head.
    return re.sub(r"<th(?: class=\"head\")?>(?:<p></p>)?</th>", "<td></td>", body)


def _with_class(tag: str, label: str, text: str) -> str:
    return text.replace(f"<{tag}>", f'<{tag} class="{label.strip().lower().replace(" ", "-")}">', 1)


class _Links(HTMLParser):
    """The addresses that an HTML page asks for or leads to, and the names in it that a link can lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[tuple[str, str]] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.names.add(value)
            elif name in ("href", "src", "action"):
                self.targets.append((tag, value or ""))


def broken_links(folder: Path) -> list[str]:
    """Return a sentence for each link of a built site that leads nowhere, and each thing that a page fetches from elsewhere."""
    pages = {}
    for path in sorted(folder.rglob("*.html")):
        pages[path] = _Links()
        pages[path].feed(path.read_text(encoding="utf-8"))
    found = []
    for path, page in pages.items():
        for tag, target in page.targets:
            parts = urlsplit(target)
            if parts.scheme in ("http", "https"):
                if tag != "a":
                    found.append(f"{path.relative_to(folder)} fetches {target}.")
            elif not parts.scheme:
                file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                known = file.is_file() and (not parts.fragment or unquote(parts.fragment) in pages[file].names)
                if not known:
                    found.append(f"{path.relative_to(folder)} leads to {target}, which is not there.")
    return found


def build(root: Path, target: Path) -> None:
    """Write the site of the repository `root` into `target`.

    Raises:
        CourseError: if Sphinx is missing or warns of something, or a link leads nowhere.
    """
    try:
        from sphinx.cmd.build import build_main
    except ModuleNotFoundError:
        raise CourseError(
            "The site needs Sphinx and Python 3.11 or later: run `make site` with such a Python."
        ) from None

    work = target.with_name(f".{target.name}")
    Site(root).copy(work)
    shutil.rmtree(target, ignore_errors=True)
    # -n: every reference leads somewhere; -W: a warning is an error; -E: nothing is kept from another build.
    options = ["-b", "html", "-n", "-W", "--keep-going", "-E", "-q", "-c", str(root / HERE), "-d", str(work / "trees")]
    if build_main([*options, str(work / "source"), str(target)]):
        raise CourseError("The site was not built: mend what Sphinx says above.")
    shutil.rmtree(work)
    shutil.rmtree(target / "_sources", ignore_errors=True)
    if found := broken_links(target):
        raise CourseError("\n".join(["The site has links that lead nowhere:", *found]))


if __name__ == "__main__":
    try:
        build(Path.cwd(), Path.cwd() / "var" / "site")
    except CourseError as error:
        sys.exit(str(error))
    print("The site is in var/site: open var/site/index.html.")
