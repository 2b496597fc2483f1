"""The self-check as HTML: what a screen reader finds, and what must not be in it. What it does is in tests/accessibility."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from resumen.address import read_address
from resumen.errors import CourseError
from resumen.notebooks import normalize
from resumen.quiz import SELF_CHECKS, load_quiz, show_quiz
from resumen.quiz.notebooks import build, self_check_notebook
from resumen.quiz.render import DARK, LIGHT, plain_text, render
from resumen.setup import STAGES

ADDRESS = read_address(Path(__file__).parents[2])


@pytest.fixture
def page(sample):
    return BeautifulSoup(render(sample), "html.parser")


def words(element):
    return " ".join(element.get_text().split())


class TestStructure:
    def test_a_question_is_a_group_named_by_legend_and_prompt(self, page):
        assert len(page.find_all("form")) == 9
        for form in page.find_all("form"):
            (fieldset,) = form.find_all("fieldset")
            assert fieldset.find(True).name == "legend"
            legend, prompt = (page.find(id=name) for name in fieldset["aria-labelledby"].split())
            assert legend is fieldset.legend and legend["id"].startswith(form["id"])
            assert prompt["id"].startswith(form["id"]) and words(prompt)

    def test_every_input_has_a_label(self, page):
        kinds = {"single": "radio", "multiple": "checkbox", "numeric": "text"}
        for form in page.find_all("form"):
            inputs = form.find_all("input")
            assert {entry["type"] for entry in inputs} == {kinds[form["data-type"]]}
            assert all(words(entry.find_parent("label")) for entry in inputs)
            if form["data-type"] != "numeric":
                assert {entry["name"] for entry in inputs} == {form["id"]}

    def test_every_question_has_a_live_region_of_its_own(self, page):
        regions = page.find_all(attrs={"aria-live": "polite"})
        assert [region.find_parent("form") for region in regions[:-1]] == page.find_all("form")
        assert all(region["role"] == "status" and not words(region) for region in regions)

    def test_ids_come_from_the_questions_and_are_unique(self, page, sample):
        ids = [element["id"] for element in page.find_all(id=True)]
        assert len(ids) == len(set(ids))
        assert [form["id"] for form in page.find_all("form")] == [
            question.id for question in sample.questions if question.pool == "self"
        ]

    def test_both_languages_are_marked(self, page):
        for form in page.find_all("form"):
            english, spanish = (words(form.find("div", lang=language)) for language in ("en", "es"))
            assert english != spanish
        assert [button["lang"] for button in page.find(class_="rq-languages").find_all("button")] == ["en", "es"]

    def test_without_javascript_the_answers_can_be_opened(self, page):
        """What the script brings to life is off or hidden, and every choice has its reason in both languages."""
        assert all(fieldset.has_attr("disabled") for fieldset in page.find_all("fieldset"))
        assert all(button.has_attr("hidden") or button.find_parent(hidden=True) for button in page.find_all("button"))
        for form in page.find_all("form"):
            assert not form.details.has_attr("hidden")
            items = form.details.ul.find_all("li", recursive=False)
            assert len(items) == (3 if form["data-type"] == "numeric" else len(form.find_all("input")))
            assert [item["data-right"] for item in items].count("true") >= 1
            for item in items:
                assert words(item.find("div", lang="en")) and words(item.find("div", lang="es"))

    def test_markdown_is_rendered_and_nothing_else_is(self, page):
        form = page.find(id="s1-multiple")
        assert [item.strong.get_text() for item in form.fieldset.select("li")] == ["all", "todas"]
        assert words(form.find("pre")) == "small = [1, 2] print(small < [3])"
        assert "A list is <b>no</b> truth value." in words(form.details)
        assert form.find("b") is None
        assert [figure.figcaption.find(lang="es").get_text() for figure in form.find_all("figure")] == [
            "Código",
            "Salida",
        ]

    def test_code_is_shown_as_it_is(self, sample):
        several = replace(sample.questions[-2], code="\n  if a < b and \"c\" > 'd':\n      &amp;\n")
        page = BeautifulSoup(render(replace(sample, questions=(several,))), "html.parser")
        assert page.pre.get_text().removeprefix("\n") == several.code.rstrip("\n")

    def test_prompts_cannot_be_headings_or_links(self, sample):
        prompt = {"en": "# a\n\n[b](https://example.org) <img src=x>\n\n> c", "es": "![d](e.png)\n\n---"}
        page = BeautifulSoup(
            render(replace(sample, questions=(replace(sample.questions[0], prompt=prompt),))), "html.parser"
        )
        prompt = page.find(id="s1-single-1-prompt")
        assert {element.name for element in prompt.find_all(True)} == {"div", "p"}
        assert words(prompt).startswith("# a [b](https://example.org) <img src=x> > c")


def test_nothing_is_fetched(sample):
    html = render(sample)
    page = BeautifulSoup(html, "html.parser")
    assert page.find_all(["a", "img", "link", "iframe", "object", "embed"]) == []
    assert page.find_all(src=True) + page.find_all(href=True) + page.find_all(action=True) == []
    assert not re.search(r"https?://|url\(|@import|import\(|fetch|XMLHttp|localStorage|cookie", html)


@pytest.mark.parametrize("stage", STAGES)
def test_no_trace_of_a_graded_question(root, stage):
    quiz = load_quiz(root / "quizzes" / f"{stage}.yaml")
    graded = [question for question in quiz.questions if question.pool == "graded"]
    shown = render(quiz) + plain_text(quiz) + (SELF_CHECKS / f"{stage}.yaml").read_text(encoding="utf-8")
    flat = " ".join(shown.split())
    for question in graded:
        assert question.id not in shown
        for text in (question.prompt, *(choice.reason for choice in question.choices), question.reason):
            assert not text or all(" ".join(words.split()) not in flat for words in text.values())


def test_the_same_quiz_gives_the_same_text(sample):
    assert render(sample) == render(sample)
    assert plain_text(sample) == plain_text(sample)
    assert nbformat.writes(self_check_notebook(sample, ADDRESS)) == nbformat.writes(
        self_check_notebook(sample, ADDRESS)
    )


def test_plain_text(sample):
    english, spanish = plain_text(sample).split("Cuestionario 1: palabras")
    assert english.startswith("Quiz 1: words\n\n1. Which letter is number 1?\n\na) the a\nb) the b\nc) the c\n\n2. ")
    assert "small = [1, 2]\nprint(small < [3])\n\nOutput:\nTrue" in english
    assert english.rstrip().endswith("Answers\n1. b\n2. c\n3. a\n4. b\n5. c\n6. a\n7. b\n8. a, d\n9. 0.75")
    assert "1. ¿Cuál es la letra número 1?" in spanish and "Respuestas" in spanish


class TestNotebook:
    def test_it_is_normalised_and_strict(self, sample):
        notebook = self_check_notebook(sample, ADDRESS)
        nbformat.validate(notebook)
        assert notebook == normalize(nbformat.from_dict(notebook))
        assert [cell.id for cell in notebook.cells] == ["quiz-stage1-title", "quiz-stage1-import", "quiz-stage1-show"]
        (output,) = notebook.cells[-1].outputs
        assert notebook.cells[-1].metadata.tags == ["nbval-check-output"]
        assert output.data == {"text/html": render(sample), "text/plain": plain_text(sample)}

    def test_it_begins_as_the_lectures_do(self, root, sample, lecture):
        first = next(cell.source for cell in lecture.cells if cell.cell_type == "code")
        assert self_check_notebook(sample, ADDRESS).cells[1].source == first

    def test_the_cell_shows_what_is_committed(self, root, lesson, monkeypatch):
        shown = []
        monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append((data, raw)))
        notebook = nbformat.read(root / "quizzes" / f"{lesson}.ipynb", as_version=4)
        assert notebook.cells[-1].source.endswith(f'show_quiz("{lesson}")')
        show_quiz(lesson)
        assert shown == [(dict(notebook.cells[-1].outputs[0].data), True)]

    def test_a_second_build_changes_nothing(self, root, write, sound, tmp_path):
        write(sound)
        shutil.copy(root / "pyproject.toml", tmp_path)
        before = {path: path.read_bytes() for path in build(tmp_path, ["stage1_corpus"])}
        assert {path: path.read_bytes() for path in build(tmp_path, ["stage1_corpus"])} == before

    def test_a_missing_quiz(self, root, tmp_path):
        shutil.copy(root / "pyproject.toml", tmp_path)
        with pytest.raises(CourseError, match="cannot be read: No such file"):
            build(tmp_path, ["stage1_corpus"])


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(colours):
    """WCAG 2.2 AA: 4.5 for text, 3 for the lines that show where an input is."""

    def luminance(colour):
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    def contrast(one, other):
        low, high = sorted((luminance(colours[one]), luminance(colours[other])))
        return (high + 0.05) / (low + 0.05)

    for ground in ("paper", "shade"):
        for ink in ("ink", "muted", "accent", "right", "wrong"):
            assert contrast(ink, ground) >= 4.5, (ink, ground)
    assert contrast("line", "paper") >= 3
