"""`resumen check`: what it says of a student's notebook, and that mending loses no answer, whatever happened to the file."""

import copy
import json

import nbformat
import pytest
from small_lab import STAGE, released
from typer.testing import CliRunner

from resumen import cli
from resumen.check import match
from resumen.check import notebook as check
from resumen.check.cells import read_cells
from resumen.errors import CourseError

MY_DOUBLE = "def double(number):\n    return 2 * number"
MY_SHOUT = "def shout(text):\n    return text.swapcase()  # AÑO"
MY_WORDS = "Porque la suma ya lo hace."
MY_NOTE = "# my own cell\nprint(double(8))"


@pytest.fixture
def lab():
    return released()


@pytest.fixture
def student():
    """A student's notebook as plain JSON: two answers, words, and a cell of their own after the first tests."""
    notebook = json.loads(json.dumps(released()))
    cells = by_id(notebook)
    cells["double"]["source"], cells["shout"]["source"], cells["written"]["source"] = MY_DOUBLE, MY_SHOUT, MY_WORDS
    own = {"cell_type": "code", "id": "mine", "metadata": {}, "source": MY_NOTE, "outputs": [], "execution_count": 3}
    notebook["cells"].insert(5, own)
    return notebook


@pytest.fixture
def labs(tmp_path, lab):
    """A folder of released labs."""
    folder = tmp_path / "released"
    folder.mkdir()
    nbformat.write(lab, folder / f"{STAGE}.ipynb")
    return folder


@pytest.fixture(autouse=True)
def _wide_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def by_id(notebook):
    return {cell["id"]: cell for cell in notebook["cells"] if "id" in cell}


def cells_of(notebook):
    return read_cells(json.dumps(notebook).encode())[0]


def mend(lab, student):
    cells, faults = read_cells(json.dumps(student).encode())
    mended, more = match.mend(lab, cells)
    return mended, [str(fault) for fault in (*faults, *more)]


def answers(notebook):
    cells = by_id(notebook)
    return [cells[name]["source"] for name in ("double", "shout", "written")]


# Ways in which a notebook comes back. Each returns words that the sentence about it must hold; none for no fault. --------


def from_colab(notebook):
    """Colab: no cell ids, its own metadata and outputs, minor version 0, lines as a list."""
    notebook["nbformat_minor"] = 0
    notebook["metadata"]["colab"] = {"provenance": [], "toc_visible": True}
    for number, cell in enumerate(notebook["cells"]):
        del cell["id"]
        cell["metadata"]["id"] = f"aB{number}_x"
        cell["source"] = cell["source"].splitlines(keepends=True)
        if cell["cell_type"] == "code":
            cell["metadata"]["outputId"] = "1"
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["hola"]}]
    return []


def from_vs_code(notebook):
    """VS Code: its own metadata, another kernel's name, new ids."""
    notebook["metadata"]["kernelspec"] = {"name": "venv", "display_name": "venv", "language": "python"}
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"{number:08x}"
        cell["metadata"]["vscode"] = {"languageId": "python"}
    return []


def metadata_lost(notebook):
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    return ["Cell 4 (answer cell double) has lost its nbgrader metadata", "written"]


def metadata_and_ids_lost(notebook):
    metadata_lost(notebook)
    from_vs_code(notebook)
    return ["double", "double-tests", "shout", "written"]


def points_raised(notebook):
    by_id(notebook)["double-tests"]["metadata"]["nbgrader"]["points"] = 1000
    return ["double-tests) has other nbgrader metadata"]


def old_schema(notebook):
    for cell in notebook["cells"]:
        cell["metadata"].get("nbgrader", {}).pop("schema_version", None)
    return ["double) has other nbgrader metadata", "shout-tests) has other nbgrader metadata"]


def changed_tests(notebook):
    by_id(notebook)["shout-tests"]["source"] = "assert True"
    return ["shout-tests) was changed"]


def deleted_tests(notebook):
    notebook["cells"].remove(by_id(notebook)["double-tests"])
    return ["The test cell double-tests is missing"]


