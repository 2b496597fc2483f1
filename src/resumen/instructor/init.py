"""A private course: a folder that an instructor grades in, with hidden tests that are not in the public repository."""

import random
import shutil
import tempfile
from pathlib import Path

from resumen import __version__
from resumen.errors import CourseError
from resumen.files import LAB

IGNORED = """\
# What students handed in, their scores and the feedback: nbgrader writes all of it under var/.
var/
.ipynb_checkpoints/
"""

README = """\
# A private course

Made by `resumen instructor init` of Resumen {version}. Keep this folder to yourself: it holds hidden tests that nobody else has.
If you put it under version control, use a private repository.

| here | what it is |
|---|---|
| `solutions/` | the sources: labs, graded quizzes and projects, with solutions and hidden tests. Edit these |
| `labs/`, `capstone/` | what students get, made from `solutions/` by `resumen release`. Never edit them |
| `var/` | gradebook, submissions, feedback. Git ignores it |
| `nbgrader_config.py` | the settings of the public course; every path is relative to this folder |

The steps from here to a list of scores are in `docs/instructor.md` of the public repository.

## The hidden tests of your own

Each test cell of a lab ends in a place for them, below the line that begins with `# The hidden tests of your own course`. Below that line, {drawn} of the {tasks} automatic
tasks have tests already. Their data was drawn for this folder and for no other, and what the reference makes of it was computed once and written down. So they belong to the
versions that are installed now: after an update of the course or of its libraries, run the proof below again.

These {public} tasks carry the public tests only:

| lab | test cell | why nothing was drawn |
|---|---|---|
{table}

The questions of the graded quizzes and their keys are public too, and so are the tests of the two projects.

### How to write one

Open `solutions/<stage>/lab.ipynb` in JupyterLab, find the test cell, and write below the line. `rouge_lsum` in stage 3, for example. A case that you can work out by hand: two
sentences change places, so every word is found again.

```python
with quiet():
    got = rouge_lsum("El final sobra.\\nLa trama engancha.", "La trama engancha.\\nEl final sobra.")
    assert abs(got.fmeasure - 1) < 1e-9, f"two sentences in another order have all words: got {{got.fmeasure}}"
```

- Test what the contract in the lab says, and nothing else. There are right answers that look quite different from the reference.
- Every lab imports `quiet`. Without it, a warning on stderr costs a right answer all its points.
- Do not end the cell with an expression: nbgrader takes its value for partial credit.
- Leave the two lines with `HIDDEN TESTS` where they are.

### The proof

After each change the reference must pass, and the untouched lab must fail everything:

```bash
nbgrader validate solutions/stage3_rouge_baseline/lab.ipynb
resumen release stage3_rouge_baseline
nbgrader validate --invert labs/stage3_rouge_baseline/lab.ipynb
```

The first says that your notebook passes all the tests. The last says that no test passes.
"""


def init(directory: Path, root: Path, rng: random.Random | None = None) -> None:
    """Make a private nbgrader course: settings, sources with hidden tests drawn for it, a README that says what is private.

    Args:
        directory: the folder to make; it may exist if it is empty.
        root: a checkout of the course. The sources are not part of the installed package.
        rng: where private data comes from; by default the operating system's randomness, which nobody can draw again.

    Raises:
        CourseError: if there is no checkout, or the folder is not empty, lies in a checkout or cannot be written.
    """
    sources = sorted(root.glob("solutions/*/*.ipynb"))
    if not sources or not (root / "nbgrader_config.py").is_file():
        raise CourseError(
            f"{root} is no checkout of the course: the sources of the labs are not in the installed package, so clone the "
            "repository and run this there, or name it with --root."
        )
    _check(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        # Made beside it and moved at the end: what fails half-way leaves nothing behind. Nobody else may read it.
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as folder:
            course = Path(folder) / "course"
            course.mkdir(mode=0o700)
            _fill(course, root, sources, rng or random.SystemRandom())
            course.replace(directory)
    except OSError as error:
        raise CourseError(f"{directory} cannot be made: {error.strerror}. Name a folder that you may write.") from None


def _check(directory: Path) -> None:
    resolved = directory.resolve()
    for parent in (resolved, *resolved.parents):
        if (parent / "src" / "resumen").is_dir():
            raise CourseError(
                f"{directory} lies in {parent}, a checkout of the public course, and could be published with it: name a "
                "folder outside."
            )
    try:
        if directory.is_dir() and any(directory.iterdir()):
            raise CourseError(f"{directory} exists and is not empty: name a new folder. Nothing was changed.")
        if directory.exists() and not directory.is_dir():
            raise CourseError(f"{directory} is a file: name a new folder. Nothing was changed.")
    except OSError as error:
        raise CourseError(f"{directory} cannot be read: {error.strerror}. Name a folder that is yours.") from None


def _fill(course: Path, root: Path, sources: list[Path], rng: random.Random) -> None:
    from resumen.instructor.draws import DRAWS, PUBLIC_ONLY
    from resumen.notebooks import read_notebook, write_notebook
    from resumen.setup import quieten

    quieten()
    shutil.copyfile(root / "nbgrader_config.py", course / "nbgrader_config.py")
    (course / ".gitignore").write_text(IGNORED, encoding="utf-8")
    tests = []
    for source in sources:
        notebook = read_notebook(source)
        if source.name == LAB:
            tests += [(source.parent.name, name) for name in _add_private_tests(notebook, rng)]
        write_notebook(notebook, course / source.relative_to(root))
    public = [(stage, name) for stage, name in tests if name not in DRAWS]
    rows = [f"| `{stage}` | `{name}` | {PUBLIC_ONLY.get(name, 'no generator yet')} |" for stage, name in public]
    readme = README.format(
        version=__version__,
        drawn=len(tests) - len(public),
        tasks=len(tests),
        public=len(public),
        table="\n".join(rows),
    )
    (course / "README.md").write_text(readme, encoding="utf-8")


def _add_private_tests(notebook, rng: random.Random) -> list[str]:
    """Put private tests into every hidden region of a lab, and return the names of the test cells."""
    from resumen.instructor.draws import private_tests
    from resumen.notebooks import grading_of, is_test

    end = "### END HIDDEN TESTS"
    names = []
    for cell in notebook.cells:
        if is_test(cell) and end in cell.source:
            before, _, after = cell.source.rpartition(end)
            name = grading_of(cell)["grade_id"]
            cell.source = f"{before}{private_tests(name, rng)}\n{end}{after}"
            names.append(name)
    return names
