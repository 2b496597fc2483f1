"""The repository as a whole: who imports whom, what the files promise one another, and the shape of the lectures."""

import ast
import copy
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from resumen.notebooks import answers_in, normalize
from resumen.setup import LESSONS, lecture_path, objective_prefix, objectives_path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10: pytest brings the same under another name
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
LARGEST = 5_000_000
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|home|Users|work)/\w")
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<])/(?:root|home|Users|work|tmp|usr|opt|var|mnt|content)/\w|\b[A-Z]:\\\w")


def repository_files():
    """Return the files that belong to the repository: not what set-up, caches and results leave behind."""
    ignored = re.compile(
        r"\.git|\.venv|\.whl|\.cache|my-course|var|build|dist|__pycache__|\.ipynb_checkpoints|checkpoint-.*|.*_cache|.*\.egg-info"
    )
    files = []
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = sorted(name for name in subfolders if not ignored.fullmatch(name))
        files += [Path(folder) / name for name in sorted(names)]
    return files


FILES = repository_files()
PAGES = [path for path in FILES if path.suffix in (".md", ".ipynb")]


def test_imports_point_one_way():
    """The contracts stand in pyproject.toml, [tool.importlinter]."""
    # In a process of its own: the linter closes the stream that pytest captures with.
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class TestCondaDoor:
    @pytest.fixture
    def project(self):
        return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    @pytest.fixture
    def text(self):
        return (ROOT / "environment.yml").read_text(encoding="utf-8")

    def test_it_points_to_the_package(self, project, text):
        environment = yaml.safe_load(text)
        assert environment["name"] == project["name"]
        assert environment["channels"] == ["conda-forge"]
        python, pip, packages = environment["dependencies"]
        assert SpecifierSet(project["requires-python"]).contains(python.removeprefix("python="))
        assert pip == "pip"
        (line,) = packages["pip"]
        option, target = shlex.split(line)
        extras = Requirement(f"resumen{target.removeprefix('.')}").extras
        assert (option, target[0]) == ("-e", ".")
        assert extras == {"notebooks", "grading"} <= set(project["optional-dependencies"])

    def test_each_line_says_what_needs_it(self, text):
        dependencies = text.split("dependencies:\n")[1].splitlines()
        for line in dependencies:
            assert line.strip() == "- pip:" or re.search(r"  # .*stage", line), line


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|~~~.*?~~~|`[^`\n]*`", "", text, flags=re.DOTALL)
    targets = re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)", text, flags=re.MULTILINE)
    relative = [one or other for one, other in targets if not re.match(r"[a-z]+:|#", one or other)]
    missing = [target for target in relative if not (path.parent / unquote(target.split("#")[0])).exists()]
    assert missing == []


@pytest.mark.parametrize("page", ["README.md", "README.es.md"])
def test_the_readme_is_short_and_has_the_minutes_of_the_syllabus(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    rows = re.findall(r"^\| .+?\((?:stages/)?(\S+?)\) \|(.+)$", text, flags=re.MULTILINE)
    syllabus = (ROOT / "stages" / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| \S+ \| \[[^]]+\]\((\S+?)\) \|(.+)$", syllabus, flags=re.MULTILINE)
    minutes = {target: re.findall(r"\d+", cells.rsplit("|", 2)[0]) for target, cells in told}
    assert minutes == {target: re.findall(r"\d+(?= min)", cells) for target, cells in rows if "min" in cells}


WORDS_A_MINUTE, MINUTES_A_CELL, MINUTES_A_GUESS = 150, 0.5, 1
RUNNING = {"stage4_trainer": 2, "stage5_accelerate": 2.5}
"""Minutes that `make course` shows for the lectures that train, rounded to halves; the others run for seconds."""

LONGEST = 4_500, 15
"""Words of a lecture, lines of a code cell."""


def test_a_lecture_is_as_long_as_its_box_says(lecture, lesson):
    """Reading, code cells, predictions and running time. Exercises come on top, and folded answers are read by those who want to."""
    text = [cell.source for cell in lecture.cells if cell.cell_type == "markdown"]
    code = [cell.source for cell in lecture.cells if cell.cell_type == "code"]
    folded = r"<details><summary>(?:Answer</summary>.*?</details>|[^<]*</summary>)|<!--.*?-->"
    words = sum(len(re.findall(r"\w[\w'’.-]*", re.sub(folded, "", one, flags=re.DOTALL))) for one in text)
    assert words <= LONGEST[0]
    assert [cell for cell in code if len(cell.splitlines()) > LONGEST[1]] == []
    guesses = sum("**Predict.**" in one for one in text)
    minutes = words / WORDS_A_MINUTE + len(code) * MINUTES_A_CELL + guesses * MINUTES_A_GUESS + RUNNING.get(lesson, 0)
    (stated,) = re.findall(r"\*\*Time\*\* about (\d+) minutes", "\n".join(text))
    assert abs(int(stated) - minutes) <= 4, f"{words} words, {len(code)} cells, {guesses} predictions: {minutes:.0f}"


def test_an_instructor_reads_a_thousand_words_at_most():
    assert len((ROOT / "docs" / "instructor.md").read_text(encoding="utf-8").split()) <= 1000


def test_no_file_is_large():
    assert [str(path) for path in FILES if path.stat().st_size > LARGEST] == []


def test_no_path_of_one_machine():
    found = []
    for path in FILES:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # parquet, weights, images
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in MACHINE_PATH.finditer(text)]
    assert found == []


SEVERAL = re.compile(r"nproc_per_node|--nnodes|--num_machines|--multi_gpu|debug_launcher|notebook_launcher|\bspawn\(")
OPENS = re.compile(r"\bAccelerator\(|\binit_process_group\(")
CLOSES = re.compile(r"\bend_training\(\)|\bdestroy_process_group\(\)")


def open_groups(source):
    """Return the scripts in a cell or file that run as several processes and do not close their group.

    A script is a text that the source launches, or the source itself if it can be launched.
    """
    if not SEVERAL.search(source):
        return []
    python = re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)
    strings = [node.value for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Constant)]
    scripts = [text for text in strings if isinstance(text, str) and text.count("\n") > 1]
    scripts += [python] if 'if __name__ == "__main__"' in python else []
    return [script for script in scripts if OPENS.search(script) and not CLOSES.search(script)]


def test_scripts_of_several_processes_close_their_group():
    """One that ends without it dies now and then on a busy machine, with signal 6."""
    found = []
    for path in set(FILES) - {Path(__file__)}:  # here stand the examples of the next test
        sources = [path.read_text(encoding="utf-8")] if path.suffix == ".py" else []
        if path.suffix == ".ipynb":
            sources = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        found += [f"{path.relative_to(ROOT)}: {text[:60]!r}" for source in sources for text in open_groups(source)]
    assert found == []


def test_helper_finds_open_groups():
    script = "from accelerate import Accelerator\nmine = Accelerator(cpu=True)\nprint(mine.num_processes)\n"
    launched, alone = "launch(text, '--nproc_per_node 2')", "launch(text, '--cpu')"
    assert open_groups(f"text = {script!r}\n{launched}") == [script]
    assert open_groups(f"text = {script + 'mine.end_training()'!r}\n{launched}") == []
    assert open_groups(f"text = {script!r}\n{alone}") == []
    module = f'"""torchrun --nproc_per_node 2 me.py"""\n{script}if __name__ == "__main__":\n    pass'
    assert open_groups(module) == [module]
    assert open_groups(module + "\n    mine.end_training()") == []


def test_first_code_cell_is_the_same_everywhere():
    first = {}
    for lesson in LESSONS:
        cells = nbformat.read(lecture_path(ROOT, lesson), as_version=4).cells
        first[lesson] = next(cell.source for cell in cells if cell.cell_type == "code")
    assert len(set(first.values())) == 1, first


def test_lecture_is_a_normalised_notebook(lecture):
    """Contributors run `make notebooks`; what it leaves is what is committed."""
    assert (lecture.nbformat, lecture.nbformat_minor) == (4, 5)
    nbformat.validate(lecture)
    ids = [cell.id for cell in lecture.cells]
    assert len(ids) == len(set(ids))
    for cell, normal in zip(lecture.cells, normalize(copy.deepcopy(lecture)).cells, strict=True):
        assert cell == normal, f"cell {cell.id} is not normalised: run `make notebooks`"
    assert lecture.metadata == normalize(copy.deepcopy(lecture)).metadata


def test_lecture_has_one_title(lecture):
    text = "\n".join(cell.source for cell in lecture.cells if cell.cell_type == "markdown")
    titles = re.findall(r"^# .+", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), flags=re.MULTILINE)
    assert len(titles) == 1
    assert lecture.cells[0].source.startswith(titles[0])


def test_lecture_outputs(lecture):
    outputs = [(cell.id, output) for cell in lecture.cells if cell.cell_type == "code" for output in cell.outputs]
    assert outputs, "the lecture was not executed"
    assert [name for name, output in outputs if output.output_type == "error"] == []
    assert [name for name, output in outputs if output.get("name") == "stderr"] == []


def test_lecture_has_no_absolute_path(lecture):
    found = []
    for cell in lecture.cells:
        texts = [cell.source]
        for output in cell.get("outputs", []):
            texts.append(output.get("text", ""))
            texts += [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
        found += [(cell.id, text[match.start() :][:60]) for text in texts for match in ABSOLUTE_PATH.finditer(text)]
    assert found == []


def test_every_objective_has_a_section(lesson, lecture):
    page = objectives_path(ROOT, lesson).read_text(encoding="utf-8")
    name = re.compile(rf"\b{re.escape(objective_prefix(lesson))}\d+\b")
    objectives = set(name.findall(page))
    headings = [line for cell in lecture.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    taught = {found for line in headings if line.startswith("## ") for found in name.findall(line)}
    assert objectives, "the page names no objective"
    assert objectives == taught


def test_every_exercise_has_an_answer(lesson, lecture):
    exercises, answers = 0, []
    for cell in lecture.cells:
        if cell.cell_type == "markdown":
            exercises += len(re.findall(r"^> \*\*Try it", cell.source, flags=re.MULTILINE))
            answers += answers_in(cell.source)
    assert [answer.code for answer in answers if len(answer.code.splitlines()) > 12] == []
    assert len(answers) == exercises
