"""The self-check in a real browser: axe-core, the keyboard alone, both languages, both themes, and no JavaScript.

Without a Chromium on the PATH it is skipped.
"""

import pytest
from axe_playwright_python import sync_playwright as axe

from resumen.quiz import SELF_CHECKS, Quiz, load_quiz
from resumen.quiz.render import render
from resumen.setup import LESSONS

pytestmark = pytest.mark.slow  # starts a browser


STAGE = "stage3_rouge_baseline"
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Quiz</title><meta name="viewport" content="width=device-width"></head>
<body{attributes}><main><h1>Quiz</h1>{quiz}</main></body>
</html>"""


@pytest.fixture
def show(browser):
    """Return a function that opens a quiz on a page without a network and returns the page."""
    contexts, problems = [], []

    def open_page(quiz: Quiz, attributes="", **options):
        context = browser.new_context(offline=True, **{"locale": "en-GB", **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", lambda request: problems.append(request.url))
        page.set_content(PAGE.format(attributes=attributes, quiz=render(quiz)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == [], "the page asks for something, or fails"


@pytest.fixture(scope="module")
def quiz():
    """One of the course's quizzes."""
    return load_quiz(SELF_CHECKS / f"{STAGE}.yaml")


@pytest.fixture
def small(quiz):
    """A single, a multiple and a numeric question."""
    kinds = ("single", "multiple", "numeric")
    return Quiz(quiz.stage, quiz.title, tuple(next(q for q in quiz.questions if q.type == kind) for kind in kinds))


def violations(page):
    found = axe.Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:150]}" for rule in found for node in rule["nodes"]]


def answer(form, question, right=True):
    """Answer and check a question with the mouse: all right choices, or the first wrong one."""
    if question.type == "numeric":
        form.locator("input").fill(str(question.answer if right else question.mistakes[0].value))
    else:
        wanted = [index for index, choice in enumerate(question.choices) if choice.right == right]
        for index in wanted if right else wanted[:1]:
            form.locator("input").nth(index).check()
    form.get_by_role("button").click()


def answer_all(page, quiz, right=lambda number: True):
    for number, question in enumerate(quiz.pool("self")):
        answer(page.locator(f"form#{question.id}"), question, right(number))


@pytest.mark.parametrize(("lesson", "theme"), [*((lesson, "light") for lesson in LESSONS), (STAGE, "dark")])
@pytest.mark.repeats(STAGE)
def test_axe_finds_nothing(show, lesson, theme):
    """With all feedback, reasons and the score on the page. All quizzes have the same colours: one is enough in the dark."""
    quiz = load_quiz(SELF_CHECKS / f"{lesson}.yaml")
    page = show(quiz, color_scheme=theme)
    answer_all(page, quiz, right=lambda number: number % 2 == 0)
    for summary in page.locator("summary").all():
        summary.click()
    assert violations(page) == []
    page.get_by_role("button", name="Español").click()
    assert violations(page) == []


@pytest.mark.parametrize(
    ("attributes", "system", "paper"),
    [
        (' data-jp-theme-light="true"', "dark", "rgb(255, 255, 255)"),
        (' data-jp-theme-light="false"', "light", "rgb(22, 27, 34)"),
        ("", "dark", "rgb(22, 27, 34)"),
        ("", "light", "rgb(255, 255, 255)"),
    ],
)
def test_the_theme_of_the_notebook_wins(show, small, attributes, system, paper):
    page = show(small, attributes, color_scheme=system)
    assert page.locator(".resumen-quiz").evaluate("element => getComputedStyle(element).backgroundColor") == paper
    assert violations(page) == []


def test_the_style_of_jupyterlab_does_not_leak_in(show, small):
    page = show(small, ' class="jp-ThemedContainer jp-RenderedHTMLCommon" data-jp-theme-light="false"')
    theirs = ".jp-ThemedContainer.jp-RenderedHTMLCommon"
    page.add_style_tag(content=f"{theirs} pre, {theirs} :not(pre) > code {{ background: white; }}")
    page.add_style_tag(content=f"{theirs} :is(code, p, li, legend, pre) {{ color: black; }}")
    answer_all(page, small)
    assert violations(page) == []


