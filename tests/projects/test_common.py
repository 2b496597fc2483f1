"""What both checklists share: figures that a report may quote, cards, and values of any kind in metrics.json."""

import json
import random
import re
from pathlib import Path

import pytest

from resumen.projects.capstone.hand_in import process_faults
from resumen.projects.common import Figures, card_faults, figure_faults, figures_in, quoted, report_faults, unbacked

ROOT = Path(__file__).parents[2]
METRICS = {
    "settings": {"learning_rate": 0.004, "truncated": {"en": {"synopses": 0.6323}}},
    "losses": [2.706, 1.731],
    "scores": {
        "all": {"lead1": {"rougeL": {"mean": 24.824, "low": 23.03}}},
        "en": {
            "lead1": {"rougeL": {"mean": 23.594}, "rouge1": {"mean": 26.70}},
            "prediction": {"rougeL": {"mean": 15.631}},
        },
        "es": {"prediction": {"rougeL": {"mean": 20.1}}},
    },
    "comparisons": {"lead1": {"en": {"rougeL": {"mean_difference": -7.963}}}},
}


def told(tmp_path, text):
    (tmp_path / "report.md").write_text(text, encoding="utf-8")
    return list(report_faults(tmp_path / "report.md", (), 10_000, figures_in(METRICS)))


@pytest.mark.parametrize(
    "text",
    [
        "Lead-1 reaches 24.82 [23.03, …].",
        "In English the model gets 15.63, and 7.96 points less than the first sentence.",
        "En español, el modelo 20.10 (20,10; 20.1).",
        "Lead-1 has ROUGE-1 26.70 in English.",
        "63 % (63.2 %) of the English synopses are cut; the learning rate is 0.004 and the losses 2.71 and 1.731.",
        "| rougeL | en | es |\n|---|---|---|\n| `prediction` | 15.63 | **20.1** |\n| lead1 | 23.59 | |",
        "| | prediction |\n|:--|--:|\n| en | 15.63 |\n| es | 20.10 |",
        "The authors report 41.77 (https://example.org/paper).",
        "`99.99`\n\n```\n88.88\n```\n\nVersion 1.2.3, 15 reviews, 2,429 rows.",
    ],
)
def test_figures_beside_their_names(tmp_path, text):
    assert told(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The model gets 77.77.", "'77.77', and no figure of this hand-in is printed so: copy it from tables.md"),
        ("In English the model gets 15.6.", "'15.6', and no figure of this hand-in is printed so"),
        ("In English the model gets 16 %.", "'16 %', and no figure"),
        ("In Spanish the model gets 15.63.", "name en there if you mean scores.en.prediction.rougeL.mean"),
        ("In English lead-1 gets 15.63.", "name prediction there"),
        ("In English lead-1 gets 26.70.", "name rouge1 there"),
        ("| rougeL | en | es |\n|---|---|---|\n| prediction | 20.10 | 15.63 |", "name es there"),
        ("40 % of the English synopses are cut.", "'40 %', and no figure"),
        ("15,64 in English by the model", "'15.64', and no figure"),
    ],
)
def test_figures_of_something_else(tmp_path, text, words):
    first, *_ = told(tmp_path, text)
    assert words in first and first.startswith("report.md says ") and first.endswith("or give its source with a URL.")


@pytest.mark.parametrize("project", ["premier", "capstone"])
def test_a_random_figure_hardly_ever_passes(project):
    """Every paragraph and cell of the worked reports, with figures of every precision in place of theirs: one in ten may pass."""
    folder = ROOT / "solutions" / project / "hand-in"
    report = (folder / "report.md").read_text(encoding="utf-8")
    figures = Figures(figures_in(json.loads((folder / "metrics.json").read_text(encoding="utf-8"))))
    paragraphs = [text for text in re.split(r"\n\s*\n", report) if not text.startswith(("|", "#", "<"))]
    beside = [*paragraphs, *(context for *_, context in quoted(report))]
    rng = random.Random(0)
    draws = {
        "two decimals": lambda: (f"{rng.uniform(0, 40):.2f}", ""),
        "two decimals, small": lambda: (f"{rng.uniform(0, 9):.2f}", ""),
        "one decimal": lambda: (f"{rng.uniform(0, 40):.1f}", ""),
        "a percentage": lambda: (f"{rng.randint(1, 99)}", " %"),
    }
    for name, draw in draws.items():
        passed = [not unbacked(*draw(), context, figures) for context in beside for _ in range(20)]
        assert sum(passed) <= 0.03 * len(passed), name
    worst = max(
        sum(not unbacked(*draws["two decimals"](), text, figures) for _ in range(400)) / 400 for text in paragraphs
    )
    assert worst <= 0.1


CARD = """---
language: [en, es]
license: cc-by-4.0
base_model: mt5-tiny
---
# Limits

| language | rouge1 | rougeL |
|---|---|---|
| en | 20.10 | 5.00 |
"""


def card(tmp_path, old="", new=""):
    assert old in CARD
    (tmp_path / "MODEL_CARD.md").write_text(CARD.replace(old, new, 1), encoding="utf-8")
    return list(card_faults(tmp_path / "MODEL_CARD.md", ("en", "es"), {"en": {"rouge1": 20.1, "rougeL": 5.0}}))


@pytest.mark.parametrize(
    "row", ["| en | 20.10 | 5.00 |", "| **en** | 20.1 | 5 |", "|en|20,10|5,00|", "| `en` | **20.10** | 5.0 |"]
)
def test_a_card_as_people_write_it(tmp_path, row):
    assert card(tmp_path, "| en | 20.10 | 5.00 |", row) == []


@pytest.mark.parametrize(
    "language", ["5", "[5, {a: b}]", "{en: es}", "null", "&a [*a]", "2021-01-01", "[[en, es]]", "true"]
)
def test_a_card_in_no_language(tmp_path, language):
    (fault,) = card(tmp_path, "language: [en, es]", f"language: {language}")
    assert "does not list the language en, es" in fault or "is not YAML" in fault


@pytest.mark.parametrize("value", [None, True, "x", [], {}, [1], float("nan"), float("inf"), 10**400, "ñ" * 999])
def test_any_value_in_place_of_another(value):
    faults = [
        *figure_faults({"a": value}, {"a": 1.5}),
        *figure_faults({"a": value}, {"a": {"b": 1}}),
        *figure_faults(value, {"a": 2}),
    ]
    assert len(faults) >= 3 and all(len(fault) < 300 and "\n" not in fault for fault in faults)
    for processes in (
        value,
        {"1": value, "2": {}},
        {"1": {"en": value}, "2": {"en": {}}},
        {"1": {"en": {"n": value}}, "2": {"en": {}}},
    ):
        faults = list(process_faults(processes))
        assert faults, processes
        assert all("\n" not in fault for fault in faults)
