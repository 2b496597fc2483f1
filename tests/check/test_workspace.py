"""`resumen start`: what a learner gets, and that bringing it up to date costs no answer, whatever happened meanwhile."""

import json
import os
import re
import shutil
import stat
import sys
from pathlib import Path

import nbformat
import pytest
import small_lab
import small_repository
from small_repository import LAB, LECTURE, change, texts

from resumen import cli
from resumen.check import notebook, workspace
from resumen.files import WORKSPACE

MY_DOUBLE = "def double(number):\n    return 2 * number"


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch):
    """On a busy disk, waiting for each file takes longer than all the rest."""
    monkeypatch.setattr("os.fsync", lambda number: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository, and a workspace just made from it."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda number: None)
        workspace.start(place / "my-course", small_repository.make(place / "repository"))
    return place


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made / "repository", tmp_path / "repository")


@pytest.fixture
def mine(made, tmp_path):
    return shutil.copytree(made / "my-course", tmp_path / "my-course")


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def start(mine, root):
    return list(map(str, workspace.start(mine, root)))


def test_what_a_learner_gets(mine):
    names = set(files_in(mine))
    assert {LECTURE, LAB, "stages/primer.ipynb", "quizzes/primer.ipynb", "capstone/premier/starter.ipynb"} <= names
    assert not [name for name in names if name.startswith(("solutions", "src"))]
    notebooks = [nbformat.read(mine / name, as_version=4) for name in names if name.endswith(".ipynb")]
    assert [cell for one in notebooks for cell in one.cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_a_link_that_would_lead_nowhere(mine, root):
    page = mine / f"stages/{small_lab.STAGE}/README.md"
    assert page.read_text(encoding="utf-8") == (
        "See the code (`src/resumen/corpus.py` in the repository), [map](../README.md).\n"
    )
    assert (mine / "capstone/premier/brief.md").read_text(encoding="utf-8") == "Read [the rubric](rubric.md#levels).\n"
    small_repository.write(root / "pyproject.toml", small_repository.address(published=True))
    workspace.start(mine, root)
    assert "[the code](https://github.com/o/r/blob/v1/src/resumen/corpus.py)" in page.read_text(encoding="utf-8")


def test_the_real_course(root, tmp_path, request):
    """Every link of the workspace leads to a file of it."""
    folder = tmp_path / "real"
    workspace.start(folder, Path(request.config.rootpath))
    broken = []
    for name, data in files_in(folder).items():
        if name.endswith(".md"):
            text = re.sub(r"```.*?```|`[^`\n]*`", "", data.decode("utf-8"), flags=re.DOTALL)
            for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text):
                if ":" not in target and not (folder / name).parent.joinpath(target).exists():
                    broken.append((name, target))
    # `resumen start` itself writes no page of progress: the command does.
    assert broken == []


def test_again_without_news_nothing_happens(mine, root):
    change(mine / LECTURE, run="1 + 2")
    change(mine / LAB, double=MY_DOUBLE)
    before = files_in(mine)
    assert start(mine, root) == []
    assert files_in(mine) == before


def test_a_file_that_was_only_run_is_replaced(mine, root):
    """Outputs, an empty cell at the end and lost ids are no change: programs make them."""
    notebook = nbformat.read(mine / LECTURE, as_version=4)
    notebook.cells[1].execution_count = 7
    notebook.cells.append(nbformat.v4.new_code_cell(""))
    small_repository.write(mine / LECTURE, notebook)
    small_repository.strip_ids(mine / LECTURE)
    change(root / LECTURE, top="# A better title")
    assert start(mine, root) == [f"{LECTURE} is brought up to date."]
    assert texts(mine / LECTURE)["top"] == "# A better title"


def test_a_page_with_other_line_ends_is_replaced(mine, root):
    page = "capstone/premier/brief.md"
    (mine / page).write_bytes((mine / page).read_bytes().replace(b"\n", b"\r\n"))
    small_repository.write(root / page, "New.\n")
    assert start(mine, root) == [f"{page} is brought up to date."]


