"""The premier project's own functions: families of near-duplicate source packages, four splits, and what each leaks."""

import random

import pytest
from datasets import Dataset

from resumen.projects.premier import tasks
from resumen.text import ngrams

WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()


def make_rows(*rows):
    """Return rows of (language, package, source package, description)."""
    columns = zip(
        *((f"{language}:{package}", source, body, language) for language, package, source, body in rows), strict=True
    )
    return Dataset.from_dict(dict(zip(("review_id", "product_id", "review_body", "language"), columns, strict=True)))


def test_families_of_near_duplicate_sources():
    first, second, third = (" ".join(WORDS[start : start + 10]) for start in (0, 1, 2))
    rows = make_rows(
        ("en", "z", "z", first),
        ("en", "m", "m", second),  # two of its three 8-grams are in the first
        ("es", "a", "a", third),  # and two of the third's are in the second; one is in the first
        ("en", "other", "other", " ".join(WORDS[5:])),
        ("es", "other", "other", "Otro texto."),
        ("en", "b", "b", "otro texto"),
    )
    assert tasks.find_families(rows) == ["a", "a", "a", "b", "b", "b"]


def test_half_of_the_shorter_text_is_enough():
    """A source package of boilerplate alone joins those that hold it, also where these are no relatives of each other."""
    boilerplate, tail = " ".join(WORDS[:8]), " ".join(WORDS[8:])
    rows = make_rows(
        ("en", "x", "x", f"{boilerplate} {tail}"),
        ("en", "y", "y", boilerplate),
        ("en", "w", "w", f"{boilerplate} {' '.join(WORDS[::-1])}"),
    )
    assert tasks.find_families(rows) == ["w", "w", "w"]
    assert tasks.find_families(rows.select([0, 2])) == ["x", "w"]


def test_leaks_of_the_four_splits():
    rng = random.Random(3)
    texts = [" ".join(rng.choices(WORDS, k=20)) for _ in range(60)]
    rows = make_rows(*(("en", f"p{k}", f"s{k // 2:02}", text) for k, text in enumerate([*texts, *texts[:9]])))
    clean = rows.select(range(60))
    clean = clean.add_column("family", tasks.find_families(clean))
    leaks = {name: tasks.count_leaks(split) for name, split in tasks.all_splits(rows, clean).items()}
    assert list(leaks) == ["raw_rows_at_random", "rows_at_random", "by_source", "by_family"]
    assert leaks["raw_rows_at_random"]["bodies"] > 0 == leaks["rows_at_random"]["bodies"]
    assert leaks["rows_at_random"]["sources"] > 0 == leaks["by_source"]["sources"]
    assert leaks["by_family"] == {"bodies": 0, "sources": 0, "near_duplicates": 0}


@pytest.mark.slow
@pytest.mark.thorough
def test_no_two_near_duplicates_lie_in_two_splits():
    """Of all the descriptions, counted here once more with other code: by family, no pair is parted; by source package, many are."""
    rows = tasks.load_rows()
    clean = tasks.clean_rows(rows)
    clean = clean.add_column("family", tasks.find_families(clean))
    splits = tasks.all_splits(rows, clean)

    def parted(split):
        train = [set(ngrams(body, 8)) for body in split["train"]["review_body"]]
        where = {}
        for number, runs in enumerate(train):
            for run in runs:
                where.setdefault(run, []).append(number)
        found = 0
        for part in ("validation", "test"):
            for body in split[part]["review_body"]:
                runs, shared = set(ngrams(body, 8)), {}
                for run in runs:
                    for number in where.get(run, ()):
                        shared[number] = shared.get(number, 0) + 1
                found += any(2 * count >= min(len(runs), len(train[number])) for number, count in shared.items())
        return found

    assert parted(splits["by_family"]) == 0
    assert parted(splits["by_source"]) > 100
