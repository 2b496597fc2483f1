"""One small course for all tests of grading: to release it takes longer than most of them."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_course(tmp_path_factory) -> Path:
    """A released course, for copies of it."""
    from small_course import make

    return make(tmp_path_factory.mktemp("small") / "course")


@pytest.fixture
def folder(small_course, tmp_path) -> Path:
    """A course of one's own."""
    return Path(shutil.copytree(small_course, tmp_path / "course"))


@pytest.fixture(scope="module")
def shared(small_course, tmp_path_factory) -> Path:
    """A course that the tests of one file share."""
    return Path(shutil.copytree(small_course, tmp_path_factory.mktemp("shared") / "course"))
