"""Exports are read back, by parsers that are not ours, and compared with the quiz: texts, keys, reasons and points."""

import functools
import html
import io
import json
import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from pygiftparser import answer as gift_answers
from pygiftparser import parser as gift
from pygiftparser import utils as gift_utils
from typer.testing import CliRunner

from resumen import cli
from resumen.errors import CourseError
from resumen.quiz import Choice, Mistake, Question, Quiz, load_quiz
from resumen.quiz.exports import export, select, to_gift, to_jupyterquiz, to_qti, to_qti_text

# jupyterquiz has a schema in its repository and none in its package.
SCHEMAS = {
    name: json.loads((Path(__file__).parent / "jupyterquiz" / f"{name}_schema.json").read_text(encoding="utf-8"))
    for name in ("mc", "num")
}
KINDS = {"single": "multiple_choice", "multiple": "many_choice", "numeric": "numeric"}

load = functools.cache(load_quiz)


def text(words):
    return {"en": words, "es": words}


def tricky_quiz():
    """Return a quiz made of what the formats read as their own syntax."""
    prompt = "Is `{~=#:}` in **{x}** or `a\\n` or `$5$` or `[a](b)`? Costs $3 # or $4: https://example.org/a_b=c~d\n\n- one\n- two"
    code = 'x = {"a": 1}  # ~50%=\n\nprint("a\\n", x["a"](1) if x else "</s> & <extra_id_0>")\n// no = comment\n\n1. not a list\n*a) no choice\n'
    choices = tuple(
        Choice(text(words), None, right, text(f"Because {words}"))
        for words, right in (
            ("`x == {1: '~'}`", True),
            ("%50% -> #1", False),
            ('*a*_b_ -- "c" ... `"d" -- *e*`', True),
            ("=%50%1", True),
        )
    )
    common = {
        "objective": "S1.1",
        "pool": "self",
        "points": 2,
        "code": code,
        "output": "{'a': ~1}\n\n<pad>=",
        "check": "",
    }
    plain = {"answer": None, "tolerance": 0, "reason": None, "mistakes": ()} | common
    mistakes = (Mistake(-0.5, text("No: {minus}")), Mistake(3, text("No #")))
    numeric = {"type": "numeric", "choices": (), "reason": text("So = it: {is}"), "mistakes": mistakes} | common
    questions = (
        Question(id="s1-multiple", type="multiple", prompt=text(prompt), choices=choices, **plain),
        Question(id="s1-single", type="single", prompt=text(f"Which? {prompt}"), choices=choices[1:3], **plain),
        Question(id="s1-number", prompt=text(f"How much? {prompt}"), answer=0.25, tolerance=0.01, **numeric),
        Question(id="s1-zero", prompt=text("Zero?"), answer=0, tolerance=0, **numeric),
    )
    return Quiz("stage1_corpus", text("A {tricky} = quiz: #1 ~ $2$"), questions)


@pytest.fixture(params=["en", "es"])
def language(request):
    return request.param


@pytest.fixture(
    params=[
        "stage1_corpus",
        "stage2_tokenization",
        "stage3_rouge_baseline",
        "stage4_trainer",
        "stage5_accelerate",
        "tricky",
    ]
)
def quiz(request, root):
    return tricky_quiz() if request.param == "tricky" else load(root / "quizzes" / f"{request.param}.yaml")


def words_of(markdown):
    """Return the text of Markdown without its marks, in one line."""
    return _bare(re.sub(r"^\s*- ", "", markdown, flags=re.MULTILINE))


def text_of(fragment):
    """Return the text of HTML in one line. Tags fall away first: what looks like one later is text."""
    return _bare(html.unescape(re.sub(r"<[^>]*>", " ", fragment)))


def _bare(words):
    """Return the words without marks and spaces: `**a** b` as Markdown and a b as HTML read the same."""
    return re.sub(r"[\s`*_]", "", words)