def setup_changed(notebook):
    by_id(notebook)["setup"]["source"] += "\nimport regex"
    return ["Cell 2 (cell setup) was changed"]


def report_deleted(notebook):
    notebook["cells"].remove(by_id(notebook)["report"])
    return ["The cell report is missing"]


def pictures_in_written_answers(notebook):
    """A second written answer. Jupyter calls both pasted pictures image.png."""
    answer = by_id(notebook)["written"]
    answer["attachments"] = {"image.png": {"image/png": "aGk="}}
    first = {**copy.deepcopy(answer), "id": "earlier", "source": "Un borrador: ![image.png](attachment:image.png)"}
    first["attachments"] = {"image.png": {"image/png": "YnllCg=="}}
    notebook["cells"].insert(notebook["cells"].index(answer), first)
    return ["Cells 11 and 12 are one answer cell, written"]


def grade_id_twice(notebook):
    """The answer was copied with its metadata, the copy was edited, the stub stayed."""
    answer = by_id(notebook)["double"]
    stub = {**copy.deepcopy(answer), "id": "copy", "source": by_id(released())["double"].source}
    notebook["cells"].insert(3, stub)
    return ["Cell 5 (answer cell double) is there more than once, also as cell 4"]


def two_answers(notebook):
    """An older answer stays above the one that counts."""
    answer = by_id(notebook)["shout"]
    notebook["cells"].insert(3, {**copy.deepcopy(answer), "id": "old", "source": "def shout(text):\n    return 'no'"})
    return ["shout) is there more than once, also as cell 4"]


def answer_in_a_new_cell(notebook):
    """The stub stayed, and the answer stands in a cell of the student's own."""
    answer = by_id(notebook)["shout"]
    own = {**copy.deepcopy(answer), "id": "new", "metadata": {}}
    notebook["cells"].insert(notebook["cells"].index(answer) + 1, own)
    answer["source"] = by_id(released())["shout"].source
    return ["The answer to shout stands in cell 9, and not in its answer cell"]


def retyped(notebook):
    cells = by_id(notebook)
    cells["double"]["cell_type"] = "raw"
    cells["written"]["cell_type"] = "code"
    return ["double) is a raw cell: turn it back into a code cell", "written) is a code cell"]


def moved(notebook):
    notebook["cells"].append(notebook["cells"].pop(3))
    return ["were moved"]


def prose_deleted(notebook):
    notebook["cells"] = [cell for cell in notebook["cells"] if not cell.get("id", "").endswith(("story", "title"))]
    return []


def broken_cell(notebook):
    """What no editor writes and a script may: a cell without metadata, one without text."""
    del by_id(notebook)["double"]["metadata"]
    notebook["cells"].append({"cell_type": "code"})
    return ["lost its nbgrader metadata"]


DAMAGE = [
    from_colab,
    from_vs_code,
    metadata_lost,
    metadata_and_ids_lost,
    points_raised,
    old_schema,
    changed_tests,
    deleted_tests,
    setup_changed,
    report_deleted,
    grade_id_twice,
    two_answers,
    answer_in_a_new_cell,
    retyped,
    moved,
    prose_deleted,
    broken_cell,
]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_named_and_mended(damage, lab, student):
    words = damage(student)
    mended, faults = mend(lab, student)
    assert bool(faults) == bool(words), faults
    for word in words:
        assert any(word in sentence for sentence in faults), (word, faults)
    nbformat.validate(mended)
    assert answers(mended) == [MY_DOUBLE, MY_SHOUT, MY_WORDS]
    # All that is not an answer is as released, in its order, and nothing of the student's is gone.
    originals = {cell.id: cell for cell in lab.cells}
    kept = [cell for cell in mended.cells if cell.id in originals]
    assert [cell.id for cell in kept] == [cell.id for cell in lab.cells]
    for cell in kept:
        original = originals[cell.id]
        assert (cell.cell_type, cell.metadata) == (original.cell_type, original.metadata)
        assert cell.source == original.source or cell.id in ("double", "shout", "written")
    texts = "\n".join(cell.source for cell in (*mended.cells, *lab.cells))
    assert [cell.source for cell in cells_of(student) if cell.source not in texts] == []
    pictures = [picture for cell in mended.cells for picture in cell.get("attachments", {}).values()]
    assert [cell for cell in cells_of(student) for one in cell.attachments.values() if one not in pictures] == []
    # Mended once, mended for good.
    again, faults = mend(lab, json.loads(nbformat.writes(mended)))
    assert (again, faults) == (mended, [])


