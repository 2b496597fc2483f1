"""`resumen quiz check`: every fault once, with the line where the instructor has to look."""

import re

import pytest
from typer.testing import CliRunner

from resumen import cli
from resumen.errors import CourseError
from resumen.quiz import load_quiz, show_quiz
from resumen.quiz.checks import faults


def question(text, name):
    """Return the lines of one question."""
    return re.search(rf"  - id: {name}\n(?:    .*\n|\n)*", text)[0]


def inside(name, old, new):
    """Return an edit of the first `old` in a question."""

    def edit(text):
        before = question(text, name)
        assert old in before
        return text.replace(before, before.replace(old, new, 1))

    return edit


def first(old, new):
    return inside("s1-single-1", old, new)


def second(old, new):
    return inside("s1-single-2", old, new)


def multiple(old, new):
    return inside("s1-multiple", old, new)


def numeric(old, new):
    return inside("s1-numeric", old, new)


def everywhere(pattern, new):
    return lambda text: re.sub(pattern, new, text)


def key_first(text):
    """Make the first choice the right one in every single question."""
    parts = re.split(r"(?=  - id: s1-)", text.replace("        right: false\n", ""))
    return "".join(
        part.replace("        right: true\n", "").replace("        reason", "        right: true\n        reason", 1)
        if "type: single" in part
        else part
        for part in parts
    )


