"""The points of a self-check: kept in a workspace only, and only if they can be right."""

import json
import os

import pytest

from resumen.files import WORKSPACE
from resumen.quiz import SELF_CHECKS, load_quiz, score, show_quiz
from resumen.quiz.score import Score, keep_score, read_scores

STAGE = "primer"


@pytest.fixture
def quizzes(tmp_path, monkeypatch):
    """The quizzes of a workspace, with a person in front of them."""
    folder = tmp_path / "my-course" / "quizzes"
    folder.mkdir(parents=True)
    (tmp_path / "my-course" / WORKSPACE).parent.mkdir()
    (tmp_path / "my-course" / WORKSPACE).write_text("{}")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(score, "reader_present", lambda: True)
    return folder


@pytest.fixture
def shown(monkeypatch):
    """What is displayed."""
    pytest.importorskip("ipywidgets")
    found = []
    monkeypatch.setattr("IPython.display.display", lambda one, **_: found.append(one))
    return found


def of():
    return sum(question.points for question in load_quiz(SELF_CHECKS / f"{STAGE}.yaml").pool("self"))


def test_points_are_kept(quizzes, shown):
    show_quiz(STAGE)
    page, box = shown
    field, button, said = box.children
    assert "text/html" in page and field.value == "" and f"of {of()} " in field.description
    for written, kept in {"7": 7, " 9,5 ": 9.5, "0": 0, str(of()): of()}.items():
        field.value = written
        button.click()
        assert said.value.startswith("Kept")
        assert read_scores(quizzes.parent) == {STAGE: Score(kept, of())}
    show_quiz(STAGE)
    assert shown[-1].children[0].value == str(of()), "what was kept is shown again"


@pytest.mark.parametrize("written", ["", "many", "-1", "1000", "nan", "3/4"])
def test_what_cannot_be_the_points_is_refused(quizzes, shown, written):
    show_quiz(STAGE)
    field, button, said = shown[1].children
    field.value = written
    button.click()
    assert said.value.startswith(f"Write a number from 0 to {of()}.")
    assert read_scores(quizzes.parent) == {}


def test_a_full_disk_is_said(quizzes, shown, monkeypatch):
    show_quiz(STAGE)
    field, button, said = shown[1].children

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    field.value = "3"
    button.click()
    assert said.value.startswith("Not kept: No space left on device.")


def test_nobody_is_asked_elsewhere(quizzes, shown, monkeypatch, tmp_path):
    monkeypatch.setattr(score, "reader_present", lambda: False)
    show_quiz(STAGE)
    assert len(shown) == 1, "a program runs the notebook"
    monkeypatch.setattr(score, "reader_present", lambda: True)
    monkeypatch.chdir(tmp_path)
    show_quiz(STAGE)
    assert len(shown) == 2, "there is no workspace"


WRITE = """
from ipywidgets.widgets.widget import _instances
(button,) = [one for one in _instances.values() if type(one).__name__ == "Button"]
(field,) = [one for one in _instances.values() if type(one).__name__ == "Text"]
field.value = "8"
button.click()
"""


@pytest.mark.slow
def test_in_a_kernel_as_jupyterlab_starts_it(quizzes):
    manager_module = pytest.importorskip("jupyter_client.manager")
    environment = {**os.environ, "JPY_SESSION_NAME": str(quizzes / "primer.ipynb")}
    manager, client = manager_module.start_new_kernel(kernel_name="python3", cwd=str(quizzes), env=environment)
    try:
        found = []
        for code in (f"from resumen.quiz import show_quiz\nshow_quiz({STAGE!r})", WRITE):
            client.execute_interactive(
                code, allow_stdin=True, output_hook=lambda message: found.append(message), timeout=120
            )
        kinds = [set(message["content"]["data"]) for message in found if message["msg_type"] == "display_data"]
        assert [message["content"] for message in found if message["msg_type"] == "error"] == []
        assert "text/html" in kinds[0] and "application/vnd.jupyter.widget-view+json" in kinds[1]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert read_scores(quizzes.parent) == {STAGE: Score(8, of())}


def test_scores_of_other_quizzes_stay(quizzes):
    keep_score(quizzes.parent, "one", Score(1, 2))
    keep_score(quizzes.parent, "two", Score(0.333, 2))
    assert json.loads((quizzes.parent / score.SCORES).read_text()) == {"one": [1.0, 2.0], "two": [0.333, 2]}
    (quizzes.parent / score.SCORES).write_text("{")
    assert read_scores(quizzes.parent) == {}