def test_whole_notebook_is_left_alone(lab, student):
    mended, faults = mend(lab, student)
    assert faults == []
    assert [cell.id for cell in mended.cells] == [cell["id"] for cell in student["cells"]]
    assert [cell.source for cell in mended.cells] == [cell["source"] for cell in student["cells"]]


def test_own_cells_stay_where_they_stood(lab, student):
    changed_tests(student)
    mended, _ = mend(lab, student)
    assert [cell.id for cell in mended.cells][4:7] == ["double-tests", "mine", "shout-story"]
    assert mended.cells[-1].id == "set-aside"
    assert "assert True" in mended.cells[-1].source


def test_picture_in_the_written_answer_stays(lab, student):
    picture = {"graph.png": {"image/png": "aGk="}}
    by_id(student)["written"]["attachments"] = picture
    mended, _ = mend(lab, student)
    assert by_id(mended)["written"].attachments == picture


def test_written_answer_in_two_cells_is_whole(lab, student):
    words = pictures_in_written_answers(student)
    mended, faults = mend(lab, student)
    assert [sentence.split(":")[0] for sentence in faults] == words
    written = by_id(mended)["written"]
    assert "Un borrador" in written.source and written.source.endswith(MY_WORDS)
    assert sorted(picture["image/png"] for picture in written.attachments.values()) == ["YnllCg==", "aGk="]
    assert mend(lab, json.loads(nbformat.writes(mended))) == (mended, [])


def test_pictures_that_are_set_aside_keep_apart(lab, student):
    """A picture has no place in the tests."""
    for number, picture in enumerate(("aGk=", "YnllCg==")):
        tests = copy.deepcopy(by_id(lab)["double-tests"])
        tests |= {"cell_type": "markdown", "id": f"picture-{number}", "source": f"See {number}"}
        student["cells"].append({**tests, "attachments": {"image.png": {"image/png": picture}}})
    mended, _ = mend(lab, student)
    aside = mended.cells[-1]
    assert [picture["image/png"] for picture in aside.attachments.values()] == ["aGk=", "YnllCg=="]
    assert all(f"](<attachment:{name}>)" in aside.source for name in aside.attachments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "not found"),
        ("", "is empty"),
        ('{"cells": [\n<<<<<<< HEAD', "stops being JSON in line 2"),
        ("<html>", "a web page"),
        (b"\xff\xfe\x00", "stops being JSON in line 1"),
        ("[1, 2]", "no cells"),
        ('{"answer": 42}', "no cells"),
        ('{"cells": [3]}', "no cells"),
    ],
)
def test_what_is_not_a_notebook(text, words, tmp_path):
    path = tmp_path / "lab.ipynb"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CourseError, match=words) as caught:
        check.read(path)
    assert "\n" not in str(caught.value)


def test_folder_is_not_a_notebook(tmp_path):
    with pytest.raises(CourseError, match="cannot be read"):
        check.read(tmp_path)


def test_stage_comes_from_the_setup_cell_or_the_folder(tmp_path, labs):
    def cells(text):
        return cells_of({"cells": [{"cell_type": "code", "source": text}]})

    nowhere = tmp_path / "Downloads" / "lab (1).ipynb"
    assert check.find_stage(nowhere, cells(f'profile = setup("{STAGE}")'), labs) == STAGE
    assert check.find_stage(tmp_path / STAGE / "lab.ipynb", cells("1 + 1"), labs) == STAGE
    with pytest.raises(CourseError, match="not a lab of this course"):
        check.find_stage(nowhere, cells("1 + 1"), labs)


def test_another_notebook_is_refused(lab):
    with pytest.raises(CourseError, match="right file"):
        mend(lab, {"cells": [{"cell_type": "code", "source": "1 + 1", "metadata": {}}]})