def prompt_of(question, language):
    output = {"en": "Output:", "es": "Salida:"}[language] if question.output else ""
    return words_of(question.prompt[language]) + _bare(f"{question.code}{output}{question.output}")


def code_of(fragment):
    """Return the code of an HTML prompt as it is shown."""
    match = re.search(r"<pre><code>(.*?)</code></pre>", fragment, flags=re.DOTALL)
    return html.unescape(match[1]) if match else ""


class TestGift:
    @pytest.fixture(autouse=True)
    def _negative_numbers(self, monkeypatch):
        """pygiftparser 1.1 reads no minus sign in front of a number. The format has one."""
        pattern = gift_utils.reAnswerNumericValue.pattern.replace(gift_utils.NUMERIC, f"-?{gift_utils.NUMERIC}")
        monkeypatch.setattr(gift_utils, "reAnswerNumericValue", re.compile(pattern))

    def test_read_back(self, quiz, language):
        source = to_gift(quiz, language)
        read = gift.parseFile(io.StringIO(source))
        assert [question.title for question in read] == [question.id for question in quiz.questions]
        for there, here in zip(read, quiz.questions, strict=True):
            assert there.valid
            assert (there.markup, there.cat, there.tail) == ("html", f"resumen/{quiz.stage}", "")
            assert f"[tag:{here.objective}]" in there.full
            shown = gift_utils.transformSpecials(there.text)
            assert text_of(shown) == prompt_of(here, language)
            assert code_of(shown) == here.code.rstrip()
            answers = there.answers.answers
            for answer in answers:
                answer.feedback = text_of(gift_utils.transformSpecials(answer.feedback).replace(r"\n", "\n"))
            if here.type == "numeric":
                assert isinstance(there.answers, gift_answers.NumericAnswerSet)
                expected = [(here.answer, 100, words_of(here.reason[language]))]
                expected += [(mistake.value, 0, words_of(mistake.reason[language])) for mistake in here.mistakes]
                assert [(answer.value, answer.fraction, answer.feedback) for answer in answers] == expected
                assert {answer.tolerance for answer in answers} == {here.tolerance}
                continue
            kind = {"single": gift_answers.SelectSet, "multiple": gift_answers.MultipleChoicesSet}[here.type]
            assert isinstance(there.answers, kind)
            share = 100 / sum(choice.right for choice in here.choices)
            for answer, choice in zip(answers, here.choices, strict=True):
                assert text_of(gift_utils.transformSpecials(answer.answer)) == words_of(choice.text[language])
                assert answer.feedback == words_of(choice.reason[language])
                wrong = 0 if here.type == "single" else -share
                assert answer.fraction == pytest.approx(share if choice.right else wrong, abs=1e-4)

    def test_fractions_are_moodle_s(self, quiz):
        """Moodle refuses a file with any other percentage of a multiple answer."""
        allowed = {"100", "50", "33.33333", "25"}
        assert set(re.findall(r"^\t~%-?([\d.]+)%", to_gift(quiz, "en"), flags=re.MULTILINE)) <= allowed

    def test_special_characters_are_escaped(self):
        source = to_gift(tricky_quiz(), "en")
        assert r"x \= &\#123;" in source
        assert r"\n\nprint(" in source
        assert "\n\n" not in source.split("\n\n", 1)[1].split("\n\n// [id")[0]


