"""Downloads of an LMS: whose file is whose, which of two counts, and what is said about the rest."""

import io
import os
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest

from resumen.errors import CourseError
from resumen.instructor import collect
from resumen.instructor.collect import LmsCollector, LmsExtractor, choose, find_submissions, student_id, walk

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
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def chosen(folder):
    handed, _ = choose(list(walk(folder, print)), assignment="stage1_corpus")
    return {(one.student, one.notebook): one.file.path.relative_to(folder).as_posix() for one in handed}


def sentences(folder):
    return choose(list(walk(folder, print)), assignment="stage1_corpus")[1]


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
        ("anon_aB3xZ_678_lab.ipynb", "anon_aB3xZ", "lab"),
        ("anon_LATE_9fQ2k_678912_lab.ipynb", "anon_9fQ2k", "lab"),
        ("LATE_anon_9fQ2k_678912_lab-2.ipynb", "anon_9fQ2k", "lab"),
        ("lab_group_1_12345_678_lab.ipynb", "lab_group_1_12345", "lab"),
        ("team_7_12345_678_lab.ipynb", "team_7_12345", "lab"),
        ("team_7_LATE_12345_678_my_work_on_the_lab.ipynb", "team_7_12345", "lab"),
        ("nunezjose_12345_678910_v12_34_lab.ipynb", "nunezjose_12345", "lab"),
        (".._123_assignsubmission_file_/lab.ipynb", "Participant 123", "lab"),
        ("._123_assignsubmission_file_/lab.ipynb", "Participant 123", "lab"),
        ("...José_123_assignsubmission_file_/lab.ipynb", "José", "lab"),
        ("Participant_123_assignsubmission_file_/lab.ipynb", "Participant 123", "lab"),
        ("Participante_124_assignsubmission_file_/quiz.ipynb", "Participant 124", "quiz"),
        ("निखिल शर्मा_5_assignsubmission_file_/lab.ipynb", "निखिल शर्मा", "lab"),
        ("สมชาย_5_assignsubmission_file_/lab.ipynb", "สมชาย", "lab"),
        ("王小明_5_assignsubmission_file_/实验 lab.ipynb", "王小明", "lab"),
        ("محمد علی\u200cزاده_5_assignsubmission_file_/lab.ipynb", "محمد علی\u200cزاده", "lab"),
        ("O'Neil {Ann} [B], Jr._5_assignsubmission_file_/lab.ipynb", "O'Neil Ann B Jr", "lab"),
        (f"{MOODLE}/ana_lab.ipynb", "José Núñez", "lab"),
        (f"{MOODLE}/lab.ipynb.txt", "José Núñez", "lab"),
        (f"{MOODLE}/starter.ipynb", "José Núñez", "project"),
        ("ana_lab.ipynb", "ana", "lab"),
        ("Quiz - Ana Ruiz (2).ipynb", "Ana Ruiz", "quiz"),
        ("Ana Ruiz/entrega/lab.ipynb", "Ana Ruiz", "lab"),
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
    other = "José Núñez_7654321_assignsubmission_file_/lab.ipynb"
    put(tmp_path, **{f"{MOODLE}/lab.ipynb": "{}", other: "{}", CANVAS: "{}"})
    assert list(chosen(tmp_path).values()) == [CANVAS]
    (sentence,) = sentences(tmp_path)
    assert sentence.startswith(f"{MOODLE}/lab.ipynb and {other} left out: several participants are called José Núñez;")


def test_two_students_of_one_name_with_different_notebooks(tmp_path):
    """One number has lab and quiz, so this is one assignment, and two numbers are two people."""
    one, other = (f"José Núñez_{number}_assignsubmission_file_" for number in (1, 2))
    both = {f"Ada Ruiz_3_assignsubmission_file_/{name}.ipynb": "{}" for name in ("lab", "quiz")}
    put(tmp_path, **{f"{one}/lab.ipynb": "{}", f"{other}/quiz.ipynb": "{}", **both})
    assert list(chosen(tmp_path)) == [("Ada Ruiz", "lab"), ("Ada Ruiz", "quiz")]
    assert len(sentences(tmp_path)) == 2


@pytest.mark.parametrize("folder", ["", "lab/", "quiz/"])
def test_lab_and_quiz_as_two_assignments_of_moodle(tmp_path, folder):
    """Each student has another number in each."""
    for number, student in enumerate(("José Núñez", "Ada Ruiz")):
        put(tmp_path, **{f"{folder and 'lab/'}{student}_{number}_assignsubmission_file_/lab.ipynb": "{}"})
        put(tmp_path, **{f"{folder and 'quiz/'}{student}_{9 - number}_assignsubmission_file_/quiz.ipynb": "{}"})
    assert chosen(tmp_path).keys() == {(name, what) for name in ("José Núñez", "Ada Ruiz") for what in ("lab", "quiz")}
    assert sentences(tmp_path) == []


