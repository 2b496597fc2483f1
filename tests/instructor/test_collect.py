"""Downloads of an LMS: whose file is whose, which of two counts, and what is said about the rest."""

import io
import unicodedata
import zipfile
from pathlib import Path

import pytest

from resumen.instructor.collect import LmsCollector, LmsExtractor, choose

MOODLE = "José Núñez_1234567_assignsubmission_file_"
CANVAS = "garcialopezana_12345_678910_lab.ipynb"


def put(folder, **files):
    """Write files, given as path=text, below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def zipped(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def chosen(folder):
    return {(one.student, one.notebook): one.path.relative_to(folder).as_posix() for one in choose(folder)[0]}


def sentences(folder):
    return choose(folder)[1]


@pytest.mark.parametrize(
    ("name", "student", "notebook"),
    [
        (f"{MOODLE}/lab.ipynb", "José Núñez", "lab"),
        (f"{MOODLE}/entrega/lab.ipynb", "José Núñez", "lab"),
        (f"{MOODLE}/my_12_34_folder/lab.ipynb", "José Núñez", "lab"),
        (f"download/{MOODLE}/quiz.ipynb", "José Núñez", "quiz"),
        (f"{MOODLE[:-1]}/lab.ipynb", "José Núñez", "lab"),
        (f"{MOODLE}lab.ipynb", "José Núñez", "lab"),
        (unicodedata.normalize("NFD", f"{MOODLE}/lab.ipynb"), "José Núñez", "lab"),
        ("Núñez, José_7_assignsubmission_file_/Lab (1).ipynb", "Núñez José", "lab"),
        ("Ada [x]*_7_assignsubmission_file_/lab-2.ipynb", "Ada x", "lab"),
        (CANVAS, "garcialopezana_12345", "lab"),
        ("garcialopezana_LATE_12345_678910_lab-1.ipynb", "garcialopezana_12345", "lab"),
        ("submissions/garcialopezana_12345_678910_quiz.ipynb", "garcialopezana_12345", "quiz"),
        ("garcialopezana_12345_678910_entrega/lab.ipynb", "garcialopezana_12345", "lab"),
    ],
)
def test_names(tmp_path, name, student, notebook):
    put(tmp_path, **{name: "{}"})
    assert chosen(tmp_path) == {(student, notebook): name}
    assert sentences(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("lab.ipynb", "its name is neither Moodle's nor Canvas's, so nobody knows whose it is."),
        (f"{MOODLE}/solution.ipynb", "José Núñez has to call it lab.ipynb, quiz.ipynb or project.ipynb."),
        (f"{MOODLE}/laboratory.ipynb", "José Núñez has to call it lab.ipynb, quiz.ipynb or project.ipynb."),
        (f"{MOODLE}/lab.pdf", "it is no notebook; José Núñez has to hand in an .ipynb file."),
    ],
)
def test_left_out(tmp_path, name, reason):
    put(tmp_path, **{name: "{}", CANVAS: "{}"})
    assert list(chosen(tmp_path).values()) == [CANVAS]
    assert sentences(tmp_path) == [f"{name} was left out: {reason}"]


def test_the_later_upload_counts(tmp_path):
    later = "garcialopezana_LATE_12345_1000000_lab-1.ipynb"
    put(tmp_path, **{CANVAS: "first", later: "second"})
    assert list(chosen(tmp_path).values()) == [later]
    assert sentences(tmp_path) == [f"{CANVAS} was left out: {later} of the same student was uploaded later."]


def test_two_files_and_no_telling_which(tmp_path):
    one, other = f"{MOODLE}/lab (1).ipynb", f"{MOODLE}/lab.ipynb"
    put(tmp_path, **{one: "first", other: "second", CANVAS: "{}"})
    assert list(chosen(tmp_path).values()) == [CANVAS]
    (sentence,) = sentences(tmp_path)
    assert sentence.startswith(f"{one} and {other} were left out: José Núñez handed in 2 different files for lab.ipynb")
    put(tmp_path, **{other: "first"})
    assert list(chosen(tmp_path).values()) == [one, CANVAS]
    assert sentences(tmp_path) == []


def test_two_students_of_one_name(tmp_path):
    other = "José Núñez_7654321_assignsubmission_file_/quiz.ipynb"
    put(tmp_path, **{f"{MOODLE}/lab.ipynb": "{}", other: "{}", CANVAS: "{}"})
    assert list(chosen(tmp_path).values()) == [CANVAS]
    assert [sentence.split(";")[0] for sentence in sentences(tmp_path)] == [
        f"{name} left out: several participants are called José Núñez" for name in (f"{MOODLE}/lab.ipynb", other)
    ]


def test_macos_leaves_nothing(tmp_path):
    put(tmp_path, **{f"{MOODLE}/__MACOSX/._lab.ipynb": "x", f"{MOODLE}/._lab.ipynb": "x", f"{MOODLE}/lab.ipynb": "{}"})
    assert list(chosen(tmp_path).values()) == [f"{MOODLE}/lab.ipynb"]
    assert sentences(tmp_path) == []


class TestThroughNbgrader:
    """`nbgrader zip_collect` in a course with the repository's settings."""

    @pytest.fixture
    def course(self, tmp_path, root):
        (tmp_path / "nbgrader_config.py").write_bytes((root / "nbgrader_config.py").read_bytes())
        put(tmp_path / "labs" / "stage1_corpus", **{"lab.ipynb": "{}", "quiz.ipynb": "{}"})
        return tmp_path

    def collect(self, course, *arguments):
        from nbgrader.apps.zipcollectapp import ZipCollectApp

        app = ZipCollectApp()
        app.initialize(["stage1_corpus", f"--CourseDirectory.root={course}", *arguments])
        app.start()
        log = (course / "var" / "nbgrader.log").read_text(encoding="utf-8")
        submitted = course / "var" / "submitted"
        return {path.relative_to(submitted).as_posix(): path.read_text() for path in submitted.rglob("*.ipynb")}, log

    def test_zip_in_zip_and_a_broken_one(self, course, monkeypatch):
        monkeypatch.chdir(course)
        inner = zipped(**{"trabajo/lab.ipynb": "hers"})
        download = zipped(
            **{
                f"{MOODLE}/lab.ipynb": "his",
                "Íñigo Peña_8_assignsubmission_file_/entrega.zip": b"no zip",
                "Ada Ruiz_9_assignsubmission_file_/entrega.zip": inner,
            }
        )
        archive = course / "var" / "downloaded" / "stage1_corpus" / "archive"
        put(archive, **{"download.zip": download, CANVAS: "canvas", "notes.ipynb": "nobody's"})
        files, log = self.collect(course)
        assert files == {
            "José Núñez/stage1_corpus/lab.ipynb": "his",
            "Ada Ruiz/stage1_corpus/lab.ipynb": "hers",
            "garcialopezana_12345/stage1_corpus/lab.ipynb": "canvas",
        }
        assert "download/Íñigo Peña_8_assignsubmission_file_/entrega.zip cannot be unpacked: it is damaged" in log
        assert "notes.ipynb was left out: its name is neither Moodle's nor Canvas's" in log
        assert "3 files collected, 2 files skipped" in log

    def test_again(self, course, monkeypatch):
        """Nothing is overwritten unless the instructor says so."""
        monkeypatch.chdir(course)
        archive = course / "var" / "downloaded" / "stage1_corpus" / "archive"
        put(archive, **{CANVAS: "first"})
        self.collect(course)
        put(archive, **{CANVAS: "second"})
        with pytest.raises(SystemExit):
            self.collect(course)
        files, _ = self.collect(course, "--force")
        assert files == {"garcialopezana_12345/stage1_corpus/lab.ipynb": "second"}


def test_they_are_the_plugins_of_the_settings(root):
    text = Path(root, "nbgrader_config.py").read_text(encoding="utf-8")
    for plugin in (LmsCollector, LmsExtractor):
        assert f'"{plugin.__module__}.{plugin.__name__}"' in text