# What is done to the sound quiz; the line to look for, as a pattern for its beginning; words of the sentence.
# fmt: off
FAULTS = {
    "tab": (first("    points: 1", "\tpoints: 1"), r"\tpoints", "this is not YAML"),
    "open bracket": (lambda text: text + "  - [1, 2\n", r"$", "this is not YAML"),
    "colon in a text": (first('"the a"', "the a: b: c"), r"      - text", "this is not YAML"),
    "control character": (first("the a", "the \x07"), r"      - text: .*\x07", "0x7 is not allowed"),
    "empty file": (lambda text: "", r"", "the file is empty"),
    "not a mapping": (lambda text: "- 1\n", r"- 1", "must be fields with values"),
    "repeated key": (first("points: 1", "points: 1\n    points: 2"), r"    points: 2", "`points` is given twice"),
    "no title": (everywhere("title: .*\n", ""), r"stage: ", "`title` is missing"),
    "no prompt": (everywhere(r"    prompt: .*number 1\?.*\n", ""), r"  - id: s1-single-1$", "`prompt` is missing"),
    "unknown field": (first("points: 1", "points: 1\n    hint: no"), r"    hint", "`hint` is not a field"),
    "no Spanish": (first(', es: "¿Cuál es la letra número 1?"', ""), r"    prompt: .*number 1", "s1-single-1: `prompt` has no Spanish text"),
    "no English": (first('en: "English reason a1", ', ""), r"        reason: .*a1", "s1-single-1, choice 1: `reason` has no English text"),
    "blank": (first('"Motivo b1"', '" "'), r"        reason: .*b1", "choice 2: `reason` is blank in Spanish"),
    "empty text": (first(' "la a"', ""), r"      - text: .*the a", "`text` is blank in Spanish"),
    "number for a text": (first('"the a"', "0.5"), r"      - text: {en: 0.5", "`text` in English is 0.5", "put it in quotes"),
    "one text for both": (first('{en: "the a", es: "la a"}', "a"), r"      - text: a$", "a text in each language"),
    "third language": (first('"the a",', '"the a", fr: "le a",'), r"      - text: .*fr", "`fr` is not a field"),
    "type": (numeric("type: numeric", "type: number"), r"    type: number", "'number'", "single, multiple, numeric"),
    "pool": (first("pool: self", "pool: selfie"), r"    pool: selfie", "self, graded"),
    "points": (first("points: 1", "points: 4"), r"    points: 4", "is 4, but it must be 1 to 3"),
    "points in words": (first("points: 1", "points: one"), r"    points: one", "'one'", "a whole number"),
    "tolerance": (numeric("0.01", "-1"), r"    tolerance: -1", "must be 0 or more"),
    "form of an id": (first("id: s1-single-1", "id: S1_Single"), r"  - id: S1_S", "'S1_Single'", "`s3-clipped-counts`"),
    "form of an objective": (first("S1.1", "1.1"), r"    objective: 1.1", "must be text"),
    "two choices": (everywhere(r'      - text: .*"the c".*\n.*\n.*c1".*\n', ""), r"    choices", "2 entries, but 3 to 5"),
    "no mistakes": (everywhere(r"    mistakes:\n(      - .*\n)*", ""), r"  - id: s1-numeric", "`mistakes` is missing"),
    "answer of a choice": (first("    points", "    answer: 1\n    points"), r"    answer: 1", "no place in a question of this type"),
    "check without a value": (multiple("        value: small\n", ""), r"      - text: .*`small`", "choice 3: `value` is missing"),
    "blank code": (everywhere(r"code: \|\n(      .*\n)*", 'code: ""\n'), r"    code", "`code` is blank"),
    "unknown stage": (everywhere("stage: .*", "stage: stage9"), r"stage", "there is no stage 'stage9'"),
    "id of another stage": (first("s1-single-1", "s2-single-1"), r"  - id: s2", "an id begins with `s1-`"),
    "unknown objective": (second("S1.1", "S1.9"), r"    objective: S1.9", "S1.9 is not an objective"),
    "long code": (multiple("code: |\n", "code: |\n" + "      # more\n" * 12), r"    code", "more than 12 lines"),
    "repeated id": (second("s1-single-2", "s1-single-1"), r"  - id: s1-single-1", "an earlier question has this id"),
    "repeated prompt": (second("Which letter is number 2?", "which  letter is number 1?"), r"    prompt: .*which  ", "s1-single-1 has the same English prompt"),
    "no right choice": (first("right: true", "right: false"), r"    choices", "one right choice, this one has 0"),
    "two right choices": (first("right: false", "right: true"), r"    choices", "one right choice, this one has 2"),
    "nothing wrong": (everywhere(r"(        value: (?:3 in )?small\n)", r"\1        right: true\n"), r"    choices", "at least one right and one wrong"),
    "check fails": (multiple("result =", "1 / 0\n      result ="), r"    check", "`check` fails in line 1: ZeroDivisionError: division by zero"),
    "code fails": (multiple("small = [1, 2]", "small = [1, 2"), r"    check", "`code` fails in line 1: SyntaxError"),
    "check binds nothing": (numeric("result", "outcome"), r"    check", "does not bind `result`"),
    "wrong number": (numeric("3 / 4", "4 / 3"), r"    check", "computes 1.3333333333333333, but the key is 0.75"),
    "wrong list": (multiple('"3 in small", ', '"1 in small", '), r"    check", "computes ['1 in small', '1 in small', '2 in small'], but"),
    "wrong output": (multiple("      True\n    check", "      False\n    check"), r"    check", "does not print the `output`"),
    "same values": (multiple("value: small", "value: 3 in small"), r"        value: 3 in small", "choice 3 has the value '3 in small'"),
    "mistake that is right": (numeric("value: 0,", "value: 0.74,"), r"      - {value: 0.74", "mistake 2 would count as right"),
    "same mistakes": (numeric("value: 0,", "value: 1.333,"), r"      - {value: 1.333, .*whole", "mistake 2 has the value 1.333"),
    "few questions": (lambda text: text.replace(question(text, "s1-single-1"), ""), r"questions", "questions in all: 11, but 12"),
    "few graded": (inside("s1-single-8", "graded", "self"), r"questions", "`pool: graded`: 2, but 3"),
    "objective asked once": (inside("s1-single-3", "S1.2", "S1.3"), r"questions", "questions on S1.2: 1, but 2"),
    "keys in one place": (key_first, r"questions", "choice 1 is right in 10 of 10"),
    "keys that are longest": (everywhere(r'es: "la (\w"}\n        right: true)', r'es: "la larga \1'), r"questions", "longest in 10 of 10", "in Spanish"),
}
# fmt: on


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_sentence_with_its_line(write, sound, name):
    edit, pattern, *words = FAULTS[name]
    broken = edit(sound)
    assert broken != sound
    path = write(broken)
    (fault,) = faults(path)
    line, _, sentence = fault.removeprefix(f"{path}:").partition(": ")
    assert re.match(pattern, broken.split("\n")[int(line) - 1]), fault
    assert "\n" not in sentence and sentence.endswith(".")
    for word in words:
        assert word in sentence


def test_a_sound_quiz_has_no_faults(write, sound):
    assert faults(write(sound)) == []