class TestQti:
    def items(self, quiz, language):
        """Return each item of the zip as (title, metadata, element)."""
        with zipfile.ZipFile(io.BytesIO(to_qti(quiz, language))) as archive:
            assert archive.testzip() is None
            manifest = ElementTree.fromstring(archive.read("imsmanifest.xml"))
            files = [element.get("href") for element in manifest.iter() if element.tag.endswith("}file")]
            (name,) = [name for name in archive.namelist() if re.fullmatch(r"(text2qti_assessment_\w+)/\1\.xml", name)]
            assert name in files
            tree = ElementTree.fromstring(archive.read(name))
        self.space = tree.tag.split("}")[0] + "}"
        assert tree.find(f"{self.space}assessment").get("title") == quiz.title[language]
        for item in tree.iter(f"{self.space}item"):
            fields = item.iter(f"{self.space}qtimetadatafield")
            yield item.get("title"), {field[0].text: field[1].text for field in fields}, item

    def all(self, element, *names):
        return list(element.iterfind("/".join([".", *(f"/{self.space}{name}" for name in names)])))

    def feedback(self, item):
        return {
            block.get("ident"): text_of(self.all(block, "mattext")[0].text) for block in self.all(item, "itemfeedback")
        }

    def test_read_back(self, quiz, language):
        kinds = {
            "single": "multiple_choice_question",
            "multiple": "multiple_answers_question",
            "numeric": "numerical_question",
        }
        items = list(self.items(quiz, language))
        assert [title for title, _, _ in items] == [question.id for question in quiz.questions]
        for (_, metadata, item), question in zip(items, quiz.questions, strict=True):
            assert metadata["points_possible"] == str(question.points)
            shown = self.all(item, "presentation", "mattext")[0].text
            assert text_of(shown) == prompt_of(question, language)
            assert code_of(shown) == question.code.rstrip()
            feedback = self.feedback(item)
            (right,) = [condition for condition in self.all(item, "respcondition") if self.all(condition, "setvar")]
            if question.type == "numeric":
                assert feedback["correct_fb"] == words_of(question.reason[language])
                for mistake in question.mistakes:
                    assert f"{mistake.value}:{words_of(mistake.reason[language])}" in feedback["general_incorrect_fb"]
                if question.answer == 0:
                    assert metadata["question_type"] == "short_answer_question"
                    assert self.all(right, "varequal")[0].text == "0"
                    continue
                low, high = (float(self.all(right, name)[0].text) for name in ("vargte", "varlte"))
                assert (low, high) == pytest.approx(
                    (question.answer - question.tolerance, question.answer + question.tolerance)
                )
                assert metadata["question_type"] == kinds[question.type]
                continue
            assert metadata["question_type"] == kinds[question.type]
            labels = {
                label.get("ident"): self.all(label, "mattext")[0].text for label in self.all(item, "response_label")
            }
            assert [text_of(label) for label in labels.values()] == [
                words_of(choice.text[language]) for choice in question.choices
            ]
            refused = {element.text for element in self.all(right, "not", "varequal")}
            chosen = {element.text for element in self.all(right, "varequal")} - refused
            assert chosen == {label for label, choice in zip(labels, question.choices, strict=True) if choice.right}
            for label, choice in zip(labels, question.choices, strict=True):
                assert feedback[f"{label}_fb"] == words_of(choice.reason[language])

    def test_text_is_one_that_people_can_edit(self):
        source = to_qti_text(tricky_quiz(), "en")
        assert source.startswith("Quiz title: A {tricky}")
        for line in ("Title: s1-single", "Points: 2", "= 0.25 +- 0.01", "* 0"):
            assert line in source.splitlines()

    def test_without_text2qti(self, quiz, monkeypatch):
        monkeypatch.setitem(sys.modules, "text2qti", None)
        with pytest.raises(CourseError, match=r"text2qti is not installed: run `pip install -e '\.\[qti\]'"):
            to_qti(quiz, "en")

    def test_refused_quiz(self):
        quiz = tricky_quiz()
        twice = Quiz(quiz.stage, quiz.title, quiz.questions[:1] * 2)
        with pytest.raises(CourseError, match=r"text2qti refuses the quiz of stage1_corpus: .*[Dd]uplicate"):
            to_qti(twice, "en")