def test_the_keyboard_is_enough(show, small):
    """Tab to the language, arrows and Enter in radio buttons, Space in checkboxes, Enter in the box, and start again."""
    page = show(small)
    focused = page.locator("*:focus")

    def tab(times=1):
        for _ in range(times):
            page.keyboard.press("Tab")
        outline = focused.evaluate(
            "element => getComputedStyle(element).outlineStyle + getComputedStyle(element).outlineWidth"
        )
        assert outline == "solid3px", "the focus cannot be seen"

    tab(2)
    page.keyboard.press("Enter")
    assert focused.inner_text() == "Español" and page.locator(".resumen-quiz").get_attribute("lang") == "es"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert page.locator(".resumen-quiz").get_attribute("lang") == "en"

    single, multiple, numeric = small.questions
    forms = [page.locator(f"form#{question.id}") for question in small.questions]
    tab(2)
    page.keyboard.press("Space")
    for _ in range(next(index for index, choice in enumerate(single.choices) if choice.right)):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert forms[0].get_by_role("status").inner_text().startswith(f"Right. Points: {single.points} of {single.points}.")

    tab(3)  # past the button and the reasons
    for choice in multiple.choices:
        if choice.right:
            page.keyboard.press("Space")
        tab()
    assert focused.inner_text() == "Check"
    page.keyboard.press("Enter")
    assert forms[1].get_by_role("status").inner_text().startswith("Right.")
    tab()
    page.keyboard.press("Enter")
    assert forms[1].locator("details").get_attribute("open") is not None

    tab()
    page.keyboard.type(str(numeric.answer))
    page.keyboard.press("Enter")
    assert forms[2].get_by_role("status").inner_text().startswith("Right.")
    points = sum(question.points for question in small.questions)
    assert page.locator(".rq-total").inner_text() == f"Your score: {points} of {points} points (100%)."

    tab(3)
    assert focused.inner_text() == "Start again"
    page.keyboard.press("Enter")
    assert focused.evaluate("element => element.tagName") == "H2"
    assert page.locator("input:checked").count() == 0
    assert page.locator("details:visible").count() == 0
    assert page.locator(".rq-total").inner_text() == ""


def test_a_notebook_does_not_see_the_keys(show, small):
    """JupyterLab listens at the document: B would add a cell and Enter open one. Ctrl+S stays its own."""
    page = show(small)
    page.evaluate("window.seen = []; document.addEventListener('keydown', (event) => seen.push(event.key))")
    page.locator("input").first.focus()
    for key in ("b", "ArrowDown", "Enter", "Escape", "Control+s"):
        page.keyboard.press(key)
    assert page.evaluate("seen") == ["Control", "s"]


