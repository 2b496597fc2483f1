"""An instructor's first hour: the page and its script say the same, and the script ends with the right scores."""

import csv
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from resumen import cli
from resumen.errors import CourseError
from resumen.instructor import draws, sandbox
from resumen.instructor.init import init

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STAGE = "stage1_corpus"
JOSE, ANA = "José Núñez", "garcialopezana_12345"


def commands(text):
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_the_page_and_the_script_have_the_same_commands():
    page = (ROOT / "docs" / "instructor.md").read_text(encoding="utf-8")
    script = (HERE / "first_hour.sh").read_text(encoding="utf-8")
    shown = commands("\n".join(re.findall(r"^```bash\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)))
    run = commands(script.partition("# A course of your own\n")[2])
    inventions = ['python "$INVENTIONS" submissions "$DOWNLOAD"', 'python "$INVENTIONS" written']
    assert [line for line in run if line not in inventions] == shown
    assert [line for line in run if line in inventions] == inventions


class TestFaults:
    """Each is one sentence, and nothing is made."""

    def refuse(self, directory, root=ROOT):
        with pytest.raises(CourseError) as raised:
            init(directory, root)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    def test_no_checkout(self, tmp_path):
        assert self.refuse(tmp_path / "course", tmp_path).startswith(f"{tmp_path} is no checkout of the course: ")
        assert list(tmp_path.iterdir()) == []

    def test_not_empty(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
        assert self.refuse(tmp_path) == f"{tmp_path} exists and is not empty: name a new folder. Nothing was changed."
        assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"

    def test_a_file(self, tmp_path):
        file = tmp_path / "file"
        file.touch()
        assert self.refuse(file) == f"{file} is a file: name a new folder. Nothing was changed."
        assert "cannot be made: " in self.refuse(file / "course")
        assert list(tmp_path.iterdir()) == [file]

    def test_in_a_checkout(self, tmp_path):
        assert f" lies in {ROOT}, a checkout of the public course" in self.refuse(ROOT / "var" / "course")
        (tmp_path / "src" / "resumen").mkdir(parents=True)
        assert "a checkout of the public course" in self.refuse(tmp_path / "course")

    def test_not_writable(self, tmp_path, monkeypatch):
        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("tempfile.mkdtemp", refuse)
        directory = tmp_path / "course"
        assert self.refuse(directory) == (
            f"{directory} cannot be made: Permission denied. Name a folder that you may write."
        )

    def test_half_way(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(draws, "private_tests", refuse)
        assert "No space left on device" in self.refuse(tmp_path / "course")
        assert list(tmp_path.iterdir()) == []

    def test_command(self, tmp_path):
        result = CliRunner().invoke(cli.app, ["instructor", "init", str(tmp_path / "course"), "--root", str(tmp_path)])
        assert isinstance(result.exception, CourseError)
        assert result.exit_code == 1


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="the script is for bash")
class TestFirstHour:
    @pytest.fixture(scope="class")
    def hour(self, tmp_path_factory):
        """The course that the script leaves, and what it printed."""
        if missing := sandbox.available():
            pytest.skip(missing)
        course = tmp_path_factory.mktemp("hour") / "my course"
        home = course.parent / "home"
        environment = os.environ | {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "PYTHONPATH": str(ROOT / "src"),
            "JUPYTER_CONFIG_DIR": str(home),
            "JUPYTER_DATA_DIR": str(home),
            "JUPYTER_RUNTIME_DIR": str(home),
        }
        done = subprocess.run(
            ["bash", str(HERE / "first_hour.sh"), str(course)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return course, done.stdout + done.stderr

    def test_the_course(self, hour):
        course, _ = hour
        assert {path.name for path in course.iterdir()} == {
            "README.md",
            ".gitignore",
            "nbgrader_config.py",
            "solutions",
            "labs",
            "var",
        }
        assert stat.S_IMODE(course.stat().st_mode) == 0o700
        assert "var/" in (course / ".gitignore").read_text(encoding="utf-8").splitlines()
        readme = (course / "README.md").read_text(encoding="utf-8")
        assert f"{len(draws.DRAWS)} of the {len(draws.DRAWS) + len(draws.PUBLIC_ONLY)} automatic" in readme
        assert set(re.findall(r"^\| `stage\w+` \| `([\w-]+)`", readme, flags=re.MULTILINE)) == set(draws.PUBLIC_ONLY)

    def test_students_get_the_public_labs(self, hour):
        course, _ = hour
        for name in ("lab.ipynb", "quiz.ipynb"):
            inside = Path("labs", STAGE, name)
            assert (course / inside).read_bytes() == (ROOT / inside).read_bytes()

    def test_the_graded_notebooks_hold_the_private_tests(self, hour):
        course, _ = hour
        graded = nbformat.read(course / "var" / "autograded" / JOSE / STAGE / "lab.ipynb", as_version=4)
        source = nbformat.read(course / "solutions" / STAGE / "lab.ipynb", as_version=4)
        tests = {cell.id: cell.source for cell in source.cells if draws.PLACE in cell.source}
        assert len(tests) == 9
        assert {cell.id: cell.source for cell in graded.cells if cell.id in tests} == tests

    def test_what_was_said_of_the_files(self, hour):
        _, printed = hour
        assert "notes.ipynb was left out: its name is neither Moodle's nor Canvas's" in printed
        assert "garcialopezana_12345_678900_lab.ipynb was left out: garcialopezana_LATE_12345_678910_lab-1" in printed
        assert "lab: n = 2" in printed and "quiz: n = 1" in printed

    def test_scores(self, hour):
        """José lost has_min_words (8 points), Ana deduplicate (11); each has 7 of 12 for the written answer."""
        course, _ = hour
        with (course / "var" / "scores" / "scores.csv").open(encoding="utf-8") as file:
            scores = {
                (row["student_id"], row["notebook"]): (row["score"], row["state"]) for row in csv.DictReader(file)
            }
        assert scores == {
            (JOSE, "lab"): (f"{100 - 8 - 5}", "graded"),
            (JOSE, "quiz"): ("6", "graded"),
            (ANA, "lab"): (f"{100 - 11 - 5}", "graded"),
            (ANA, "quiz"): ("", "not handed in"),
        }

    def test_feedback(self, hour):
        course, _ = hour
        pages = {
            path.relative_to(course / "var" / "feedback").as_posix(): path
            for path in course.glob("var/feedback/**/*.html")
        }
        assert set(pages) == {f"{JOSE}/{STAGE}/lab.html", f"{JOSE}/{STAGE}/quiz.html", f"{ANA}/{STAGE}/lab.html"}
        text = pages[f"{JOSE}/{STAGE}/lab.html"].read_text(encoding="utf-8")
        assert "a token without a letter or digit is not a word" in text
        assert "A second reason against the mirror is missing." in text
        damaged = pages[f"{ANA}/{STAGE}/lab.html"].read_text(encoding="utf-8")
        assert "What was mended" in damaged and "length-stats-tests" in damaged
