"""The notebook to grade is the instructor's, the answers in it are the student's, whatever happened to the file between them."""

import json
import re

import mangled
import nbformat
import pytest

from resumen.check.cells import plain
from resumen.errors import CourseError
from resumen.instructor.rebuild import STUDENT, rebuild, refused
from resumen.notebooks import is_answer, is_test

MARKER = re.compile(r"^\s*### (BEGIN|END) SOLUTION\n?", re.MULTILINE)


@pytest.fixture(scope="module")
def source(root):
    return nbformat.read(root / "solutions" / "stage1_corpus" / "lab.ipynb", as_version=4)


@pytest.fixture(scope="module")
def released(root):
    return json.loads((root / "labs" / "stage1_corpus" / "lab.ipynb").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answers(source):
    """The reference's answers, by cell."""
    code = {cell.id: MARKER.sub("", cell.source).strip() for cell in source.cells if is_answer(cell)}
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


@pytest.mark.parametrize("data", mangled.REFUSED, ids=lambda data: mangled.REFUSED[data])
def test_refusals_say_why(data, source):
    with pytest.raises(CourseError) as caught:
        rebuild(source, data)
    assert mangled.REFUSED[data] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refused_scores_nothing_and_says_why(source, released):
    notebook = refused(source, "The file is empty.")
    nbformat.validate(notebook)
    assert "The file is empty." in notebook.cells[0].source
    stubs = {cell["id"]: cell["source"] for cell in released["cells"]}
    for cell in notebook.cells[1:]:
        original = next(other for other in source.cells if other.id == cell.id)
        assert cell.source == (original.source if is_test(cell) else stubs[cell.id])


def places(notebook, *names):
    ids = [cell.id for cell in notebook.cells]
    return [ids.index(name) for name in names]


def own(notebook):
    """The student's own cells, by the cell above each."""
    above = dict(zip(notebook.cells[1:], notebook.cells, strict=False)) if False else {}
    for upper, lower in zip(notebook.cells, notebook.cells[1:], strict=False):
        if STUDENT in lower.metadata.get("tags", []) and lower.cell_type == "code":
            above[upper.id] = lower.source
    return above