class TestFeedback:
    def test_of_a_wrong_choice(self, show, small):
        page = show(small)
        question = small.questions[0]
        form = page.locator(f"form#{question.id}")
        status = form.get_by_role("status")
        form.get_by_role("button").click()
        assert status.inner_text() == "Choose an answer first."
        assert "Checked: 0 of 3" in page.locator(".rq-progress").inner_text()
        answer(form, question, right=False)
        assert status.inner_text().startswith(f"Not right. Points: 0 of {question.points}.")
        assert status.locator("li").count() == 1
        assert status.locator("li").inner_text().startswith("Wrong:")
        page.get_by_role("button", name="Español").click()
        assert status.inner_text().startswith("No es correcto. Puntos: 0 de ")
        assert status.locator("li").inner_text().startswith("Incorrecto:")

    def test_of_some_choices(self, show, small):
        """(right chosen - wrong chosen) / right in all, and never below 0."""
        page = show(small)
        question = small.questions[1]
        form = page.locator(f"form#{question.id}")
        right = [index for index, choice in enumerate(question.choices) if choice.right]
        wrong = [index for index, choice in enumerate(question.choices) if not choice.right]
        assert len(right) >= 2
        for chosen in ([right[0]], right, [*right, wrong[0]], [right[0], wrong[0]], [wrong[0]]):
            for index in range(len(question.choices)):
                form.locator("input").nth(index).set_checked(index in chosen)
            form.get_by_role("button").click()
            balance = sum(1 if index in right else -1 for index in chosen)
            points = round(max(0, balance) / len(right) * question.points, 2)
            text = form.get_by_role("status").inner_text()
            assert f"Points: {points:g} of {question.points}." in text
            assert ("Something right is missing." in text) == (not set(right) <= set(chosen))
            assert text.startswith(
                "Right." if points == question.points else "Partly right." if points else "Not right."
            )
            assert form.get_by_role("status").locator("li").count() == len(chosen)

    def test_of_a_number(self, show, small):
        page = show(small, locale="es-ES")
        question = small.questions[2]
        form = page.locator(f"form#{question.id}")
        answers = {
            "": "Escribe un número",
            "1.000,5": "Escribe un número",
            "doce": "Escribe un número",
            f" {question.answer} ".replace(".", ","): "Correcto. Puntos: ",
            str(question.answer + question.tolerance): "Correcto. Puntos: ",
            str(question.mistakes[0].value): "No es correcto. Puntos: 0",
            "−98765": "Haz la cuenta otra vez",
        }
        for typed, expected in answers.items():
            form.locator("input").fill(typed)
            form.get_by_role("button").click()
            assert expected in form.get_by_role("status").inner_text(), typed
        form.locator("input").fill(str(question.mistakes[0].value))
        form.get_by_role("button").click()
        said = form.get_by_role("status").locator("li div[lang=es]").text_content()
        assert said == form.locator("details li").nth(1).locator("div[lang=es]").text_content()

    def test_the_first_check_counts(self, show, small):
        page = show(small)
        answer_all(page, small, right=lambda number: number > 0)
        points = sum(question.points for question in small.questions)
        lost = small.questions[0].points
        score = page.locator(".rq-total")
        expected = f"Your score: {points - lost} of {points} points ({round(100 * (points - lost) / points)}%)."
        assert score.inner_text().splitlines()[0] == expected
        assert f"Worth reading again: {small.questions[0].objective}." in score.inner_text()
        answer(page.locator(f"form#{small.questions[0].id}"), small.questions[0])
        assert score.inner_text().splitlines()[0] == expected
        page.get_by_role("button", name="Start again").click()
        answer_all(page, small)
        assert score.inner_text() == f"Your score: {points} of {points} points (100%)."


def test_the_language_of_the_browser_is_the_first(show, small):
    for locale, title in (("es-MX", small.title["es"]), ("en-GB", small.title["en"]), ("fr-FR", small.title["en"])):
        page = show(small, locale=locale)
        assert page.get_by_role("heading", level=2).inner_text() == title
        pressed = page.locator(".rq-languages [aria-pressed=true]")
        assert pressed.inner_text() == ("Español" if locale == "es-MX" else "English")


def test_two_copies_on_a_page_are_apart(show, small):
    """A cell that is run twice, or a second view of an output."""
    page = show(small)
    page.set_content(PAGE.format(attributes="", quiz=render(small) * 2))
    quizzes = page.locator(".resumen-quiz")
    for index in range(2):
        answer(quizzes.nth(index).locator("form").first, small.questions[0], right=index == 0)
    assert [quizzes.nth(index).locator("input:checked").count() for index in range(2)] == [1, 1]
    assert quizzes.nth(0).get_by_role("status").first.inner_text().startswith("Right.")
    assert quizzes.nth(1).get_by_role("status").first.inner_text().startswith("Not right.")


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_scrolls_sideways(show, quiz, width):
    page = show(quiz, viewport={"width": width, "height": 800})
    answer_all(page, quiz, right=lambda number: False)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_javascript_everything_can_be_read(show, small):
    page = show(small, java_script_enabled=False)
    for question in small.questions:
        form = page.locator(f"form#{question.id}")
        assert form.locator("input:enabled").count() == 0
        assert form.locator("div[lang=en]").first.is_visible() and form.locator("div[lang=es]").first.is_visible()
        form.locator("summary").click()
        reasons = form.locator("details li div")
        assert reasons.count() >= 4 and all(reason.is_visible() for reason in reasons.all())
    assert page.get_by_role("button").count() == 0