# The command, with a kernel -----------------------------------------------------------------------------------------------


def command(*arguments):
    return CliRunner().invoke(cli.app, ["check", *map(str, arguments)])


def lines(result, name):
    return [line for line in result.output.splitlines() if name in line]


@pytest.fixture
def file(tmp_path, student):
    """The student's notebook in a folder of its stage; write it with `file(student)`."""
    path = tmp_path / STAGE / "lab.ipynb"
    path.parent.mkdir()

    def write(notebook):
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return path

    return write


@pytest.mark.slow
def test_outcomes(file, student, labs):
    by_id(student)["double"]["source"] = "def double(number):\n    return number"
    by_id(student)["shout"]["source"] = by_id(released())["shout"].source
    by_id(student)["written"]["source"] = "YOUR ANSWER HERE"
    path = file(student)
    before = path.read_bytes()
    result = command(path, "--labs", labs)
    assert result.exit_code == 1
    assert "wrong" in lines(result, "Task 1 · double")[0]
    assert "Got 2, expected 4. Hint: two times two." in lines(result, "Task 1 · double")[0]
    assert "not attempted" in lines(result, "Task 2 · shout")[0]
    assert "not attempted" in lines(result, "Written answer")[0]
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_repair(file, student, labs):
    metadata_and_ids_lost(student)
    path = file(student)
    before = path.read_bytes()
    result = command(path, "--labs", labs, "--repair")
    assert result.exit_code == 0, result.output
    assert "has lost its nbgrader metadata" in result.output
    assert "right" in lines(result, "Task 1 · double")[0]
    assert "right" in lines(result, "Task 2 · shout")[0]
    assert "answered" in lines(result, "Written answer")[0]
    assert path.with_name("lab.backup.ipynb").read_bytes() == before
    assert answers(nbformat.read(path, as_version=4)) == [MY_DOUBLE, MY_SHOUT, MY_WORDS]


@pytest.mark.parametrize("path", ["labs/stage1_corpus/quiz.ipynb", "quizzes/stage1_corpus.ipynb"])
@pytest.mark.parametrize("damage", [None, metadata_and_ids_lost])
def test_a_quiz_is_called_so(path, damage, root, tmp_path, course_error):
    """Whatever happened to it, wherever it lies: `check` knows labs and projects."""
    notebook = json.loads((root / path).read_text(encoding="utf-8"))
    if damage:
        damage(notebook)
    copy = tmp_path / STAGE / "quiz.ipynb"
    copy.parent.mkdir()
    copy.write_text(json.dumps(notebook), encoding="utf-8")
    with course_error(copy, "is a quiz"):
        check.examine(copy)


def test_nothing_is_run(file, student, labs, monkeypatch):
    """Instructors mend what others wrote: none of it may be executed then."""
    monkeypatch.setattr(check, "run", None)
    metadata_and_ids_lost(student)
    path = file(student)
    assert command(path, "--labs", labs, "--no-run").exit_code == 1
    result = command(path, "--labs", labs, "--repair", "--no-run")
    assert result.exit_code == 0, result.output
    assert "is mended" in result.output
    assert answers(nbformat.read(path, as_version=4)) == [MY_DOUBLE, MY_SHOUT, MY_WORDS]
    assert command(path, "--labs", labs, "--repair", "--no-run").output == "Nothing to repair.\n"


@pytest.mark.slow
def test_answers_that_do_not_even_run(lab, student, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "CELL_TIMEOUT", 4)
    by_id(student)["double"]["source"] = "def double(number)\n    return number"
    by_id(student)["shout"]["source"] = "def shout(text):\n    while True: pass"
    mended, _ = mend(lab, student)
    double, shout, written = check.run(mended, tmp_path, lab)
    assert (double.outcome, written.outcome) == ("wrong", "answered")
    assert "SyntaxError" in double.why
    assert "took more than 4 s" in shout.why


