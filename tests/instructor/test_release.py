"""Release: what students get of a source, what they must not get, and what a course that is not in order is told."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from traitlets.config import PyFileConfigLoader
from typer.testing import CliRunner

from resumen import cli
from resumen.address import read_address
from resumen.errors import CourseError
from resumen.instructor.release import all_but, leaks, release
from resumen.notebooks import run_notebook, write_notebook
from resumen.quiz import Choice, Mistake, Question, Quiz
from resumen.quiz.graded import graded_notebook
from resumen.setup import STAGES

STAGE = "stage1_corpus"
OTHER = "stage2_tokenization"
LAB, QUIZ = Path("labs", STAGE, "lab.ipynb"), Path("labs", STAGE, "quiz.ipynb")
KEYS = {"solution": "return 40 + 2", "hidden": "assert the_answer() == 42"}


def code(name, source, **nbgrader):
    """Return a code cell; with `grade` or `solution` it is one of nbgrader's."""
    if not nbgrader:
        return new_code_cell(source, id=name)
    meta = {"grade": False, "solution": False, "locked": False, "task": False, "cell_type": "code", "schema_version": 3}
    return new_code_cell(source, id=name, metadata={"nbgrader": {**meta, "grade_id": name, **nbgrader}})


def lab():
    """Return a source lab of one task."""
    solution = f"def the_answer():\n    ### BEGIN SOLUTION\n    {KEYS['solution']}\n    ### END SOLUTION"
    test = f"assert the_answer() > 0\n### BEGIN HIDDEN TESTS\n{KEYS['hidden']}\n### END HIDDEN TESTS"
    cells = [
        new_markdown_cell("# A lab", id="title"),
        code("setup", "limit = 3"),
        new_markdown_cell("## A task", id="task"),
        code("task-solution", solution, solution=True),
        code("task-test", test, grade=True, locked=True, points=4),
        code("last", "print('the end')"),
    ]
    cells[1].outputs = [new_output("stream", text="shown once")]
    return new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )


def quiz(stage=STAGE):
    """Return the source of a graded quiz of three types, and its right answers."""
    two = {"en": "?", "es": "¿?"}
    common = {"objective": "S1.1", "pool": "graded", "prompt": two, "code": "", "output": "", "check": ""}
    letters = {"answer": None, "tolerance": 0, "reason": None, "mistakes": ()} | common
    choices = tuple(Choice({"en": f"{n}", "es": f"{n}"}, None, n in (1, 3), two) for n in range(4))
    questions = (
        Question(id="s1-one", type="single", points=1, choices=choices[:3], **letters),
        Question(id="s1-some", type="multiple", points=2, choices=choices, **letters),
        Question(
            id="s1-number",
            type="numeric",
            points=3,
            answer=0.5,
            tolerance=0.1,
            choices=(),
            reason=two,
            mistakes=(Mistake(2, two),),
            **common,
        ),
    )
    return graded_notebook(
        Quiz(stage, {"en": "Quiz", "es": "Cuestionario"}, questions), read_address(Path(__file__).parents[2])
    )


def read(path):
    return nbformat.read(path, as_version=4)


def texts(path):
    return "\n".join(cell.source for cell in read(path).cells)


@pytest.fixture(scope="module")
def released(root, tmp_path_factory):
    """A course of two stages, released; for tests that change nothing."""
    course = tmp_path_factory.mktemp("course")
    shutil.copy(root / "nbgrader_config.py", course)
    write_notebook(lab(), course / "solutions" / STAGE / "lab.ipynb")
    write_notebook(quiz(), course / "solutions" / STAGE / "quiz.ipynb")
    write_notebook(quiz(OTHER), course / "solutions" / OTHER / "quiz.ipynb")
    release(course)
    return course


@pytest.fixture
def course(released, tmp_path):
    """A copy of it that a test may spoil."""
    return shutil.copytree(released, tmp_path / "course")