def test_what_is_new_and_what_was_deleted_comes(mine, root):
    (mine / LAB).unlink()
    small_repository.write(root / "capstone/premier/template.md", "# A template\n")
    assert sorted(start(mine, root)) == ["capstone/premier/template.md is new.", f"{LAB} is new."]


def test_what_the_course_drops_stays(mine, root):
    (root / "docs/workspace.md").unlink()
    assert start(mine, root) == ["docs/workspace.md is no longer part of the course, and stays."]
    assert (mine / "docs/workspace.md").is_file()
    assert start(mine, root) == []


@pytest.mark.parametrize("name", [LECTURE, "capstone/premier/brief.md"])
def test_a_change_stays_and_the_new_one_lies_beside(mine, root, name):
    def edit(folder, text):
        if name == LECTURE:
            change(folder / name, top=text)
        else:
            small_repository.write(folder / name, text)

    edit(mine, "my notes")
    before = (mine / name).read_bytes()
    beside = Path(name).with_name(f"{Path(name).stem}.new{Path(name).suffix}")
    edit(root, "second edition")
    assert start(mine, root) == [f"{name} stays as it is (you changed it); the new one is {beside.name}."]
    assert start(mine, root) == []
    edit(root, "third edition")  # the one beside was not touched: it is replaced
    assert start(mine, root) == [f"{name} stays as it is (you changed it); the new one is {beside.name}."]
    assert "third edition" in (mine / beside).read_text(encoding="utf-8")
    small_repository.write(mine / beside, "half of it copied")
    edit(root, "fourth edition")
    (sentence,) = start(mine, root)
    assert sentence.endswith(f"{beside.stem}-2{beside.suffix}.")
    assert (mine / beside).read_text(encoding="utf-8") == "half of it copied"
    assert (mine / name).read_bytes() == before


# A lab with answers -------------------------------------------------------------------------------------------------------


