"""What every tier needs: no network, a cache of its own, the repository's lectures, and how its notebooks run under nbval."""

import os
import re
import sys
import tempfile
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest

# Set before any Hugging Face library is imported: they read it once, at import.
_cache = tempfile.TemporaryDirectory(prefix="resumen-tests-", ignore_cleanup_errors=True)
os.environ.update(HF_HOME=_cache.name, HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
for name in ("RESUMEN_PROFILE", "RESUMEN_DATA"):
    os.environ.pop(name, None)

from resumen.errors import CourseError  # noqa: E402
from resumen.setup import LESSONS, STAGES, lecture_path  # noqa: E402

collect_ignore_glob = ["solutions/*/hand-in/*"]
"""The worked hand-ins take minutes, and are run when they are made: tests/README.md."""


def pytest_configure(config):
    """Let nbval fork its kernels from one warm server, where that is possible: each notebook then has its libraries loaded."""
    if sys.platform == "linux" and (
        getattr(config.option, "nbval", False) or getattr(config.option, "nbval_lax", False)
    ):
        from resumen.instructor.provisioner import WARM, kernelspecs

        kernels = kernelspecs()
        kernels.__enter__()
        config.add_cleanup(lambda: kernels.__exit__(None, None, None))
        config.option.nbval_current_env, config.option.nbval_kernel_name = False, WARM


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Run a lab, a quiz or a project in an empty folder, as students and graders do; a project in its quick form."""
    outcome = yield
    if getattr(item, "cell_num", None) == 0 and "stages" not in item.path.parts:
        folder = tempfile.mkdtemp(dir=_cache.name)
        place = f"__import__('os').chdir({folder!r}); __import__('os').environ['RESUMEN_QUICK'] = '1'"
        item.parent.kernel.kc.execute(place, silent=True)
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """After a cell of a lecture, run the answers to the exercises that follow it, in the lecture's own kernel."""
    outcome = yield
    if hasattr(item, "cell_num") and "stages" in item.path.parts:
        for answer in _answers_after(item.path)[item.cell_num]:
            printed = _run_answer(item.parent.kernel.kc, answer.code)
            assert answer.prints is None or printed == answer.prints, (
                f"an answer prints\n{printed}\nand its text block says\n{answer.prints}\nThe answer:\n{answer.code}"
            )
    return outcome


@lru_cache(maxsize=2)
def _answers_after(path: Path) -> list[list]:
    """Return, for each code cell of a lecture, the answers that stand between it and the next."""
    from resumen.notebooks import answers_in, read_notebook

    found: list[list] = []
    for cell in read_notebook(path).cells:
        if cell.cell_type == "code":
            found.append([])
        elif answers := [answer for answer in answers_in(cell.source) if answer.code]:
            found[-1] += answers
    return found


def _run_answer(client, code: str) -> str:
    """Run an answer where its lecture has got to, and return what it prints."""
    from resumen.notebooks import without_traces

    printed, errors = [], []

    def collect(message):
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])
        elif message["msg_type"] == "error":
            errors.append(f"{message['content']['ename']}: {message['content']['evalue']}")

    client.execute_interactive(without_traces(code), allow_stdin=False, output_hook=collect, timeout=120)
    assert not errors, f"{errors[0]}, in the answer\n{code}"
    return "".join(printed)


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what has not the right marks
def pytest_collection_modifyitems(items):
    """Leave repetitions to the thorough tests, and let files with slow tests go first: then neither of two workers waits long at the end."""
    for item in items:
        repeats = item.get_closest_marker("repeats")
        if repeats and not any(name in item.name for name in repeats.args):
            item.add_marker("thorough")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path.suffix == ".py" and item.path not in slow)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).parent


@pytest.fixture(params=STAGES)
def stage(request) -> str:
    """Each stage in turn."""
    return request.param


@pytest.fixture(params=LESSONS)
def lesson(request) -> str:
    """The primer and each stage in turn: what has a lecture and a self-check."""
    return request.param


@pytest.fixture
def lecture(root, lesson):
    """The lecture of each lesson in turn, as a notebook."""
    import nbformat

    path = lecture_path(root, lesson)
    assert path.is_file(), f"{path.relative_to(root)} is missing"
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


@pytest.fixture(scope="session")
def course_error():
    """Return a context manager: the block must raise a CourseError of one sentence that holds all the given words."""

    @contextmanager
    def expect(*words: str):
        with pytest.raises(CourseError) as caught:
            yield
        message = str(caught.value)
        assert "\n" not in message, message
        assert not re.search(r"[.!?] +[A-Z]", message), f"more than one sentence: {message}"
        for word in words:
            assert str(word) in message, f"{word!r} is not in: {message}"

    return expect
