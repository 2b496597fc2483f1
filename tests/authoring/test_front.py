"""The picture of the READMEs: as the shipped titles have it, in both languages and colour schemes."""

import re

import pytest

from resumen.authoring import front
from resumen.metrics import rouge_n
from resumen.pictures.drawing import CARD, DARK


@pytest.fixture(scope="module")
def found():
    return front.examples()


def test_the_files_are_in_step():
    for name, text in front.files().items():
        assert (front.FOLDER / name).read_text(encoding="utf-8") == f"{text}\n", "run python -m resumen.authoring.front"


def test_scores_are_those_of_the_titles(found):
    for example in found.values():
        assert example.score == round(100 * rouge_n(example.title, example.reference).fmeasure)
        for language in front.WORDS:
            assert f"ROUGE-1 F1 × 100: {example.score}" in front.picture(language, found).svg()


@pytest.mark.parametrize(("page", "language"), [("README.md", "en"), ("README.es.md", "es")])
def test_the_readme_shows_it_with_its_alternative(root, found, page, language):
    text = (root / page).read_text(encoding="utf-8")
    alt = front.picture(language, found).alt
    assert f'alt="{alt}" src="docs/pictures/front.{language}.light.svg"' in text, f"the alternative is:\n{alt}"
    assert f'media="(prefers-color-scheme: dark)" srcset="docs/pictures/front.{language}.dark.svg"' in text


def test_a_dark_picture_has_no_light_colour(found):
    made = front.picture("en", found)
    assert CARD in made.svg() and CARD not in made.svg(dark=True)
    assert set(re.findall(r"#[0-9a-f]{6}\b", made.svg(dark=True))) <= set(DARK.values())