def test_macos_leaves_nothing(tmp_path):
    put(tmp_path, **{f"{MOODLE}/__MACOSX/._lab.ipynb": "x", f"{MOODLE}/._lab.ipynb": "x", f"{MOODLE}/lab.ipynb": "{}"})
    assert list(chosen(tmp_path).values()) == [f"{MOODLE}/lab.ipynb"]
    assert sentences(tmp_path) == []


AUTOSAVE = ".ipynb_checkpoints/lab-checkpoint.ipynb"


def test_autosaves_and_backups_are_passed_by(tmp_path):
    left = [f"{MOODLE}/{AUTOSAVE}", f"{MOODLE}/lab.backup.ipynb", f"{MOODLE}/lab.backup-2.ipynb"]
    put(tmp_path, **dict.fromkeys(left, "old"), **{f"{MOODLE}/ana_lab.ipynb": "hers"})
    assert list(chosen(tmp_path).values()) == [f"{MOODLE}/ana_lab.ipynb"]
    assert sentences(tmp_path) == []
    put(tmp_path, **{f"Eva_2_assignsubmission_file_/{AUTOSAVE}": "old"})
    assert sentences(tmp_path) == [
        f"Eva_2_assignsubmission_file_/{AUTOSAVE} was left out: it is an autosave or a backup, and Eva handed in no other."
    ]


def test_other_files_of_a_student_are_one_sentence(tmp_path):
    put(tmp_path, **{f"{MOODLE}/{name}": "x" for name in ("project.ipynb", "a.csv", "b.csv", "c.md", "d.json")})
    assert list(chosen(tmp_path)) == [("José Núñez", "project")]
    assert sentences(tmp_path) == [
        "José Núñez handed in a.csv, b.csv, c.md and 1 more as well: only notebooks are graded."
    ]


def test_the_newer_file_counts(tmp_path):
    one, other = f"{MOODLE}/lab (1).ipynb", f"{MOODLE}/lab.ipynb"
    put(tmp_path, **{one: "first", other: "second"})
    os.utime(tmp_path / one, (1_000_000, 1_000_000))
    assert list(chosen(tmp_path).values()) == [other]
    assert sentences(tmp_path) == [f"{one} was left out: {other} of the same student is newer."]


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("..", ""),
        (".", ""),
        ("../../etc", "etc"),
        ("a/b\\c", "a b c"),
        ("a,b*?[c]{d}", "a b c d"),
        ("Zoë\n\t\0x", "Zoë x"),
        ("  José   Núñez . ", "José Núñez"),
        ("ñ" * 200, "ñ" * 80),
        ("😀 Ana", "Ana"),
        ("ana@example.org", "ana@example.org"),
    ],
)
def test_ids(name, student):
    """One that nbgrader can make a folder of, and a line of its CSV."""
    assert student_id(name) == student


def notebook(stage, name="lab", mark=""):
    """Return the text of a notebook that says what it is."""
    if name == "quiz":
        return f'{{"cells": [{{"source": "[Open](https://x/blob/v1/labs/{stage}/quiz.ipynb) {mark}"}}]}}'
    return f'{{"cells": [{{"source": "setup(\\"{stage}\\") {mark}"}}]}}'