@pytest.mark.slow
def test_kernel_that_dies(lab, student, tmp_path):
    by_id(student)["shout"]["source"] = "import os\ndef shout(text):\n    os._exit(3)"
    mended, _ = mend(lab, student)
    double, shout, _ = check.run(mended, tmp_path, lab)
    assert double.outcome == "right"
    assert (shout.outcome, shout.why) == ("wrong", "Not run: the kernel died in this task or before it.")


def test_backups_are_never_overwritten(file, student, lab):
    path = file(student)
    mended, _ = mend(lab, student)
    names = [check.repair(path, mended).name for _ in range(3)]
    assert names == ["lab.backup.ipynb", "lab.backup-2.ipynb", "lab.backup-3.ipynb"]
    assert json.loads(path.with_name(names[0]).read_text(encoding="utf-8")) == student


def test_missing_file_costs_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["resumen", "check", str(tmp_path / "lab.ipynb")])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert "not found" in capsys.readouterr().err


# What nobody may lose -----------------------------------------------------------------------------------------------------


def test_half_an_emoji_costs_one_sentence(file, student, labs):
    """No file in UTF-8 can hold it. The student's own stays as a backup."""
    by_id(student)["double"]["source"] += "  # \ud83d"
    path = file(student)
    before = path.read_bytes()
    result = command(path, "--labs", labs, "--no-run")
    assert result.exit_code == 1
    assert [line[:30] for line in result.output.splitlines()] == ["Cell 4 holds half a character,"]
    assert path.read_bytes() == before
    assert command(path, "--labs", labs, "--no-run", "--repair").exit_code == 0
    assert path.with_name("lab.backup.ipynb").read_bytes() == before
    assert answers(nbformat.read(path, as_version=4)) == [f"{MY_DOUBLE}  # �", MY_SHOUT, MY_WORDS]


@pytest.mark.parametrize("written", [0, 1], ids=["backup", "notebook"])
def test_full_disk_costs_nothing(file, student, labs, monkeypatch, written):
    """Whichever of the two files does not fit, the student's is as it was, and no part of another lies beside it."""
    metadata_lost(student)
    path = file(student)
    before = path.read_bytes()
    synced = []

    def full(number):
        synced.append(number)
        if len(synced) > written:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = command(path, "--labs", labs, "--no-run", "--repair")
    assert isinstance(result.exception, CourseError)
    assert "No space left on device" in str(result.exception)
    assert path.read_bytes() == before
    assert {other.read_bytes() for other in path.parent.iterdir()} == {before}


def test_links_and_rights_stay(file, student, labs, tmp_path):
    metadata_lost(student)
    path = file(student)
    path.chmod(0o600)
    link = tmp_path / STAGE / "link.ipynb"
    link.symlink_to(path)
    assert command(link, "--labs", labs, "--no-run", "--repair").exit_code == 0
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert answers(nbformat.read(path, as_version=4)) == [MY_DOUBLE, MY_SHOUT, MY_WORDS]


def test_other_line_ends_are_no_change(lab, student):
    for cell in student["cells"]:
        cell["source"] = cell["source"].replace("\n", "\r\n")
    mended, faults = mend(lab, student)
    assert faults == []
    assert answers(mended) == [MY_DOUBLE, MY_SHOUT, MY_WORDS]


@pytest.mark.parametrize("own", ["helper above", "trial below"])
def test_split_cell(lab, student, own):
    """JupyterLab's Split Cell gives both halves the metadata: the half that defines the function is the answer."""
    answer = by_id(student)["double"]
    half = {
        **copy.deepcopy(answer),
        "id": "half",
        "source": "def twice(n):\n    return n + n" if own == "helper above" else "double(4)",
    }
    at = student["cells"].index(answer)
    student["cells"].insert(at if own == "helper above" else at + 1, half)
    mended, (fault,) = mend(lab, student)
    assert "(answer cell double) is there more than once, also as cell" in fault
    ids = [cell.id for cell in mended.cells]
    assert answers(mended) == [MY_DOUBLE, MY_SHOUT, MY_WORDS]
    assert ids.index("half") - ids.index("double") == (-1 if own == "helper above" else 1)
    assert "nbgrader" not in by_id(mended)["half"].metadata
