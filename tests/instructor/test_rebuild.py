"""The notebook to grade is the instructor's, the answers in it are the student's, whatever happened to the file between them."""

import json
import random
import time

import mangled
import nbformat
import pytest
from test_spanish import assert_spanish

from resumen.check.cells import plain
from resumen.errors import CourseError
from resumen.instructor.rebuild import STUDENT, rebuild, refused
from resumen.notebooks import is_answer, is_test


@pytest.fixture(scope="module")
def source(root):
    return nbformat.read(root / "solutions" / "stage1_corpus" / "lab.ipynb", as_version=4)


@pytest.fixture(scope="module")
def released(root):
    return json.loads((root / "labs" / "stage1_corpus" / "lab.ipynb").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answers(source):
    """The reference's answers, by cell."""
    code = {cell.id: mangled.without_markers(cell.source) for cell in source.cells if is_answer(cell)}
    return {**code, "written": "Con tres palabras quedan menos reseñas.\n\nSo a model may copy more."}


@pytest.fixture(scope="module")
def student(released, answers):
    """The released notebook with the reference's answers in it."""
    notebook = json.loads(json.dumps(released))
    for cell in notebook["cells"]:
        cell["source"] = answers.get(cell["id"], "".join(cell["source"]))
    for cell in released["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


def assert_rebuilt(notebook, source, answers):
    """All that is not the student's is the instructor's, and the answers do what the reference does."""
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert notebook.metadata == source.metadata
    originals = {cell.id: cell for cell in source.cells}
    assert [cell.id for cell in notebook.cells if cell.id in originals] == list(originals)
    for cell in notebook.cells:
        original = originals.get(cell.id)
        if original is None:
            assert "nbgrader" not in cell.metadata and STUDENT in cell.metadata.tags
        elif is_answer(original):
            assert answers[cell.id] in (plain(cell.source), *cell.source.split("\n\n\n"))
        elif STUDENT not in cell.metadata.get("tags", []):
            assert cell.source == original.source
        if original is not None:
            assert cell.cell_type == original.cell_type
            for key in ("grade_id", "points", "grade", "solution", "locked"):
                assert cell.metadata.get("nbgrader", {}).get(key) == original.metadata.get("nbgrader", {}).get(key)
        if original is not None and is_test(original):
            assert cell.source == original.source
            assert STUDENT not in cell.metadata.get("tags", [])
        assert not cell.get("outputs")


@pytest.mark.parametrize("mangle", [*mangled.HARMLESS, *mangled.MENDED], ids=lambda mangle: mangle.__name__)
def test_answers_count_whatever_happened(mangle, source, released, student, answers):
    notebook, sentences = rebuild(source, mangled.mangled(mangle, student, released))
    assert_rebuilt(notebook, source, answers)
    assert bool(sentences) == (mangle in mangled.MENDED), sentences
    for sentence in sentences:
        assert "\n" not in sentence and sentence.endswith(".") and "--repair" not in sentence
        assert_spanish(sentence)


@pytest.mark.parametrize("data", mangled.REFUSED, ids=lambda data: mangled.REFUSED[data])
def test_refusals_say_why(data, source):
    with pytest.raises(CourseError) as caught:
        rebuild(source, data)
    assert mangled.REFUSED[data] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert_spanish(str(caught.value))


def test_whatever_is_in_the_file(source, student):
    """Fifty spoilt files: each is rebuilt, or refused in one sentence."""
    originals = [cell.id for cell in source.cells]
    refusals = 0
    for seed in range(50):
        try:
            notebook, sentences = rebuild(source, mangled.spoil(student, random.Random(seed)))
        except CourseError as error:
            sentences = [str(error)]
            refusals += 1
        else:
            nbformat.validate(notebook)
            assert [cell.id for cell in notebook.cells if cell.id in originals] == originals
        assert not any("\n" in sentence for sentence in sentences)
        for sentence in sentences:
            assert_spanish(sentence)
    assert refusals < 25


@pytest.mark.parametrize(
    "text", ["\n", "    \n", "(", "x = 1\n", "def deduplicate(", '"', "%", "\t", "raise NotImplementedError "]
)
def test_no_text_holds_up_the_class(text, source, student):
    """Patterns that go back and forth over a text take hours for one of some megabytes."""
    notebook = json.loads(json.dumps(student))
    mangled.insert_below(notebook, mangled.TASK, mangled.code(text * (1_000_000 // len(text)), id="big"))
    notebook["cells"] += [mangled.code("1", id=f"own-{number}") for number in range(300)]
    began = time.process_time()
    rebuild(source, json.dumps(notebook).encode())
    assert time.process_time() - began < 10


def test_refused_scores_nothing_and_says_why(source, released):
    notebook = refused(source, "The file is empty.")
    nbformat.validate(notebook)
    assert "The file is empty." in notebook.cells[0].source
    stubs = {cell["id"]: cell["source"] for cell in released["cells"]}
    for cell in notebook.cells[1:]:
        original = next(other for other in source.cells if other.id == cell.id)
        assert cell.source == (original.source if is_test(cell) else stubs[cell.id])


def around(notebook, source):
    """Return, for the student's own code, the id of the cell that it stands below, with its text."""
    mine = {cell.id for cell in notebook.cells} - {cell.id for cell in source.cells}
    below, placed = "", []
    for cell in notebook.cells:
        if cell.id in mine and cell.cell_type == "code":
            placed.append((below, cell.source))
        elif cell.id not in mine:
            below = cell.id
    return placed


@pytest.mark.parametrize(
    ("mangle", "placed"),
    [
        (mangled.own_cells, [("deduplicate-story", mangled.HELPER)]),
        (mangled.foreign_cell, [("deduplicate", "print('pasted')")]),
        (mangled.split_below_a_helper, [("deduplicate-story", mangled.HELPER)]),
        (mangled.split_above_a_trial, [("deduplicate", "deduplicate(3)")]),
        # A helper goes up with the answer that it stands above.
        (mangled.answer_moved, [("deduplicate-story", mangled.HELPER)]),
        (mangled.all_answers_at_the_end, [("clean-text-story", "import itertools")]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_helpers_stay_near_their_neighbour(mangle, placed, source, released, student):
    notebook, _ = rebuild(source, mangled.mangled(mangle, student, released))
    assert around(notebook, source) == placed


def test_changed_tools_run_before_the_originals(source, released, student):
    """What a student imports is there, and the tests stand on the instructor's tools."""
    notebook, _ = rebuild(source, mangled.mangled(mangled.tools_changed, student, released))
    (imports, imported), (tools, changed) = around(notebook, source)
    assert (imports, tools) == ("lab1-setup", "lab1-tools-text")
    assert "import itertools" in imported and "return None" in changed


def test_changed_tests_are_not_run(source, released, student):
    notebook, _ = rebuild(source, mangled.mangled(mangled.tests_changed, student, released))
    assert not around(notebook, source)
    assert "assert True" in notebook.cells[-1].source
    assert notebook.cells[-1].cell_type == "markdown"


def test_functions_cut_in_two_are_whole_again(source, released, student, answers):
    for mangle in (mangled.split_in_the_function, mangled.split_in_the_function_by_colab):
        notebook, (sentence,) = rebuild(source, mangled.mangled(mangle, student, released))
        assert not around(notebook, source)
        assert sentence == "Cells 26 and 27 are one answer cell, deduplicate: they were joined."


def test_no_answer_is_the_stub_and_never_the_solution(source, released):
    notebook, sentences = rebuild(source, json.dumps(released).encode())
    assert sentences == []
    stubs = {cell["id"]: cell["source"] for cell in released["cells"]}
    for cell in notebook.cells:
        assert is_test(cell) or cell.source == stubs[cell.id]
    nothing = {"cells": [cell for cell in released["cells"] if cell["id"] != "deduplicate"]}
    notebook, sentences = rebuild(source, json.dumps(nothing).encode())
    assert {cell.id: cell.source for cell in notebook.cells}["deduplicate"] == stubs["deduplicate"]
    assert "The answer cell deduplicate is missing: it counts as not attempted." in sentences


def test_pictures_of_a_written_answer_stay_apart(source, released, student):
    """Jupyter calls every pasted picture image.png."""
    notebook = json.loads(json.dumps(student))
    mangled.written_split(notebook, released)
    for name, picture in (("written", "aGk="), ("split", "YnllCg==")):
        cell = mangled.by_id(notebook)[name]
        cell["source"] += " ![](attachment:image.png)"
        cell["attachments"] = {"image.png": {"image/png": picture}}
    rebuilt, _ = rebuild(source, json.dumps(notebook).encode())
    written = next(cell for cell in rebuilt.cells if cell.id == "written")
    assert sorted(picture["image/png"] for picture in written.attachments.values()) == ["YnllCg==", "aGk="]
    assert all(f"attachment:{name})" in written.source for name in written.attachments)


def test_quizzes_and_projects(root):
    """An answer may be a variable; a project's own code is the student's."""
    for stage, name in (("stage3_rouge_baseline", "quiz"), ("capstone", "project"), ("premier", "project")):
        source = nbformat.read(root / "solutions" / stage / f"{name}.ipynb", as_version=4)
        answers = {cell.id: mangled.without_markers(cell.source) for cell in source.cells if is_answer(cell)}
        notebook = json.loads(nbformat.writes(source))
        for cell in notebook["cells"]:
            cell["source"] = answers.get(cell["id"], "".join(cell["source"]))
            cell["metadata"] = {}
            del cell["id"]
        rebuilt, sentences = rebuild(source, json.dumps(notebook).encode())
        assert_rebuilt(rebuilt, source, {name: plain(text) for name, text in answers.items()})
        assert sentences


def test_the_same_of_many_cells_is_said_once(source, released, student):
    _, sentences = rebuild(source, mangled.mangled(mangled.metadata_lost, student, released))
    assert sentences == [
        "Cell 9 (answer cell clean-text) has lost its nbgrader metadata, like 18 more: it was found all the same."
    ]