class TestFindSubmissions:
    """Whatever an instructor has: nbgrader's folders, a flat folder, an LMS's zip as it is."""

    def find(self, path, *arguments, **options):
        found, said = find_submissions(path, *arguments, **options)
        return {(one.student, one.assignment, one.notebook): one.path.read_text() for one in found}, said

    def test_nbgrader(self, tmp_path):
        """The names of the folders decide, not what is in the files: what is in the wrong place is refused later, with the reason."""
        put(
            tmp_path,
            **{
                "José/stage1_corpus/lab.ipynb": notebook("stage2_tokenization"),
                "José/stage1_corpus/lab.backup.ipynb": "old",
                "José/stage1_corpus/timestamp.txt": "2026-01-01",
                "José/premier/project.ipynb": b"\xff\0",
                "Ana/stage2_tokenization/quiz.ipynb": "",
            },
        )
        found, said = find_submissions(tmp_path)
        assert {(one.student, one.assignment, one.notebook) for one in found} == {
            ("José", "stage1_corpus", "lab"),
            ("José", "premier", "project"),
            ("Ana", "stage2_tokenization", "quiz"),
        }
        assert said == []
        assert find_submissions(tmp_path, stages=["premier"])[1] == []

    def test_zip_of_moodle(self, tmp_path):
        files = {
            f"{MOODLE}/lab.ipynb": notebook("stage1_corpus"),
            "Ada Ruiz_9_assignsubmission_file_/entrega.zip": zipped(
                **{f"x/{AUTOSAVE}": "old", "x/lab.ipynb": "damaged"}
            ),
            "Eva_8_assignsubmission_file_/lab.pdf": "pdf",
        }
        (tmp_path / "Stage 1-1234.zip").write_bytes(zipped(**files))
        found, said = self.find(tmp_path / "Stage 1-1234.zip")
        # What does not say where it belongs belongs where the rest does.
        assert found.keys() == {("José Núñez", "stage1_corpus", "lab"), ("Ada Ruiz", "stage1_corpus", "lab")}
        assert said == [
            "Eva_8_assignsubmission_file_/lab.pdf was left out: it is no notebook; Eva has to hand in an .ipynb file."
        ]

    def test_several_zips_in_a_folder(self, tmp_path):
        """Lab and quiz of a stage, and another stage: each student has another number in each."""
        downloads = (("stage1_corpus", "lab"), ("stage1_corpus", "quiz"), ("stage2_tokenization", "lab"))
        for number, (stage, name) in enumerate(downloads):
            folder = f"José Núñez_{number}_assignsubmission_file_"
            (tmp_path / f"{number}.zip").write_bytes(zipped(**{f"{folder}/{name}.ipynb": notebook(stage, name)}))
        found, said = self.find(tmp_path)
        assert found.keys() == {("José Núñez", stage, name) for stage, name in downloads}
        assert said == []
        found, said = self.find(tmp_path, stages=["stage1_corpus"])
        assert len(found) == 2
        assert said == [
            "2/José Núñez_2_assignsubmission_file_/lab.ipynb was left out: it is of stage2_tokenization, which is not graded now."
        ]

    def test_flat_folder(self, tmp_path):
        put(
            tmp_path,
            **{
                "ana_lab.ipynb": notebook("stage1_corpus"),
                "lab-eva.ipynb": notebook("stage1_corpus"),
                "Iñigo/my notebook.ipynb": notebook("stage1_corpus", "quiz"),
                "lab.ipynb": notebook("stage1_corpus"),
            },
        )
        found, said = self.find(tmp_path)
        assert found.keys() == {
            ("ana", "stage1_corpus", "lab"),
            ("eva", "stage1_corpus", "lab"),
            ("Iñigo", "stage1_corpus", "quiz"),
        }
        assert said == [
            "lab.ipynb was left out: its name is neither Moodle's nor Canvas's, so nobody knows whose it is."
        ]

    def test_folders_in_a_folder(self, tmp_path):
        put(tmp_path, **{f"download/{name}/mine/lab.ipynb": notebook("stage1_corpus") for name in ("ana", "eva")})
        assert {student for student, *_ in self.find(tmp_path)[0]} == {"ana", "eva"}

    def test_names_that_lie(self, tmp_path):
        put(tmp_path, **{f"{MOODLE}/lab.ipynb": notebook("stage1_corpus", "quiz")})
        found, said = self.find(tmp_path)
        assert list(found) == [("José Núñez", "stage1_corpus", "quiz")]
        assert said == [f"{MOODLE}/lab.ipynb is called lab and was taken for the quiz that it is."]

    def test_nothing_tells_the_stage(self, tmp_path):
        put(tmp_path, **{CANVAS: "{}"})
        found, (sentence,) = self.find(tmp_path)
        assert not found and "name the stage that you grade" in sentence
        assert list(self.find(tmp_path, stages=["premier"])[0]) == [("garcialopezana_12345", "premier", "lab")]

    def test_roster(self, tmp_path):
        """From a spreadsheet in Spanish: semicolons, a byte-order mark, names as each LMS has them."""
        roster = tmp_path / "names.csv"
        rows = ["student;name;canvas", "u1;Núñez, José;12345", "u2;José Núñez;", "u3;Ruiz;77", "u4;Ruiz;78"]
        roster.write_text("\n".join(rows), encoding="utf-8-sig")
        folder = put(
            tmp_path / "in",
            **{
                "NÚÑEZ JOSÉ_1_assignsubmission_file_/lab.ipynb": "a",
                "José Núñez_2_assignsubmission_file_/lab.ipynb": "b",
                "ruiz_77_5_lab.ipynb": "c",
                "Ruiz_4_assignsubmission_file_/lab.ipynb": "d",
            },
        )
        found, said = self.find(folder, roster, stages=["stage1_corpus"])
        assert {student: text for (student, *_), text in found.items()} == {
            "u1": "a",
            "u2": "b",
            "u3": "c",
            "Ruiz": "d",
        }
        assert said == ["Ruiz is not in names.csv, or there twice: graded under that name."]
        roster.write_text("student\n../x\n", encoding="utf-8")
        with pytest.raises(CourseError, match="cannot be a student's id"):
            find_submissions(folder, roster)

    def test_no_folder(self, tmp_path):
        with pytest.raises(CourseError, match="not found"):
            find_submissions(tmp_path / "none")