@pytest.fixture
def answered(mine):
    """A lab with an answer, a cell of the learner's own and a note in a story, saved after a run; the other stub is untouched."""
    notebook = nbformat.read(mine / LAB, as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    cells["double"].source = MY_DOUBLE
    cells["double-story"].source += "\n\nMy note."
    own = nbformat.v4.new_code_cell("double(8)", id="mine")
    notebook.cells.insert(notebook.cells.index(cells["double"]) + 1, own)
    notebook.metadata["mine"] = True
    small_repository.write(mine / LAB, notebook)
    return mine / LAB


@pytest.fixture
def second_edition(root):
    """The lab with another story, another stub, other tests, a cell more and a cell less."""
    notebook = nbformat.read(root / LAB, as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    cells["shout-story"].source = "## Task 2 · shout, told better"
    cells["shout"].source = 'def shout(text: str) -> str:\n    """Louder."""\n    raise NotImplementedError()'
    cells["double-tests"].source += "\n# another test"
    notebook.cells.remove(cells["title"])
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# Lab 0, second edition", id="new-title"))
    small_repository.write(root / LAB, notebook)
    return root / LAB


@pytest.mark.parametrize("ids", ["kept", "lost"])
def test_a_lab_gets_its_new_text_around_the_answers(mine, root, answered, second_edition, ids):
    if ids == "lost":
        small_repository.strip_ids(answered)
    before = answered.read_bytes()
    assert start(mine, root) == [f"{LAB} is brought up to date, with your answers; as it was: lab.backup.ipynb."]
    assert answered.with_name("lab.backup.ipynb").read_bytes() == before
    found, new = texts(answered), texts(second_edition)
    assert found["double"] == MY_DOUBLE
    # Without its id, the note becomes a cell of the learner's own.
    assert ids == "lost" or found["double-story"].endswith("My note.")
    own = {found[name] for name in set(found) - set(new)}
    assert own == ({"double(8)"} if ids == "kept" else {"double(8)", "My note."})
    assert {name: found[name] for name in new if name not in ("double", "double-story")} == {
        name: text for name, text in new.items() if name not in ("double", "double-story")
    }
    assert start(mine, root) == []


def test_a_note_in_a_text_that_changed_too_is_kept_beside_it(mine, root, answered):
    change(root / LAB, double_story="## Task 1, told better")
    start(mine, root)
    found = texts(answered)
    assert found["double-story"] == "## Task 1, told better"
    assert [text for name, text in found.items() if text.endswith("My note.")] != []


def test_the_last_edition_and_the_next(mine, root, answered, second_edition):
    """A lab that was put together once is put together again."""
    start(mine, root)
    change(second_edition, shout_story="## Third edition")
    start(mine, root)
    assert texts(answered)["double"] == MY_DOUBLE
    assert texts(answered)["shout-story"] == "## Third edition"
    assert len(texts(answered)) == len(texts(second_edition)) + 1


def test_a_cell_with_the_id_of_another(mine, root):
    """Copies of a cell may keep its id: the learner's must not vanish behind the one that was given."""
    notebook = json.loads((mine / LECTURE).read_text(encoding="utf-8"))
    notebook["cells"].insert(0, {**notebook["cells"][0], "source": "my notes"})
    (mine / LECTURE).write_text(json.dumps(notebook), encoding="utf-8")
    change(root / LECTURE, more="3 + 3")
    (sentence,) = start(mine, root)
    assert "stays as it is" in sentence and "my notes" in (mine / LECTURE).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "words"), [("", "it is empty"), ("{", "not a notebook"), ('{"cells": [{"source": "1"}]}', "right file")]
)
def test_a_lab_that_cannot_be_read_stays(mine, root, second_edition, damage, words):
    (mine / LAB).write_text(damage, encoding="utf-8")
    (sentence,) = start(mine, root)
    assert "stays as it is (" in sentence and words in sentence and sentence.endswith("the new one is lab.new.ipynb.")
    assert (mine / LAB).read_text(encoding="utf-8") == damage
    assert texts(mine / LAB.replace("lab.", "lab.new.")) == texts(second_edition)


# Whatever happens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5, 7])
def test_a_full_disk_or_a_stop_costs_nothing(mine, root, answered, second_edition, monkeypatch, stop, course_error):
    """At whichever file it stops, every file is the old one or the new one, and the next start goes on."""
    change(root / LECTURE, top="# Another title")
    change(root / "labs/stage2_tokenization/lab.ipynb", title="# Another title")
    before = answered.read_bytes()
    written = []

    def full(number):
        written.append(number)
        if len(written) >= stop:
            raise OSError(28, "No space left on device", "a file")

    monkeypatch.setattr("os.fsync", full)
    try:
        workspace.start(mine, root)
    except ValueError as error:
        assert "No space left on device" in str(error) and "\n" not in str(error)
    else:
        assert len(written) < stop
    monkeypatch.setattr("os.fsync", lambda number: None)
    assert not [name for name in files_in(mine) if "partial" in name]
    assert texts(answered)["double"] == MY_DOUBLE
    start(mine, root)
    assert texts(answered)["double"] == MY_DOUBLE
    assert texts(answered)["shout"] == texts(second_edition)["shout"]
    assert texts(mine / LECTURE)["top"] == "# Another title"
    assert {data for name, data in files_in(mine).items() if "backup" in name} == {before}
    assert start(mine, root) == []


def test_a_start_that_was_stopped_at_its_first_files(tmp_path, root, monkeypatch):
    folder, written = tmp_path / "new", []

    def full(number):
        written.append(number)
        if len(written) > 3:
            raise OSError(28, "No space left on device", "a file")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ValueError, match="No space"):
        workspace.start(folder, root)
    monkeypatch.setattr("os.fsync", lambda number: None)
    assert len(start(folder, root)) == len(files_in(folder)) - 1 - 3


