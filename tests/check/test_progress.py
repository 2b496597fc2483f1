"""`resumen progress` and `resumen check --full`: what counts, what is run again, and what is told."""

import json
import re
import sys

import nbformat
import pytest
import small_lab
import small_repository
from small_repository import LAB, LECTURE, change

from resumen import cli
from resumen.check import notebook, progress, workspace
from resumen.check.notebook import Row
from resumen.files import WORKSPACE
from resumen.lab import NOT_ATTEMPTED, RIGHT, WRONG
from resumen.quiz.score import Score, keep_score

DOUBLE = "def double(number):\n    return number + number"
HALF_RIGHT = "def double(number):\n    return abs(number) * 2"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The repository that the workspace is made from, its labs taken for those of the package."""
    monkeypatch.setattr("os.fsync", lambda number: None)
    monkeypatch.setenv("COLUMNS", "200")
    root = small_repository.make(tmp_path / "repository")
    monkeypatch.setattr(notebook, "LABS", root / "labs")
    return root


@pytest.fixture
def mine(tmp_path, root):
    workspace.start(tmp_path / "my-course", root)
    return tmp_path / "my-course"


@pytest.fixture
def runs(monkeypatch):
    """The notebooks that were run, in place of running them: the answers are right, wrong or not attempted by their looks."""
    ran = []

    def run(mended, folder, released):
        ran.append(folder.name)
        cells = {cell.id: cell.source for cell in mended.cells}
        looks = {DOUBLE: RIGHT, HALF_RIGHT: WRONG}
        rows = [Row("Task 1 · double", looks.get(cells["double"], NOT_ATTEMPTED), "Got <b> | *x*.\nHint: $1$.", 45)]
        written = NOT_ATTEMPTED if cells["written"] == "YOUR ANSWER HERE" else "answered"
        return [*rows, Row("Task 2 · shout", NOT_ATTEMPTED, "", 45), Row("Written answer", written, "", 10)]

    monkeypatch.setattr(notebook, "run", run)
    return ran


def stand(mine, name, **options):
    return next(one for one in progress.look(mine, **options) if one.name == name)


def test_nothing_done_needs_no_kernel(mine, monkeypatch):
    monkeypatch.setattr(notebook, "make_client", None)
    standings = progress.look(mine)
    assert [one.count(NOT_ATTEMPTED) for one in standings] == [2, 2, 2, 2, 2, 0, 0, 0]
    assert progress.summary(standings) == (
        "0 of 10 tasks right, 0 wrong, 10 not attempted. 14 h 45 min left, without the projects."
    )
    assert progress.troubles(standings) == []


def test_a_lab_is_run_when_it_changed_and_not_again(mine, runs):
    progress.look(mine)
    runs.clear()
    change(mine / LAB, double=DOUBLE, written="Because.")
    first, again = stand(mine, small_lab.STAGE), stand(mine, small_lab.STAGE)
    assert first == again and runs == [small_lab.STAGE]
    assert (first.count(RIGHT), first.count(NOT_ATTEMPTED), first.written) == (1, 1, "answered")
    assert first.minutes_left == 70 + round(75 / 3) + 15
    change(mine / LAB, double=HALF_RIGHT)
    assert stand(mine, small_lab.STAGE, run=False).rows is None, "its answers are others, and nothing is run"
    (sentence,) = progress.troubles([stand(mine, small_lab.STAGE, run=False)])
    assert sentence.startswith(f"{LAB} was not run since you changed it")
    assert stand(mine, small_lab.STAGE).count(WRONG) == 1
    assert runs == [small_lab.STAGE] * 2


def test_a_lecture_counts_by_the_cells_that_were_run(mine, root):
    assert stand(mine, small_lab.STAGE).read == 0
    lecture = nbformat.read(mine / LECTURE, as_version=4)
    lecture.cells[1].execution_count = 3
    lecture.cells.append(nbformat.v4.new_code_cell(""))
    small_repository.write(mine / LECTURE, lecture)
    assert stand(mine, small_lab.STAGE).read == 0.5
    change(root / LECTURE, top="# Another title")
    workspace.start(mine, root)
    assert nbformat.read(mine / LECTURE, as_version=4).cells[1].execution_count is None
    assert stand(mine, small_lab.STAGE).read == 0.5, "it was read, although its outputs went with an update"
    (mine / LECTURE).unlink()
    assert stand(mine, small_lab.STAGE).read == 0.5


def test_a_self_check_counts_by_the_points_that_were_kept(mine):
    before = stand(mine, "primer").minutes_left
    keep_score(mine, "primer", Score(9.5, 14))
    primer = stand(mine, "primer")
    assert (str(primer.score), before - primer.minutes_left) == ("9.5/14", 20)


def test_a_project_counts_from_its_own_notebook(mine, runs):
    assert stand(mine, "premier").notebook == ""
    folder = mine / "capstone" / "premier" / "my folder"
    small_repository.write(folder / "project.ipynb", small_lab.released())
    (notebook.LABS / "premier").mkdir()
    small_repository.write(notebook.LABS / "premier" / "lab.ipynb", small_lab.released())
    change(folder / "project.ipynb", double=DOUBLE)
    assert stand(mine, "premier").count(RIGHT) == 1
    page = progress.write_page(mine, progress.look(mine)).read_text(encoding="utf-8")
    assert "[notebook](capstone/premier/my%20folder/project.ipynb)" in page


@pytest.mark.parametrize(("damage", "words"), [(None, "is missing: `resumen start`"), ("{", "not a notebook")])
def test_a_lab_that_cannot_be_read_costs_one_sentence(mine, damage, words):
    (mine / LAB).unlink()
    if damage:
        (mine / LAB).write_text(damage)
    standings = progress.look(mine)
    (sentence,) = progress.troubles(standings)
    assert words in sentence and LAB in sentence
    assert "?" in progress.table(standings)[1 if standings[0].name == "primer" else 0]


@pytest.mark.parametrize("damage", ["", "[]", '{"read": 1, "runs": {}}', '{"read": {}, "runs": {"a": {"rows": [{}]}}}'])
def test_damaged_results_are_found_again(mine, runs, damage):
    change(mine / LAB, double=DOUBLE)
    (mine / progress.RESULTS).write_text(damage)
    (mine / ".resumen" / "scores.json").write_text(damage)
    assert stand(mine, small_lab.STAGE).count(RIGHT) == 1


def test_the_page(mine, runs):
    change(mine / LAB, double=HALF_RIGHT)
    keep_score(mine, small_lab.STAGE, Score(10, 14))
    page = progress.write_page(mine, progress.look(mine)).read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| \[stage 1\].*", page, flags=re.M)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == ["0%", f"[lab]({LAB})", "0", "1", "1", "no", f"[10/14](quizzes/{small_lab.STAGE}.ipynb)", "145"]
    # What a test says is text: no table, no tag, no formula.
    assert rf"- [stage 1]({LAB}), Task 1 · double: Got \<b\> \| \*x\*. Hint: \$1\$." in page


# The commands -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["resumen", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        told = capsys.readouterr()
        return left.value.code or 0, told.out, told.err

    return call


def test_from_anywhere_in_it(mine, command, monkeypatch):
    for place, arguments in ((mine / "labs", ()), (mine.parent, ()), (mine.parent.parent, (mine,))):
        monkeypatch.chdir(place)
        code, out, err = command("progress", *arguments)
        assert (code, err) == (0, "") and "0 of 10 tasks right" in out
    monkeypatch.chdir("/")
    for arguments, words in (((), "There is no workspace here"), ((mine.parent,), "is no workspace")):
        code, out, err = command("progress", *arguments)
        assert (code, out, err.count("\n")) == (1, "", 1) and words in err


def test_a_damaged_manifest_costs_one_sentence(mine, command):
    (mine / WORKSPACE).write_text("{")
    code, out, err = command("progress", mine)
    assert (code, out, err.count("\n")) == (1, "", 1) and "is damaged: delete it" in err


@pytest.mark.slow
def test_the_hidden_tests_too(mine, root, command):
    change(mine / LAB, double=HALF_RIGHT)
    visible = command("check", mine / LAB)[1]
    assert "wrong" not in visible and "right" in visible
    code, out, _ = command("check", mine / LAB, "--full", "--root", root)
    assert code == 1
    assert "A hidden test: negative numbers" in out
    assert "0 of 90 points, hidden tests included." in out
    assert "are shown once you wrote something" in out and "Because of" not in out
    change(mine / LAB, double=DOUBLE, shout="def shout(text):\n    return text.upper()", written="It adds.")
    code, out, _ = command("check", mine / LAB, "--full", "--root", root)
    assert code == 0
    assert "90 of 90 points" in out and "Because of +." in out and "SOLUTION" not in out
    standing = stand(mine, small_lab.STAGE)
    assert standing.is_full and standing.count(RIGHT) == 2
    assert progress.judged([standing]).startswith("Hidden tests judged stage 1")
    change(mine / LAB, double=HALF_RIGHT)
    assert not stand(mine, small_lab.STAGE, run=False).is_full


def test_hidden_tests_of_another_edition(mine, root, command):
    solution = root / "solutions" / small_lab.STAGE / "lab.ipynb"
    some = nbformat.read(solution, as_version=4)
    some.cells = [cell for cell in some.cells if not cell.id.startswith("shout")]
    small_repository.write(solution, some)
    change(mine / LAB, double=DOUBLE)
    code, out, err = command("check", mine / LAB, "--full", "--root", root)
    assert (code, out, err.count("\n")) == (1, "", 1) and "has other tasks than the released notebook" in err
    solution.unlink()
    code, out, err = command("check", mine / LAB, "--full", "--root", root)
    assert (code, out, err.count("\n")) == (1, "", 1) and "cannot be read" in err


@pytest.mark.parametrize("arguments", [("--no-run",), ("--root", "/nowhere")])
def test_what_full_cannot_do(mine, command, arguments):
    code, out, err = command("check", mine / LAB, "--full", *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    code, out, err = command("check", mine / "capstone", "--full")
    assert (code, out) == (1, "") and "name the notebook" in err


@pytest.mark.slow
@pytest.mark.thorough
def test_the_hidden_tests_of_a_real_lab(request, tmp_path, command, monkeypatch):
    """In a workspace of the course itself, with the reference as the answers."""
    monkeypatch.setattr("os.fsync", lambda number: None)
    folder = tmp_path / "my-course"
    workspace.start(folder, request.config.rootpath)
    path = folder / LAB
    lab = nbformat.read(path, as_version=4)
    solution = nbformat.read(request.config.rootpath / "solutions" / small_lab.STAGE / "lab.ipynb", as_version=4)
    answers = {cell.id: cell.source for cell in solution.cells if cell.metadata.get("nbgrader", {}).get("solution")}
    for cell in lab.cells:
        cell.source = re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", answers.get(cell.id, cell.source), flags=re.M)
    small_repository.write(path, lab)
    code, out, err = command("check", path, "--full")
    assert code == 0, out + err
    assert "88 of 88 points" in out and "Model answer." in out
    assert json.loads((folder / progress.RESULTS).read_text(encoding="utf-8"))["runs"][LAB]["full"]
    code, out, _ = command("progress", folder)
    assert "9 of 49 tasks right" in out