class TestArchives:
    """Nothing leaves the folder that an archive is unpacked into, and one bad archive costs one sentence."""

    def walked(self, path):
        said = []
        return {file.shown: file.path.read_bytes() for file in walk(path, said.append)}, said

    @pytest.mark.parametrize(
        "name", ["../lab.ipynb", "a/../../lab.ipynb", "/etc/lab.ipynb", "C:\\lab.ipynb", "..\\lab.ipynb"]
    )
    def test_names_that_lead_out(self, tmp_path, name):
        (tmp_path / "x.zip").write_bytes(zipped(**{name: "evil", "lab.ipynb": "good"}))
        files, said = self.walked(tmp_path / "x.zip")
        assert files == {"lab.ipynb": b"good"}
        assert said == [f"{name!r} in x.zip was left out: its name leads out of the archive."]
        assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]

    def test_bombs(self, tmp_path, monkeypatch):
        monkeypatch.setattr(collect, "MOST_BYTES", 2**20)
        monkeypatch.setattr(collect, "MOST_UNPACKED", 3 * 2**20)
        big, some = b"\0" * (2 * 2**20), b"\0" * 2**20
        inner = zipped(**{f"{number}.csv": some for number in range(9)})
        (tmp_path / "x.zip").write_bytes(zipped(**{"big.ipynb": big, "inner.zip": inner, "lab.ipynb": "good"}))
        files, said = self.walked(tmp_path)
        assert files == {"x/lab.ipynb": b"good"}
        assert [sentence.split(": ")[0] for sentence in said] == [
            "'big.ipynb' in x.zip was left out",
            "x/inner.zip was left out",
        ]

    def test_archives_in_archives(self, tmp_path):
        data = b"deep"
        for _ in range(6):
            data = zipped(**{"x.zip" if data != b"deep" else "lab.ipynb": data})
        (tmp_path / "x.zip").write_bytes(data)
        files, said = self.walked(tmp_path)
        assert files == {}
        assert said == ["x/x/x/x/x.zip was left out: it is an archive in an archive in an archive, and so on."]

    def test_tar_and_gzip(self, tmp_path):
        with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
            for name, kind in (
                ("lab.ipynb", tarfile.REGTYPE),
                ("link", tarfile.SYMTYPE),
                ("../up.ipynb", tarfile.REGTYPE),
            ):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, "/etc/passwd"
                archive.addfile(member, io.BytesIO())
        files, (sentence,) = self.walked(tmp_path / "x.tar.gz")
        assert files == {"lab.ipynb": b""}
        assert "leads out" in sentence

    def test_names_of_other_systems(self, tmp_path, monkeypatch):
        """Some programs write one name twice, or one that is too long; macOS does not say that its names are in UTF-8."""
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("lab.ipynb", "one")
            archive.writestr("lab.ipynb", "two")
        assert self.walked(tmp_path / "x.zip")[0] == {"lab.ipynb": b"one", "lab (2).ipynb": b"two"}
        monkeypatch.setattr(zipfile.ZipInfo, "_encodeFilenameFlags", lambda info: (info.filename.encode(), 0))
        (tmp_path / "y.zip").write_bytes(zipped(**{"José/lab.ipynb": "a", "x" * 300 + ".ipynb": "b"}))
        files, said = self.walked(tmp_path / "y.zip")
        assert sorted(files.values()) == [b"a", b"b"] and "José/lab.ipynb" in files and said == []

    def test_times_are_kept(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for year, text in ((2026, "new"), (2025, "old")):
                info = zipfile.ZipInfo(f"{MOODLE}/lab ({year}).ipynb", (year, 1, 2, 3, 4, 6))
                archive.writestr(info, text)
        found, said = find_submissions(tmp_path / "x.zip", stages=["stage1_corpus"])
        assert [one.path.read_text() for one in found] == ["new"]
        assert said == [
            f"{MOODLE}/lab (2025).ipynb was left out: {MOODLE}/lab (2026).ipynb of the same student is newer."
        ]

    def test_links_are_not_followed(self, tmp_path):
        put(tmp_path, **{"secret/lab.ipynb": "x", "in/a.txt": "a"})
        (tmp_path / "in" / "lab.ipynb").symlink_to(tmp_path / "secret" / "lab.ipynb")
        assert self.walked(tmp_path / "in") == ({"a.txt": b"a"}, ["lab.ipynb was left out: it is a link."])


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
        assert "3 files collected, 1 files skipped" in log

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