MANIFESTS = {
    "": "is damaged: delete it",
    "{": "is damaged: delete it",
    "[]": "is damaged: delete it",
    '{"form": 1}': "is damaged: delete it",
    '{"form": "1", "files": {}, "minutes": {}}': "is damaged: delete it",
    '{"form": 1, "files": {"a": 3}, "minutes": {}}': "is damaged: delete it",
    '{"form": 0}': "by an earlier version",
    '{"form": 2, "version": "9.9"}': "by a later version of the course (9.9)",
}


@pytest.mark.parametrize(("text", "words"), MANIFESTS.items())
def test_a_manifest_that_cannot_be_used(mine, root, answered, text, words, course_error):
    (mine / WORKSPACE).write_text(text, encoding="utf-8")
    before = files_in(mine)
    with course_error(words):
        workspace.start(mine, root)
    assert files_in(mine) == before
    (mine / WORKSPACE).unlink()  # as the sentence says, but for a later version
    assert start(mine, root) == [f"{LAB} is brought up to date, with your answers; as it was: lab.backup.ipynb."] or (
        start(mine, root) == []
    )
    assert texts(answered)["double"] == MY_DOUBLE


def test_a_folder_that_cannot_be_a_workspace(tmp_path, root, mine, course_error, monkeypatch):
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("x")
    for folder, words in {
        tmp_path / "file": "is a file",
        tmp_path / "full": "holds other files",
        root: "is the repository itself",
        root / "labs" / "my-course": "lies among the repository's own files",
        mine / "labs": "lies in the workspace",
        mine / "my-course": "lies in the workspace",
    }.items():
        with course_error(folder, words):
            workspace.start(folder, root)
    with course_error("is not the course's repository"):
        workspace.start(tmp_path / "new", tmp_path / "full")
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(workspace, "__file__", "/somewhere/site-packages/resumen/check/workspace.py")
    monkeypatch.chdir(tmp_path)
    with course_error("installed package has no lectures"):
        workspace.start(tmp_path / "new")
    monkeypatch.chdir(root)
    assert workspace.start(tmp_path / "new")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_writable(tmp_path, root, course_error):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with course_error("Permission denied"):
        workspace.start(tmp_path / "new", root)


def test_a_folder_in_place_of_a_file(mine, root, course_error):
    (mine / LAB).unlink()
    (mine / LAB).mkdir()
    change(root / LAB, title="# Another title")
    with course_error(LAB, "Is a directory"):
        workspace.start(mine, root)


# The command --------------------------------------------------------------------------------------------------------------


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["resumen", "start", *map(str, arguments)])
    try:
        cli.main()
        code = 0
    except SystemExit as left:
        code = left.code or 0
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_command_from_anywhere(tmp_path, root, monkeypatch, capsys):
    monkeypatch.setattr(notebook, "LABS", root / "labs")
    monkeypatch.chdir(tmp_path)
    code, out, _ = command(monkeypatch, capsys, "--root", root)
    assert (code, out) == (0, "my-course is made. Begin with my-course/progress.md.\n")
    monkeypatch.chdir(tmp_path / "my-course" / "labs")
    change(root / LECTURE, top="# Another title")
    code, out, _ = command(monkeypatch, capsys, "--root", root)
    page = tmp_path / "my-course" / "progress.md"
    assert code == 0 and out.splitlines() == [
        f"{LECTURE} is brought up to date.",
        f"{page.parent} is up to date. Begin with {page}.",
    ]
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target != "docs/workspace.es.md":  # the small course has no Spanish page
            assert (page.parent / target).exists(), target


def test_a_mistake_costs_one_sentence(tmp_path, root, monkeypatch, capsys):
    (tmp_path / "file").write_text("x")
    code, out, err = command(monkeypatch, capsys, tmp_path / "file", "--root", root)
    assert (code, out) == (1, "") and err.count("\n") == 1 and err.startswith("resumen: ")
