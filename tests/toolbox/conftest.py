"""Shared by the tests of the toolbox: the embedded corpus and checkpoint, loaded once."""

import copy

import datasets
import matplotlib
import pytest
import transformers

from resumen.corpus import BOOKS, load_reviews, prepare_pairs
from resumen.modeling import load_checkpoint


@pytest.fixture(scope="session", autouse=True)
def _no_screen_and_no_progress_bars():
    matplotlib.use("Agg")
    datasets.disable_progress_bars()
    transformers.logging.disable_progress_bar()


@pytest.fixture(scope="session")
def pairs():
    """What stage 1 hands on: the clean bilingual corpus of books and e-books."""
    return prepare_pairs(load_reviews("en"), load_reviews("es"), BOOKS)


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
