"""Shared by the unit tests: the embedded corpus and checkpoint, loaded once, and how a mistake must read."""

import copy
import re
from contextlib import contextmanager

import datasets
import matplotlib
import pytest
import transformers

from resumen.corpus import load_reviews, prepare_pairs
from resumen.modeling import load_checkpoint
from resumen.profiles import CourseError

COURSE_CATEGORIES = ("book", "digital_ebook_purchase")


@pytest.fixture(scope="session", autouse=True)
def _no_screen_and_no_progress_bars():
    matplotlib.use("Agg")
    datasets.disable_progress_bars()
    transformers.logging.disable_progress_bar()


@pytest.fixture(scope="session")
def pairs():
    """What stage 1 hands on: the clean bilingual corpus of books and e-books."""
    return prepare_pairs(load_reviews("en"), load_reviews("es"), COURSE_CATEGORIES)


@pytest.fixture(scope="session")
def checkpoint():
    return load_checkpoint()


@pytest.fixture(scope="session")
def tokenizer(checkpoint):
    return checkpoint[0]


@pytest.fixture
def model(checkpoint):
    """A copy of the embedded model that the test may train."""
    return copy.deepcopy(checkpoint[1])


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
