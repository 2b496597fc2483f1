"""The graded quizzes: what each answer earns, and what students cannot see. Cells run here as nbgrader would score them."""

import ast
import contextlib
import functools
import io

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_output
from nbgrader.utils import determine_grade

from resumen.address import read_address
from resumen.errors import CourseError
from resumen.quiz import load_quiz
from resumen.quiz.answers import a_number, near, one_letter, share, some_letters
from resumen.quiz.exports import select
from resumen.quiz.graded import LETTERS, answer_name, graded_notebook, right_letters

load = functools.cache(load_quiz)


@pytest.fixture
def quiz(root, stage):
    """The graded questions of each stage in turn."""
    return select(load(root / "quizzes" / f"{stage}.yaml"), "graded")


@pytest.fixture
def notebook(root, quiz):
    return graded_notebook(quiz, read_address(root))


def run(source, namespace):
    """Run a cell and return its outputs in the form in which nbgrader reads them."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    outputs, value, stderr = [], None, io.StringIO()
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
        try:
            exec(compile(tree, "cell", "exec"), namespace)
            if last:
                value = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)
        except Exception as error:
            outputs.append(new_output("error", ename=type(error).__name__, evalue=str(error), traceback=[]))
    if stderr.getvalue():
        outputs.append(new_output("stream", name="stderr", text=stderr.getvalue()))
    if value is not None:
        outputs.append(new_output("execute_result", data={"text/plain": repr(value)}))
    return outputs


def scores(notebook, answers):
    """Return what each question earns if the answer cells hold these answers, by question; None leaves a cell untouched."""
    namespace, earned = {}, {}
    for cell in notebook.cells[2:]:
        meta = cell.metadata.get("nbgrader", {})
        if meta.get("solution"):
            name, untouched = cell.source.split("\n")[0].split(" = ")
            namespace[name] = answers.get(meta.grade_id.removesuffix("-answer"))
            if namespace[name] is None:
                namespace[name] = ast.literal_eval(untouched)
        elif meta.get("grade"):
            cell.outputs = run(cell.source, namespace)
            earned[meta.grade_id] = determine_grade(cell)[0]
    return earned


def key(question):
    return question.answer if question.type == "numeric" else right_letters(question)


def wrong_answers(question):
    """Return answers that are worth nothing."""
    letters = LETTERS[: len(question.choices)]
    wrong = "".join(letter for letter in letters if letter not in right_letters(question))
    if question.type == "single":
        return list(wrong)
    if question.type == "multiple":
        return [wrong, wrong[0], letters if len(wrong) >= len(right_letters(question)) else wrong]
    return [mistake.value for mistake in question.mistakes] + [question.answer + 2 * question.tolerance + 1]


def other_forms(question):
    """Return the right answer as other students would write it."""
    if question.type == "numeric":
        whole = [int(question.answer)] if question.answer == int(question.answer) else []
        return [float(question.answer), np.float64(question.answer), str(question.answer), *whole]
    letters = right_letters(question)
    spaced = " ".join(letters)
    return [letters.lower(), f" {spaced} ", list(letters), tuple(letters.lower()), ", ".join(letters), f"({letters})."]


def test_untouched_scores_nothing(quiz, notebook):
    earned = scores(notebook, {})
    assert earned == {question.id: 0 for question in quiz.questions}


def test_right_answers_score_everything(quiz, notebook):
    points = {question.id: question.points for question in quiz.questions}
    assert scores(notebook, {question.id: key(question) for question in quiz.questions}) == points
    names = [output.get("name") for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert "stderr" not in names
    introduction = notebook.cells[0].source
    assert f"{len(points)} questions, {sum(points.values())} points" in introduction
    assert f"{len(points)} preguntas, {sum(points.values())} puntos" in introduction


def test_wrong_answer_costs_its_own_points(quiz, notebook):
    right = {question.id: key(question) for question in quiz.questions}
    for question in quiz.questions:
        expected = {other.id: other.points * (other.id != question.id) for other in quiz.questions}
        for answer in wrong_answers(question):
            assert scores(notebook, right | {question.id: answer}) == expected, (question.id, answer)


def test_half_right_earns_its_share(quiz, notebook):
    for question in quiz.questions:
        if question.type != "multiple":
            continue
        right = right_letters(question)
        wrong = next(letter for letter in LETTERS if letter not in right)
        for count in range(len(right) + 1):
            part = round(question.points * count / len(right), 2)
            if count:
                assert scores(notebook, {question.id: right[:count]})[question.id] == part
            with_wrong = round(question.points * max(0, count - 1) / len(right), 2)
            assert scores(notebook, {question.id: wrong + right[:count]})[question.id] == with_wrong


def test_right_answer_in_another_form(quiz, notebook):
    for question in quiz.questions:
        for answer in other_forms(question):
            assert scores(notebook, {question.id: answer})[question.id] == question.points, (question.id, answer)


def test_number_at_the_edge_of_the_tolerance(quiz, notebook):
    for question in quiz.questions:
        if question.type == "numeric" and question.tolerance:
            inside = [question.answer - question.tolerance, question.answer + question.tolerance]
            outside = [question.answer - 1.01 * question.tolerance, question.answer + 1.01 * question.tolerance]
            for answer in inside:
                assert scores(notebook, {question.id: answer})[question.id] == question.points
            for answer in outside:
                assert scores(notebook, {question.id: answer})[question.id] == 0


def test_wrong_answer_is_told_why(quiz, notebook):
    for question in quiz.questions:
        if question.type == "single":
            letter = wrong_answers(question)[0]
            scores(notebook, {question.id: letter})
            (cell,) = [cell for cell in notebook.cells if cell.id == f"{question.id}-test"]
            reason = question.choices[LETTERS.index(letter)].reason
            for part in (f"got {letter}, expected {key(question)}", reason["en"].strip(), reason["es"].strip()):
                assert part in cell.outputs[0].evalue


def test_notebook(root, quiz, notebook, lecture):
    nbformat.validate(notebook)
    assert nbformat.writes(notebook) == nbformat.writes(graded_notebook(quiz, read_address(root)))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].source == next(cell.source for cell in lecture.cells if cell.cell_type == "code")
    ids = [cell.id for cell in notebook.cells] + [cell.metadata.nbgrader.grade_id for cell in code[1:]]
    assert len(set(ids[: len(notebook.cells)])) == len(notebook.cells)
    assert len(set(ids[len(notebook.cells) :])) == len(code) - 1
    for cell, question in zip(notebook.cells[2::3], quiz.questions, strict=True):
        for text in (question.prompt, *(choice.text for choice in question.choices)):
            assert all(line in cell.source for language in ("en", "es") for line in text[language].strip().splitlines())
        assert question.code.rstrip() in cell.source
        assert question.output.rstrip() in cell.source


def test_committed_source_is_generated(root, stage, notebook):
    committed = (root / "solutions" / stage / "quiz.ipynb").read_text(encoding="utf-8")
    assert committed == nbformat.writes(notebook) + "\n", "run `resumen quiz build` and `resumen release`"


def test_released_notebook_has_no_key(root, quiz):
    """The self-check and what the package carries for it must not have one either."""
    released = (root / "labs" / quiz.stage / "quiz.ipynb").read_text(encoding="utf-8")
    cells = nbformat.reads(released, as_version=4).cells
    texts = [cell.source for cell in cells]
    for question in quiz.questions:
        empty = "None" if question.type == "numeric" else '""'
        (answer,) = [text for text in texts if text.startswith(f"{answer_name(question)} =")]
        assert answer.startswith(f"{answer_name(question)} = {empty}  # ")
        assert len(answer.splitlines()) == 1
        reasons = [thing.reason for thing in (*question.choices, *question.mistakes, question) if thing.reason]
        for reason in reasons:
            assert not any(reason[language].strip() in text for language in ("en", "es") for text in texts)
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert [word for word in ("BEGIN", "reason", "assert", "share", "near") if word in code] == []
    for path in (f"quizzes/{quiz.stage}.ipynb", f"src/resumen/data/quizzes/{quiz.stage}.yaml"):
        text = (root / path).read_text(encoding="utf-8")
        assert [question.id for question in quiz.questions if question.id in text] == []


def test_quiz_without_graded_questions(root, quiz):
    with pytest.raises(CourseError, match=r"pool: graded"):
        graded_notebook(type(quiz)(quiz.stage, quiz.title, ()), read_address(root))


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        *(
            (lambda answer: one_letter(answer, "ABCD"), answer)
            for answer in ("", "E", "AB", "1", 2, None, True, ["A", "B"], [1])
        ),
        *(
            (lambda answer: some_letters(answer, "ABC"), answer)
            for answer in ("", "AD", [], None, 3, ["A", 1], "A and B")
        ),
        *((a_number, answer) for answer in (None, "", "x", True, float("nan"), float("inf"), (0, 25), [1], 1j)),
    ],
)
def test_form_of_an_answer(check, answer):
    with pytest.raises(
        AssertionError, match=r"^got .*, expected .*\nHint: .*\nSe obtuvo .*, se esperaba .*\nPista: .*$"
    ):
        check(answer)


def test_long_answer_is_shortened():
    with pytest.raises(AssertionError) as raised:
        one_letter("a very long answer " * 100, "ABC")
    assert len(str(raised.value)) < 500


def test_share_and_near():
    assert [share(chosen, "AC") for chosen in ("AC", "A", "ABC", "AB", "BD", "ABD")] == [1, 0.5, 0.5, 0, 0, 0]
    assert near(0.1 + 0.2, 0.3, 0)
    assert near(0.668, 0.667, 0.001)
    assert not near(0.6681, 0.667, 0.001)
    assert not near(7, 6, 0)
