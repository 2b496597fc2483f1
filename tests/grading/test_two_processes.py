"""With the answers in one process and the tests in another, an answer is worth what it is worth in one.

A sample: the lab with models, trainers and callbacks; a right and a wrong answer to each task. What crosses otherwise is tested by
`tests/instructor/test_crossing.py`.
`python tests/grading/test_two_processes.py STAGE…` runs all that are listed, for labs and projects: an hour for the seven.
"""

import sys
from pathlib import Path

import pytest
import yaml
from labrun import Lab, untouched

from resumen.files import PROJECT
from resumen.setup import PROJECTS

ROOT = Path(__file__).parents[2]
QUICK = "import os; os.environ['RESUMEN_QUICK'] = '1'"


def listed(stage):
    """Return (function, name, code, whether it loses its points) of each listed answer."""
    path = ROOT / "tests" / "grading" / "mutants" / f"{stage}.yaml"
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [(one["function"], one["name"], one["code"], bool(one["loses"])) for one in listed]


def differing(stage, sample):
    """Return the answers that are worth something else than in one process: all of them should be worth the same."""
    lab = Lab(ROOT / "solutions" / stage / (PROJECT if stage in PROJECTS else "lab.ipynb"))
    answers = [(task.function, "reference", task.answer.source, False) for task in lab.tasks.values()]
    if sample:
        wrong = {one[0]: one for one in reversed(listed(stage)) if one[3]}
        answers += wrong.values()
    else:
        answers += [(task.function, "untouched", untouched(task.answer.source), True) for task in lab.tasks.values()]
        answers += listed(stage)
    outcomes = lab.run_answers([(one[0], one[2]) for one in answers], start=QUICK, apart=True)
    return [
        (function, name, outcome)
        for (function, name, _, is_lost), outcome in zip(answers, outcomes, strict=True)
        if outcome.is_lost != is_lost
    ]


@pytest.mark.slow
@pytest.mark.thorough
def test_answers_are_worth_the_same():
    assert differing("stage4_trainer", sample=True) == []


if __name__ == "__main__":
    for stage in sys.argv[1:]:
        print(stage, *(differing(stage, sample=False) or ["all alike"]), sep="\n  ")