def numeric(answer, tolerance, mistake=7):
    """Return a quiz of one numeric question."""
    question = next(question for question in tricky_quiz().questions if question.type == "numeric")
    question = replace(
        question, answer=answer, tolerance=tolerance, mistakes=(replace(question.mistakes[0], value=mistake),)
    )
    return Quiz("stage1_corpus", {"en": "One", "es": "Uno"}, (question,))


class TestNumbers:
    """A student who writes the right number is right in every system."""

    @pytest.mark.parametrize(
        ("answer", "tolerance", "line"),
        [
            (0.00005, 0.00001, "=0.00005:0.00001#"),
            (0.00003, 0, "=0.00003:0#"),
            (-2.5, 0.25, "=-2.5:0.25#"),
            (300000000, 1000000, "=300000000:1000000#"),
            (3e20, 1e-7, "=300000000000000000000:0.0000001#"),
        ],
    )
    def test_gift_has_digits_only(self, answer, tolerance, line):
        assert f"\t{line}" in to_gift(numeric(answer, tolerance), "en")
        assert "\t=%0%0.0005:" in to_gift(numeric(answer, tolerance, mistake=0.0005), "en")

    @pytest.mark.parametrize(
        ("answer", "written"),
        [
            (0.00005, {"0.00005", "0,00005", ".00005", "5e-5", "5E-5", "5e-05"}),
            (-0.000025, {"-0.000025", "-0,000025", "-.000025", "-2.5e-5", "-2.5E-5", "-2.5e-05"}),
            (0, {"0", "0.0", "0,0"}),
        ],
    )
    def test_qti_takes_every_way_to_write_a_number_near_zero(self, answer, written):
        lines = to_qti_text(numeric(answer, 0.00001), "en").splitlines()
        assert {line[2:] for line in lines if line.startswith("* ")} == written
        with zipfile.ZipFile(io.BytesIO(to_qti(numeric(answer, 0), "en"))) as archive:
            text = "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith(".xml"))
        assert all(f">{number}<" in text for number in written)

    def test_qti_keeps_ranges(self):
        assert "= 0.1 +- 0.5" in to_qti_text(numeric(0.1, 0.5), "en").splitlines()

    @pytest.mark.parametrize(("answer", "tolerance"), [(3e-12, 1e-12), (0.00005, 0.00001), (0.1, 0.5), (3e8, 1e6)])
    def test_jupyterquiz_s_range_holds_both_ends(self, answer, tolerance):
        low, high = to_jupyterquiz(numeric(answer, tolerance), "en")[0]["answers"][0]["range"]
        assert low <= answer - tolerance * 0.999 and answer + tolerance * 0.999 < high
        assert high - low == pytest.approx(2 * tolerance, rel=1e-3)


class TestJupyterquiz:
    def test_schema_and_keys(self, quiz, language):
        read = json.loads(json.dumps(to_jupyterquiz(quiz, language)))
        for there, here in zip(read, quiz.questions, strict=True):
            jsonschema.Draft202012Validator(SCHEMAS["num" if here.type == "numeric" else "mc"]).validate(there)
            assert there["type"] == KINDS[here.type]
            assert text_of(there["question"]) == prompt_of(here, language)
            assert code_of(there["question"]) == here.code.rstrip()
            if here.type != "numeric":
                answers = [
                    (text_of(answer["answer"]), answer["correct"], text_of(answer["feedback"]))
                    for answer in there["answers"]
                ]
                assert answers == [
                    (words_of(choice.text[language]), choice.right, words_of(choice.reason[language]))
                    for choice in here.choices
                ]
                continue
            *answers, default = there["answers"]
            assert default["type"] == "default"
            for answer, value in zip(
                answers, [here.answer, *(mistake.value for mistake in here.mistakes)], strict=True
            ):
                assert answer["correct"] is (value == here.answer)
                low, high = answer.get("range", (value, value + 1e-9))
                # The upper end of a range does not belong to it.
                assert low <= value + 1e-9 and low <= value - here.tolerance + 1e-9
                assert high > value + here.tolerance
                assert high - low < 2 * here.tolerance + 1e-6

    def test_no_latex_and_no_links(self):
        """jupyterquiz takes dollar signs for LaTeX and `[a](b)` for a link, in code too."""
        written = json.dumps(to_jupyterquiz(tricky_quiz(), "en"))
        assert "$" not in written
        assert "](" not in written