def test_faults_come_in_the_order_of_their_lines(write, sound):
    broken = numeric("points: 1", "points: 9")(first("points: 1", "points: 9")(sound))
    lines = [int(fault.split(":")[1]) for fault in faults(write(broken))]
    assert len(lines) == 2 and lines == sorted(lines)


def test_files_that_are_no_quiz(write, sound, tmp_path):
    (fault,) = faults(write(sound, "stage2_tokenization"))
    assert fault.endswith("yaml:1: the stage is stage1_corpus, so the file must be called stage1_corpus.yaml.")
    missing = tmp_path / "missing.yaml"
    assert faults(missing) == [f"{missing}: cannot be read: No such file or directory."]
    path = write(sound)
    path.write_bytes(sound.replace("ú", "u").replace("¿", "").encode("latin-1"))
    (fault,) = faults(path)
    assert "this is not UTF-8" in fault and int(fault.removeprefix(f"{path}:").split(":")[0]) == 9


LAUGHS = "l0: &l0 [ha, ha]\n" + "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("questions:", "questions: &all\n  - *all", "an anchor (&) holds itself (*)"),
        ("    points: 1", "    points: &p {p: *p}", "an anchor (&) holds itself (*)"),
        ("questions:", f"{LAUGHS}questions:", "stand for more than 100,000 values"),
        ("    points: 1", f"    points: 1{'0' * 400}", "is no number to compare with"),
        ("    points: 1", "    points: .inf", "is no number to compare with"),
        ("    points: 1", f"    points: 1{'0' * 5000}", "this is not YAML that can be read"),
        ("    points: 1", "    points: 2021-13-45", "this is not YAML that can be read"),
    ],
    ids=["a list in itself", "a mapping in itself", "a billion laughs", "10**400", "inf", "10**5000", "no date"],
)
def test_values_that_nobody_can_use(write, sound, old, new, words):
    assert old in sound
    path = write(sound.replace(old, new, 1))
    told = faults(path)
    assert any(words in sentence for sentence in told), told
    assert all(re.match(rf"{re.escape(str(path))}:\d+: ", sentence) and "\n" not in sentence for sentence in told)


def test_objectives_that_cannot_be_read(write, sound, tmp_path):
    path = write(sound)
    (tmp_path / "stages" / "stage1_corpus" / "README.md").unlink()
    (fault,) = faults(path)
    assert "no objectives are found in stages/stage1_corpus/README.md" in fault


def test_the_primer_has_a_self_check_only(write, sound):
    told = "\n".join(faults(write(sound.replace("stage: stage1_corpus", "stage: primer", 1), "primer")))
    assert "but the primer has a self-check only" in told
    assert "an id begins with `p-`" in told
    assert "no objectives are found in stages/README.md" in told


def test_the_command(write, sound, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    path = write(sound)
    result = CliRunner().invoke(cli.app, ["quiz", "check", str(path)])
    assert (result.exit_code, result.stderr) == (0, "")
    write(first("points: 1", "points: 0")(numeric("points: 1", "points: 0")(sound)))
    result = CliRunner().invoke(cli.app, ["quiz", "check", str(path)])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == faults(path)
    assert len(faults(path)) == 2
    help_text = CliRunner().invoke(cli.app, ["quiz", "check", "--help"]).output
    assert "runs the Python" in " ".join(help_text.split())


class TestLoading:
    def test_texts_keys_and_defaults(self, sample):
        assert sample.title == {"en": "Quiz 1: words", "es": "Cuestionario 1: palabras"}
        assert len(sample.questions) == 12
        several, number = sample.questions[-2:]
        assert [choice.right for choice in several.choices] == [True, False, False, True]
        assert several.choices[2].value == "small"
        assert (number.answer, number.tolerance, number.code, number.choices) == (0.75, 0.01, "", ())
        assert [mistake.value for mistake in number.mistakes] == [1.333, 0]

    @pytest.mark.parametrize("name", ["tab", "control character", "no prompt", "not a mapping", "empty file"])
    def test_a_bad_file_costs_one_sentence(self, write, sound, name):
        path = write(FAULTS[name][0](sound))
        with pytest.raises(CourseError, match="does not have the form of a quiz: `resumen quiz check "):
            load_quiz(path)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(CourseError, match="cannot be read: No such file"):
            load_quiz(tmp_path / "missing.yaml")

    def test_an_unknown_stage(self):
        with pytest.raises(CourseError, match="There is no quiz for 'stage9': choose one of primer, stage1_corpus, "):
            show_quiz("stage9")