class TestRelease:
    def test_solutions_and_hidden_tests_are_gone(self, released):
        text = texts(released / LAB)
        assert not any(key in text for key in KEYS.values())
        assert "def the_answer():\n    # YOUR CODE HERE\n    raise NotImplementedError()" in text
        assert "assert the_answer() > 0" in text

    def test_answer_cells_of_a_quiz_are_plain(self, released):
        answers = [cell.source for cell in read(released / QUIZ).cells if cell.id.endswith("-answer")]
        assert [answer.split("  # ")[0] for answer in answers] == [
            'answer_s1_one = ""',
            'answer_s1_some = ""',
            "answer_s1_number = None",
        ]
        assert not any("\n" in answer for answer in answers)

    def test_tags_from_the_first_stub_on(self, released):
        tagged = [cell.id for cell in read(released / LAB).cells if "raises-exception" in cell.metadata.get("tags", [])]
        assert tagged == ["task-solution", "task-test", "last"]
        assert "raises-exception" not in (released / "solutions" / STAGE / "lab.ipynb").read_text(encoding="utf-8")

    def test_cells_keep_ids_and_lose_outputs(self, released):
        source, lab = read(released / "solutions" / STAGE / "lab.ipynb"), read(released / LAB)
        assert [cell.id for cell in source.cells] == [cell.id for cell in lab.cells]
        assert source.cells[1].outputs and not any(cell.get("outputs") for cell in lab.cells)

    @pytest.mark.parametrize("path", [LAB, QUIZ], ids=lambda path: path.stem)
    def test_untouched_notebook_runs_to_its_end(self, released, path):
        notebook, _ = run_notebook(released / path)
        errors = [
            output.ename
            for cell in notebook.cells
            if cell.cell_type == "code"
            for output in cell.outputs
            if output.output_type == "error"
        ]
        assert errors == {"lab": ["NotImplementedError"], "quiz": ["AssertionError"] * 3}[path.stem]
        assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")

    def test_nothing_changes_the_second_time(self, course):
        before = {path: path.read_bytes() for path in course.glob("labs/**/*.ipynb")}
        assert len(before) == 3
        assert release(course) == []
        assert {path: path.read_bytes() for path in course.glob("labs/**/*.ipynb")} == before
        assert leaks(course) == []

    def test_only_what_changed_is_written(self, course):
        notebook = lab()
        notebook.cells[0].source = "# Another lab"
        write_notebook(notebook, course / "solutions" / STAGE / "lab.ipynb")
        assert release(course) == [course / LAB]
        assert "# Another lab" in texts(course / LAB)

    def test_one_stage(self, course):
        shutil.rmtree(course / "labs")
        assert release(course, [OTHER]) == [course / "labs" / OTHER / "quiz.ipynb"]
        assert [path.name for path in (course / "labs").iterdir()] == [OTHER]

    def test_copies(self, course):
        """The demo that students get is the exemplar's; the package carries what was released, if it lies in the course."""
        demo = course / "solutions" / "capstone" / "hand-in" / "demo.py"
        package = course / "src" / "resumen"
        demo.parent.mkdir(parents=True)
        package.mkdir(parents=True)
        demo.write_text("print('a page')", encoding="utf-8")
        given, packed = course / "capstone" / "capstone" / "demo.py", package / "data" / "labs" / f"{STAGE}.ipynb"
        assert leaks(course) == [
            "capstone/capstone/demo.py differs from solutions/capstone/hand-in/demo.py: run `resumen release`.",
            f"src/resumen/data/labs/{STAGE}.ipynb differs from {LAB.as_posix()}: run `resumen release`.",
        ]
        assert release(course) == [given, packed]
        assert given.read_bytes() == demo.read_bytes() and packed.read_bytes() == (course / LAB).read_bytes()
        assert leaks(course) == []

    def test_nothing_unlisted_travels(self, course):
        """Nor with nbgrader's own command: the list of what it ignores stands in nbgrader_config.py."""
        from nbgrader.apps import NbGraderAPI

        folder = course / "solutions" / STAGE
        for name in ("key.csv", ".env", "notes.txt", "b", "helpers/helper.py", "data.ipynb.bak"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("secret", encoding="utf-8")
        config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
        assert NbGraderAPI(config=config).generate_assignment(STAGE)["success"]
        assert {path.name for path in (course / "labs" / STAGE).rglob("*")} == {"lab.ipynb", "quiz.ipynb"}
        assert leaks(course) == []

    def test_everything_else_lies_in_var(self, released):
        assert {path.name for path in released.iterdir()} == {"labs", "nbgrader_config.py", "solutions", "var"}


def test_all_but():
    from fnmatch import fnmatch

    def ignored(name):
        return any(fnmatch(name, glob) for glob in all_but(".ipynb", "timestamp.txt", *STAGES))

    assert not any(map(ignored, ("lab.ipynb", "a.b.ipynb", "timestamp.txt", *STAGES)))
    assert all(map(ignored, ("a.py", "a.txt", "ipynb", "b", "stage1", "timestamp.txt2", ".env", "x.ipyn", "stages")))


class TestLeaks:
    def test_solution_in_a_released_notebook(self, course):
        notebook = read(course / LAB)
        notebook.cells[3].source += f"\n    {KEYS['solution']}"
        write_notebook(notebook, course / LAB)
        faults = leaks(course)
        assert (
            f"{LAB.as_posix()} tells a line of a solution or hidden test in cell task-solution: {KEYS['solution']!r}."
            in faults
        )
        assert f"{LAB.as_posix()} differs from its source: run `resumen release`." in faults
        assert len(faults) == 2

    def test_solution_released_as_it_is(self, course):
        shutil.copy(course / "solutions" / STAGE / "quiz.ipynb", course / QUIZ)
        faults = leaks(course)
        assert any("tells a line" in fault and "answer_s1_one = " in fault for fault in faults)
        assert any("holds a marker" in fault for fault in faults)

    @pytest.mark.parametrize("marker", ["BEGIN HIDDEN TEST", "begin hidden tests", "BEGIN_SOLUTION", "END HIDDEN TEST"])
    def test_misspelt_marker(self, course, marker):
        """The released notebook is in step with its source then, and gives the test away."""
        notebook = lab()
        notebook.cells[4].source = f"### {marker}\n{KEYS['hidden']}"
        write_notebook(notebook, course / "solutions" / STAGE / "lab.ipynb")
        release(course)
        assert leaks(course) == [
            f"{LAB.as_posix()} holds a marker of a solution or hidden test in cell task-test: correct it in the source."
        ]

    def test_outputs(self, course):
        notebook = read(course / LAB)
        notebook.cells[1].outputs = [new_output("stream", text="42")]
        write_notebook(notebook, course / LAB)
        assert f"{LAB.as_posix()} holds outputs in cell setup: run `resumen release`." in leaks(course)

    def test_unlisted_missing_and_stale(self, course):
        (course / LAB).unlink()
        (course / "labs" / STAGE / "key.csv").write_text("B", encoding="utf-8")
        (course / "labs" / "old" / "deep").mkdir(parents=True)
        (course / "labs" / "old" / "deep" / "lab.ipynb").write_text("{}", encoding="utf-8")
        (course / "labs" / "README.md").write_text("written by hand", encoding="utf-8")
        (course / "labs" / STAGE / ".ipynb_checkpoints").mkdir()
        (course / "labs" / STAGE / ".ipynb_checkpoints" / "quiz-checkpoint.ipynb").write_text("{}", encoding="utf-8")
        assert leaks(course) == [
            "labs/old/deep/lab.ipynb has no source in solutions/: delete it.",
            f"labs/{STAGE}/key.csv has no source in solutions/: delete it.",
            f"{LAB.as_posix()} is missing: run `resumen release`.",
        ]

    def test_released_file_that_is_no_notebook(self, course):
        (course / LAB).write_text("{", encoding="utf-8")
        assert leaks(course)[-1] == f"{LAB.as_posix()} is not a notebook that can be read: run `resumen release`."

    def test_this_repository(self, root):
        assert leaks(root) == []


class TestFaults:
    """Each is one sentence, and labs/ stays as it was."""

    @pytest.fixture(autouse=True)
    def _labs_stay(self, course):
        before = {path: path.read_bytes() for path in course.glob("labs/**/*.ipynb")}
        yield
        assert {path: path.read_bytes() for path in course.glob("labs/**/*.ipynb")} == before

    def spoil(self, course, change):
        notebook = lab()
        change(notebook)
        write_notebook(notebook, course / "solutions" / STAGE / "lab.ipynb")

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (
                lambda notebook: notebook.cells.append(code("copy", "1", **notebook.cells[4].metadata.nbgrader)),
                "Duplicate grade id: task-test",
            ),
            (
                lambda notebook: notebook.cells[4].metadata.nbgrader.pop("points"),
                "nbgrader cell 'task-test' does not have points",
            ),
            (lambda notebook: notebook.cells[4].metadata.nbgrader.update(grade_id=""), "grade_id is empty"),
            (
                lambda notebook: notebook.cells[3].update(source="### BEGIN SOLUTION\n1"),
                "no end solution statement found",
            ),
            (
                lambda notebook: notebook.cells[4].update(source="### BEGIN HIDDEN TESTS\n1"),
                "No end hidden tests statement found",
            ),
            (
                lambda notebook: notebook.cells[1].update(source="### BEGIN SOLUTION\n1\n### END SOLUTION"),
                "Solution region detected in a non-solution cell",
            ),
        ],
    )
    def test_faulty_source(self, course, change, reason):
        self.spoil(course, change)
        with pytest.raises(CourseError) as raised:
            release(course)
        assert str(raised.value).startswith(f"solutions/{STAGE}/lab.ipynb cannot be released: {reason}")
        assert "\n" not in str(raised.value)

    def test_source_that_is_no_notebook(self, course):
        (course / "solutions" / STAGE / "lab.ipynb").write_text("{", encoding="utf-8")
        with pytest.raises(CourseError, match=rf"^solutions/{STAGE}/lab\.ipynb cannot be released: "):
            release(course)
        with pytest.raises(CourseError, match=rf"^solutions/{STAGE}/lab\.ipynb cannot be released: "):
            leaks(course)

    def test_unlisted_notebook(self, course):
        shutil.copy(course / "solutions" / STAGE / "lab.ipynb", course / "solutions" / STAGE / "draft.ipynb")
        with pytest.raises(CourseError, match=rf"^solutions/{STAGE}/draft\.ipynb would be released too"):
            release(course)

    def test_no_such_stage(self, course):
        with pytest.raises(
            CourseError, match=f"There is no stage 'stage9' to release: solutions/ holds {STAGE}, {OTHER}"
        ):
            release(course, ["stage9"])

    def test_no_course(self, tmp_path, course):
        with pytest.raises(CourseError, match=r"nbgrader_config\.py not found"):
            release(tmp_path / "nowhere")

    def test_nbgrader_is_missing(self, course, monkeypatch):
        monkeypatch.setitem(sys.modules, "nbgrader.apps", None)
        for command in (release, leaks):
            with pytest.raises(CourseError, match=r"^nbgrader is not installed: run `pip install -e '\.\[grading\]'"):
                command(course)

    def test_gradebook_that_cannot_be_made(self, course, monkeypatch, tmp_path):
        """Half a gradebook would stay and be taken for a whole one."""
        (course / "var" / "gradebook.db").unlink()

        def broken(*_):
            raise RuntimeError("no alembic")

        with monkeypatch.context() as elsewhere:
            elsewhere.setattr("alembic.script.ScriptDirectory", broken)
            with pytest.raises(CourseError, match=r"gradebook .*gradebook\.db could not be made: no alembic"):
                release(course)
        assert not (course / "var" / "gradebook.db").exists()
        assert release(course) == []

    def test_gradebook_has_the_form_that_nbgrader_gives_it(self, course):
        (course / "var" / "gradebook.db").unlink()
        release(course)
        with sqlite3.connect(course / "var" / "gradebook.db") as database:
            ((ours,),) = database.execute("SELECT version_num FROM alembic_version")
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # it calls the command `alembic`
        code = "from nbgrader.api import get_alembic_version as version; print(version())"
        run = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PATH": path}, capture_output=True, text=True
        )
        assert run.stdout.strip() == ours

    def test_gradebook_that_cannot_be_read(self, course):
        (course / "var" / "gradebook.db").write_bytes(b"no database" * 100)
        with pytest.raises(CourseError, match=r"could not be read: .*Move it away"):
            release(course)


