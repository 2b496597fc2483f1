"""nbgrader grades every notebook: rebuilt in a course with our settings, or mended by `resumen check --repair` in any other."""

import json
import shutil

import mangled
import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde
from nbgrader.preprocessors import CheckCellMetadata, SaveAutoGrades
from traitlets.config import PyFileConfigLoader

from resumen.check.notebook import examine
from resumen.instructor.release import release
from resumen.notebooks import is_answer, write_notebook

STAGE = "stage1_corpus"

STOPPING = [
    mangled.metadata_is_a_list,
    mangled.nbgrader_is_a_text,
    mangled.grade_id_is_a_list,
    mangled.old_schema,
    mangled.foreign_cell,
    mangled.cell_without_metadata,
    mangled.cell_without_anything,
    mangled.split_above_a_trial,
    mangled.half_an_emoji,
    mangled.format_3_damaged,
    mangled.version_lost,
    mangled.utf_16,
]
"""What nbgrader alone would stop at, or grade wrong. `test_rebuild` has the others."""

HARMLESS = [mangle for mangle in mangled.HARMLESS if mangle is not mangled.spare_outputs_of_50_mb]

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@pytest.fixture(scope="module")
def course(root, tmp_path_factory):
    """A course with stage 1 in its gradebook."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copyfile(root / "nbgrader_config.py", folder / "nbgrader_config.py")
    shutil.copytree(root / "solutions" / STAGE, folder / "solutions" / STAGE)
    (folder / "solutions" / STAGE / "quiz.ipynb").unlink()
    release(folder)
    return folder


@pytest.fixture(scope="module")
def released(course):
    notebook = json.loads((course / "labs" / STAGE / "lab.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


@pytest.fixture(scope="module")
def student(released, course):
    """The released notebook with the reference's answers in it, and words of one's own."""
    source = nbformat.read(course / "solutions" / STAGE / "lab.ipynb", as_version=4)
    answers = {cell.id: mangled.without_markers(cell.source) for cell in source.cells if is_answer(cell)}
    answers["written"] = "Con tres palabras quedan menos reseñas.\n\nSo a model may copy more."
    notebook = json.loads(json.dumps(released))
    for cell in notebook["cells"]:
        cell["source"] = answers.get(cell["id"], cell["source"])
    return notebook


def hand_in(course, files):
    """Make these files, by student, all that was submitted."""
    for name in ("submitted", "autograded"):
        shutil.rmtree(course / "var" / name, ignore_errors=True)
    for name, data in files.items():
        path = course / "var" / "submitted" / name / STAGE / "lab.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)


def autograde(course, monkeypatch, **settings):
    """Run `nbgrader autograde` and return the graded notebooks by student."""
    monkeypatch.chdir(course)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    for name, value in settings.items():
        if value is None:
            config.Autograde.pop(name, None)
        else:
            config.Autograde[name] = value
    api = NbGraderAPI(config=config)
    api.coursedir.assignment_id = STAGE
    Autograde(coursedir=api.coursedir, parent=api, config=config).start()
    graded = (course / "var" / "autograded").glob(f"*/{STAGE}/lab.ipynb")
    return {path.parts[-3]: nbformat.read(path, as_version=4) for path in graded}


def assert_whole(graded, student):
    """The answers are there, and each test once."""
    texts = "\n".join(cell.source for cell in graded.cells)
    for cell in student["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            assert all(line.strip() in texts for line in cell["source"].splitlines())
    ids = [cell.metadata.nbgrader.grade_id for cell in graded.cells if "nbgrader" in cell.metadata]
    expected = [cell["metadata"]["nbgrader"]["grade_id"] for cell in student["cells"] if "nbgrader" in cell["metadata"]]
    assert ids == expected


def test_a_class_of_mangled_notebooks(course, student, released, monkeypatch):
    """Each is rebuilt, or scores 0 with the reason; nothing stops the class. They are not run here."""
    mangles = {mangle.__name__: mangle for mangle in STOPPING}
    files = {name: mangled.mangled(mangle, student, released) for name, mangle in mangles.items()}
    refused = {f"refused_{number}": data for number, data in enumerate(mangled.REFUSED) if number % 4 == 0}
    hand_in(course, files | refused)
    graded = autograde(course, monkeypatch, autograde_preprocessors=[SaveAutoGrades, CheckCellMetadata])
    assert graded.keys() == files.keys() | refused.keys()
    for name in mangles:
        assert_whole(graded[name], student)
    for name, data in refused.items():
        assert mangled.REFUSED[data] in graded[name].cells[0].source
    with Gradebook(f"sqlite:///{course / 'var' / 'gradebook.db'}", "resumen") as gradebook:
        assert len(gradebook.assignment_submissions(STAGE)) == len(graded)


def test_nothing_to_repair_means_that_nbgrader_grades_it(course, student, released, monkeypatch, tmp_path):
    """In a course with nbgrader's own settings: what `check` finds whole as it is, the rest as it is mended."""
    files = {}
    for mangle in (*HARMLESS, *STOPPING):
        path = tmp_path / STAGE / "lab.ipynb"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mangled.mangled(mangle, student, released))
        examined = examine(path)
        assert bool(examined.faults) == (mangle in STOPPING), mangle
        if examined.faults:
            write_notebook(examined.mended, path)
            assert not examine(path).faults, mangle
        files[mangle.__name__] = path.read_bytes()
    hand_in(course, files)
    stock = {"exporter_class": None, "sanitize_preprocessors": None}
    graded = autograde(course, monkeypatch, **stock, autograde_preprocessors=[SaveAutoGrades, CheckCellMetadata])
    assert graded.keys() == files.keys()
    for notebook in graded.values():
        assert_whole(notebook, student)


def test_the_reference_scores_everything(course, student, released, monkeypatch):
    """One notebook with all of this is run, its hidden tests on the instructor's own tools."""
    notebook = json.loads(json.dumps(student))
    for mangle in (mangled.four_cells_merged, mangled.tools_changed, mangled.written_below, mangled.metadata_lost):
        mangle(notebook, released)
    hand_in(course, {"ana": json.dumps(notebook).encode()})
    autograde(course, monkeypatch)
    with Gradebook(f"sqlite:///{course / 'var' / 'gradebook.db'}", "resumen") as gradebook:
        submission = gradebook.find_submission_notebook("lab", STAGE, "ana")
        scores = {grade.name: (grade.auto_score, grade.max_score) for grade in submission.grades}
        assert scores.pop("written")[0] is None  # a person reads it
        assert all(score == most for score, most in scores.values()), scores