def test_pools(root):
    quiz = load(root / "quizzes" / "stage1_corpus.yaml")
    sizes = [len(select(quiz, pool).questions) for pool in ("self", "graded", "all")]
    assert sizes[0] + sizes[1] == sizes[2] == len(quiz.questions)
    assert sizes[1] >= 3
    with pytest.raises(CourseError, match="no question with `pool: graded`"):
        select(tricky_quiz(), "graded")


def test_several_quizzes():
    quizzes = [tricky_quiz(), tricky_quiz()]
    assert export(quizzes, "gift", "en").decode().count("$CATEGORY") == 2
    assert len(json.loads(export(quizzes, "jupyterquiz", "en"))) == 8
    with pytest.raises(CourseError, match="one by one"):
        export(quizzes, "qti", "en")


class TestCommand:
    def run(self, root, *arguments, file="stage1_corpus"):
        return CliRunner().invoke(
            cli.app, ["quiz", "export", *map(str, arguments), str(root / "quizzes" / f"{file}.yaml")]
        )

    def test_keys_of_graded_questions_stay_here(self, root):
        result = self.run(root, "--format", "gift", "--language", "es")
        quiz = load(root / "quizzes" / "stage1_corpus.yaml")
        assert result.exit_code == 0
        assert result.stdout == to_gift(select(quiz, "self"), "es")

    @pytest.mark.parametrize("name", ["a b", "[x]", ".hidden", "評論", "día", "-dash"])
    def test_files_of_any_name(self, root, tmp_path, name):
        folder = tmp_path / name
        folder.mkdir()
        source = folder / "stage1_corpus.yaml"
        source.write_bytes(b"\xef\xbb\xbf" + (root / "quizzes" / "stage1_corpus.yaml").read_bytes())
        arguments = ["--format", "gift", "--output", str(folder / "deep" / f"{name}.txt"), str(source)]
        assert CliRunner().invoke(cli.app, ["quiz", "export", *arguments]).exit_code == 0
        assert (folder / "deep" / f"{name}.txt").stat().st_size > 1000

    def test_a_file_that_is_no_quiz(self, tmp_path):
        source = tmp_path / "stage1_corpus.yaml"
        source.write_text("stage: &a [*a]\n", encoding="utf-8")
        result = CliRunner().invoke(cli.app, ["quiz", "export", "--format", "gift", str(source)])
        assert isinstance(result.exception, CourseError) and "an anchor" in str(result.exception)

    def test_output(self, root, tmp_path):
        result = self.run(root, "--format", "qti", "--pool", "graded", "--output", tmp_path / "new" / "quiz.zip")
        assert result.exit_code == 0
        assert zipfile.is_zipfile(tmp_path / "new" / "quiz.zip")

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--format", "scorm"], "There is no format 'scorm': choose gift, qti, jupyterquiz."),
            (["--format", "gift", "--language", "fr"], "There is no language 'fr': choose en or es."),
            (["--format", "gift", "--pool", "secret"], "There is no pool 'secret': choose self, graded, all."),
            (["--format", "gift", "--output", "."], ". cannot be written: Is a directory."),
        ],
    )
    def test_mistakes(self, root, monkeypatch, capsys, arguments, sentence):
        path = str(root / "quizzes" / "stage1_corpus.yaml")
        monkeypatch.setattr(sys, "argv", ["resumen", "quiz", "export", *arguments, path])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 1
        assert capsys.readouterr().err == f"resumen: {sentence}\n"