@pytest.mark.slow
class TestScores:
    """Through nbgrader itself: the gradebook that `release` filled, its autograder, a kernel for each submission."""

    def grade(self, course, student, change=lambda notebook: None, source=QUIZ):
        from nbgrader.apps import NbGraderAPI

        notebook = read(course / source)
        change(notebook)
        write_notebook(notebook, course / "var" / "submitted" / student / OTHER / "quiz.ipynb")
        api = NbGraderAPI(config=PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config())
        result = api.autograde(OTHER, student)
        assert result["success"], result
        graded = read(course / "var" / "autograded" / student / OTHER / "quiz.ipynb")
        streams = [output.get("name") for cell in graded.cells if cell.cell_type == "code" for output in cell.outputs]
        assert "stderr" not in streams
        with api.gradebook as gradebook:
            submission = gradebook.find_submission(OTHER, student)
            return {grade.name: grade.score for grade in submission.notebooks[0].grades}, submission.max_score

    def answer(self, **answers):
        def change(notebook):
            for cell in notebook.cells:
                for name, answer in answers.items():
                    if cell.source.startswith(f"answer_{name} = "):
                        cell.source = f"answer_{name} = {answer}"

        return change

    def test_scores(self, course):
        released = Path("labs", OTHER, "quiz.ipynb")
        untouched, most = self.grade(course, "untouched", source=released)
        assert (untouched, most) == ({"s1-one": 0, "s1-some": 0, "s1-number": 0}, 6)
        right, _ = self.grade(course, "right", source=Path("solutions", OTHER, "quiz.ipynb"))
        assert right == {"s1-one": 1, "s1-some": 2, "s1-number": 3}
        mixed = self.answer(s1_one="'C'", s1_some="['b']", s1_number="0.6")
        assert self.grade(course, "mixed", mixed, released)[0] == {"s1-one": 0, "s1-some": 1, "s1-number": 3}


class TestCommand:
    def run(self, *arguments):
        return CliRunner().invoke(cli.app, ["release", *map(str, arguments)], env={"COLUMNS": "200"})

    def test_release_and_check(self, course):
        (course / LAB).unlink()
        result = self.run("--check", "--root", course)
        assert result.exit_code == 1
        assert result.stderr == f"{LAB.as_posix()} is missing: run `resumen release`.\n"
        assert not (course / LAB).exists()
        result = self.run("--root", course)
        assert result.exit_code == 0
        assert result.stdout == f"{course / LAB}\nlabs/ is in step with solutions/ and holds no solution.\n"
        assert self.run("--check", "--root", course).exit_code == 0

    def test_one_stage(self, course):
        """An instructor who releases week by week is not told that the other weeks are missing."""
        shutil.rmtree(course / "labs")
        result = self.run(OTHER, "--root", course)
        assert (result.exit_code, result.stderr) == (0, "")
        assert [path.name for path in (course / "labs").iterdir()] == [OTHER]
        (course / "labs" / OTHER / "key.csv").touch()
        assert (
            self.run(OTHER, "--root", course).stderr
            == f"labs/{OTHER}/key.csv has no source in solutions/: delete it.\n"
        )
