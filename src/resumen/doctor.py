"""`resumen doctor`: what is here, what is missing, and how to get it."""

import os
import platform
import sys
from importlib import metadata
from importlib.util import find_spec

from resumen.errors import CourseError
from resumen.profiles import current_profile
from resumen.setup import OLDEST, newer_than_installed, seed_everything

LIBRARIES = (*OLDEST, "evaluate", "rouge_score", "nltk", "jupyterlab", "nbgrader")


def diagnose() -> list[tuple[str, str, str]]:
    """Return the rows of `resumen doctor`: (what, state, what to do). The last is empty when nothing is to be done."""
    rows = [
        (
            "Python",
            platform.python_version(),
            "" if sys.version_info >= (3, 10) else "the course needs Python 3.10 or later",
        )
    ]
    for name in LIBRARIES:
        try:
            version, advice = metadata.version(name) or "unknown", ""
        except metadata.PackageNotFoundError:
            version, advice = "missing", f"pip install {name} -c constraints.txt"
            if name == "nbgrader":
                advice = f"instructors only: {advice}"
        else:
            if wanted := newer_than_installed(name):
                advice = f"pip install -U '{name}>={wanted}'"
        rows.append((name, version, advice))
    try:
        profile = current_profile()
        rows.append(("profile", profile.name, ""))
        if profile.needs_own_corpus and not os.environ.get("RESUMEN_DATA"):
            rows.append(("RESUMEN_DATA", "not set", "point it at the folder of your review corpus"))
    except CourseError as error:
        rows.append(("profile", os.environ["RESUMEN_PROFILE"], str(error)))
    if find_spec("torch") is not None:
        rows.append(("device", seed_everything(), ""))
    return rows
