"""Private hidden tests: right answers pass them, wrong ones and answers fitted to the public tests do not."""

import ast
import functools
import os
import random
import re
import unicodedata
from pathlib import Path

import nbformat
import pytest
import yaml
from labrun import KEY_IN_REACH, Lab, untouched

from resumen.instructor import draws
from resumen.instructor.init import _add_private_tests
from resumen.notebooks import write_notebook

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="answers run in forks of one process, which Windows has not"),
]


@pytest.fixture(params=[path.parent.name for path in sorted(ROOT.glob("solutions/*/lab.ipynb"))])
def stage(request):
    return request.param


@pytest.fixture(scope="module")
def make_lab(tmp_path_factory):
    """Return a lab with private tests drawn from a seed; with `alone`, they are all that its test cells hold."""

    @functools.cache
    def make(stage, seed=1, alone=False):
        notebook = nbformat.read(ROOT / "solutions" / stage / "lab.ipynb", as_version=4)
        _add_private_tests(notebook, random.Random(seed))
        for cell in notebook.cells if alone else ():
            if draws.PLACE in cell.source:
                cell.source = cell.source.partition(draws.PLACE)[2].replace("### END HIDDEN TESTS", "pass")
        path = tmp_path_factory.mktemp("course") / "lab.ipynb"
        write_notebook(notebook, path)
        return Lab(path)

    return make


def listed(stage):
    return yaml.safe_load((ROOT / "tests" / "grading" / "mutants" / f"{stage}.yaml").read_text(encoding="utf-8"))


def test_every_task_has_its_place_and_a_reason(make_lab, stage):
    for task in make_lab(stage).tasks.values():
        name = task.tests.metadata.nbgrader.grade_id
        assert (name in draws.DRAWS) != (name in draws.PUBLIC_ONLY), name
        hidden = re.search(r"### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS", task.tests.source, re.DOTALL)[0]
        assert hidden.count(draws.PLACE) == 1, name
        assert (draws.NOTHING_DRAWN in hidden) == (name in draws.PUBLIC_ONLY), name


def test_values_are_written_down(make_lab, stage):
    """A test that asked the package for the right answer could be fooled by a student who changes the package."""
    for task in make_lab(stage).tasks.values():
        name = task.tests.metadata.nbgrader.grade_id
        text = task.tests.source.partition(draws.PLACE)[2]
        if name not in draws.DRAWS:
            continue
        assigned = {
            node.targets[0].id: node.value
            for node in ast.walk(ast.parse(text.replace("### END HIDDEN TESTS", "")))
            if isinstance(node, ast.Assign) and node.targets[0].id != "fresh"
        }
        assert set(assigned) > {"expected"}, name
        for value in assigned.values():
            ast.literal_eval(value)


def test_another_seed_is_another_test(make_lab, stage):
    one, other = (
        {task.function: task.tests.source.partition(draws.PLACE)[2] for task in make_lab(stage, seed).tasks.values()}
        for seed in (1, 2)
    )
    same = {function for function, text in one.items() if text == other[function]}
    assert same == {
        task.function
        for task in make_lab(stage).tasks.values()
        if task.tests.metadata.nbgrader.grade_id in draws.PUBLIC_ONLY
    }


@pytest.mark.repeats("stage2")
def test_answers(make_lab, stage):
    """Against private tests alone: the reference and every other right answer of mutants/ pass, the stub and some wrong fail."""
    lab = make_lab(stage, alone=True)
    drawn = {task.function: task for task in lab.tasks.values() if task.tests.metadata.nbgrader.grade_id in draws.DRAWS}
    answers = [(one["function"], one["name"], bool(one["loses"]), one["code"]) for one in listed(stage)]
    answers += [(task.function, "reference", False, task.answer.source) for task in drawn.values()]
    answers += [(task.function, "untouched", True, untouched(task.answer.source)) for task in drawn.values()]
    answers = [one for one in answers if one[0] in drawn]
    results = lab.run_answers([(function, code) for function, _, _, code in answers], start=KEY_IN_REACH)
    outcomes = [(*answer[:3], result) for answer, result in zip(answers, results, strict=True)]
    lost = [
        (function, name, result.error)
        for function, name, is_wrong, result in outcomes
        if not is_wrong and result.is_lost
    ]
    assert lost == [], "a right answer loses points"
    caught = {(function, name) for function, name, is_wrong, result in outcomes if is_wrong and result.is_lost}
    assert {(function, "untouched") for function in drawn} <= caught
    assert {function for function, name in caught if name != "untouched"} == set(drawn), "no wrong answer is caught"


def test_an_answer_fitted_to_the_public_tests(make_lab):
    """It knows each public case by heart: full marks from the public tests, nothing from the private ones."""
    stage, function = "stage1_corpus", "has_min_words"
    public = Lab(ROOT / "solutions" / stage / "lab.ipynb")
    reference = public.tasks[function].answer.source
    tests = public.tasks[function].tests.source
    titles = {node.value for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Constant)}
    known = sorted({unicodedata.normalize("NFC", title) for title in titles if isinstance(title, str)})
    fitted = (
        f"{reference.replace('def has_min_words', 'def _right')}\n\n"
        f"def has_min_words(title, min_words=3):\n    "
        f'return unicodedata.normalize("NFC", title) in {known!r} and _right(title, min_words)'
    )
    (passed,) = public.run_answers([(function, fitted)], start=KEY_IN_REACH)
    (caught,) = make_lab(stage).run_answers([(function, fitted)], start=KEY_IN_REACH)
    assert (passed.is_lost, caught.is_lost) == (False, True)
