"""A reader's own corpus: layouts, names of files, missing splits, a data set on a Hub at loopback, and mistakes of form in one sentence."""

import csv
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hub_double import HubDouble

from resumen import sources
from resumen.corpus import COLUMNS, EMBEDDED_SYNOPSES, LANGUAGES, SPLITS, load_reviews, prepare_pairs
from resumen.layouts import KEPT_CATEGORY, LAYOUTS
from resumen.profiles import DATA


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch):
    monkeypatch.setattr(sources, "_said", set())


def write(path: Path, rows: list[dict], separator: str = ",") -> Path:
    """Write rows in the format that the name of the file tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
        return path
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if ".csv" in path.suffixes:
        text = pd.DataFrame(rows).to_csv(index=False, sep=separator, quoting=csv.QUOTE_MINIMAL)
    elif path.suffixes[0] == ".json":
        text = json.dumps(rows, indent=1)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def reviews(language: str = "en", number: int = 60, products: int = 30, **others) -> list[dict]:
    """Return reviews with all eight columns, two of each product."""
    return [
        dict(
            zip(
                COLUMNS,
                (
                    f"r{i}",
                    f"p{i % products}",
                    f"u{i}",
                    1 + i % 5,
                    f'Text {i} of one\nreview; it\'s, "long"',
                    f"Title number {i}",
                ),
                strict=False,
            ),
            language=language,
            product_category="book",
            **others,
        )
        for i in range(number)
    ]


def bodies(part):
    return part["review_body"][:]


# Names and formats


@pytest.mark.parametrize("ending", sources.FORMATS)
def test_a_file_a_language(tmp_path, capsys, ending):
    for language in LANGUAGES:
        write(tmp_path / f"{language}{ending}", reviews(language))
    corpus = load_reviews("es", tmp_path)
    assert list(corpus) == list(SPLITS)
    assert corpus["train"].features == load_reviews("en")["train"].features
    by_id = {row["review_id"]: row for part in corpus.values() for row in part}
    assert by_id == {row["review_id"]: row for row in reviews("es")}
    products = [set(part["product_id"][:]) for part in corpus.values()]
    assert sum(map(len, products)) == len(set.union(*products)) == 30
    said = capsys.readouterr().out
    assert f"{tmp_path} has no split 'validation' and no split 'test' in 'es'" in said
    for split in SPLITS:
        assert f"{split} {len(corpus[split])}" in said
    load_reviews("es", tmp_path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "kept", "validation"),
    [
        ("{language}_{split}.csv", True, "validation"),
        ("{language}/{split}.jsonl.gz", True, "valid"),
        ("json/dataset_{language}_{split}.json", True, "dev"),
        ("{split}.csv", False, "dev"),
        ("data/{split}.parquet", False, "validation"),
    ],
)
def test_names_of_files(tmp_path, name, kept, validation):
    for split in SPLITS:
        rows = {
            language: [row | {"review_body": f"{split} {row['review_id']}"} for row in reviews(language, 4)]
            for language in LANGUAGES
        }
        spelled = validation if split == "validation" else split
        if kept:
            for language in LANGUAGES:
                write(tmp_path / name.format(language=language, split=spelled), rows[language])
        else:
            write(tmp_path / name.format(split=spelled), rows["en"] + rows["es"])
    (tmp_path / "._es_train.csv").write_bytes(b"\0")
    for language in LANGUAGES:
        for split, part in load_reviews(language, tmp_path).items():
            assert bodies(part) == [f"{split} r{i}" for i in range(4)]
            assert set(part["language"][:]) == {language}


def test_one_file_for_all(tmp_path):
    write(tmp_path / "whatever.csv", reviews("en") + reviews("es"), separator=";")
    (tmp_path / "README.md").write_text("Mine.")
    for language in LANGUAGES:
        corpus = load_reviews(language, tmp_path)
        assert sum(map(len, corpus.values())) == 60
        assert {code for part in corpus.values() for code in part["language"]} == {language}


# Splits


def test_products_stay_together_on_every_machine_in_every_order_and_language(tmp_path):
    for name, rows in {"a": reviews(number=300, products=100), "b": reviews(number=300, products=100)[::-1]}.items():
        write(tmp_path / name / "en.jsonl", rows)
        write(tmp_path / name / "es.jsonl", [row | {"language": "es"} for row in rows])
    of_product = [
        {
            product: split
            for split, part in load_reviews(language, tmp_path / name).items()
            for product in part["product_id"]
        }
        for name in "ab"
        for language in LANGUAGES
    ]
    assert len(of_product[0]) == 100 and all(one == of_product[0] for one in of_product)
    assert of_product[0]["p0"] == "train" and [of_product[0][f"p{n}"] for n in (1, 5)] == ["train", "validation"]


def test_a_text_is_in_one_split_only(tmp_path, capsys):
    rows = reviews(number=200, products=100)
    for row in rows[::10]:
        row["review_body"] = "The SAME  text"
    rows[1]["review_body"] = rows[3]["review_body"] = None
    write(tmp_path / "en.jsonl", rows)
    corpus = load_reviews("en", tmp_path)
    held = [set(map(str.casefold, filter(None, bodies(part)))) for part in corpus.values()]
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]
    total = sum(map(len, corpus.values()))
    assert f"({200 - total} left out" in capsys.readouterr().out and total < 200


def test_what_is_there_stays(tmp_path, capsys):
    """Only the split that is missing is made."""
    write(tmp_path / "en_train.jsonl", reviews(number=300, products=100))
    write(
        tmp_path / "en_test.jsonl", [row | {"review_body": f"held out {row['review_id']}"} for row in reviews(number=7)]
    )
    corpus = load_reviews("en", tmp_path)
    assert bodies(corpus["test"]) == [f"held out r{i}" for i in range(7)]
    assert len(corpus["train"]) + len(corpus["validation"]) == 300
    said = capsys.readouterr().out
    assert "no split 'validation' in 'en'" in said and "test" not in said.replace(str(tmp_path), "")


def test_without_products_texts_decide(tmp_path, capsys):
    write(tmp_path / "en.jsonl", [row | {"product_id": None} for row in reviews(number=100)] * 2)
    corpus = load_reviews("en", tmp_path)
    assert sum(map(len, corpus.values())) == 200
    assert set(bodies(corpus["train"])).isdisjoint(bodies(corpus["test"]) + bodies(corpus["validation"]))
    assert "in 100 groups by text" in capsys.readouterr().out


def test_too_few_products(tmp_path, course_error):
    write(tmp_path / "en.jsonl", reviews(products=2))
    with course_error(tmp_path, "'validation'", "60 in 2 groups by product", "bring that split"):
        load_reviews("en", tmp_path)


# Layouts


def amazon(language, number):
    return {
        "id": f"{language}_{number}",
        "text": f"A title {number}\n\nThe body.\n\nIts end {number}",
        "label": number % 5,
        "label_text": str(number % 5),
    }


def test_the_benchmark_s_copy_of_the_amazon_reviews(tmp_path, capsys):
    for split in SPLITS:
        rows = [amazon("es", number) for number in range(5)]
        rows[3]["text"] = "Only a body"
        write(tmp_path / "es" / f"{split}.jsonl", rows)
    rows = load_reviews("es", tmp_path)["test"].to_list()
    assert rows[2] == {
        "review_id": "es_2",
        "product_id": None,
        "reviewer_id": None,
        "stars": 3,
        "review_body": "The body.\n\nIts end 2",
        "review_title": "A title 2",
        "language": "es",
        "product_category": KEPT_CATEGORY,
    }
    assert rows[3]["review_body"] == "Only a body" and rows[3]["review_title"] is None
    said = capsys.readouterr().out
    assert "academic research only" in said and "every row counts as 'book'" in said


def test_a_copy_without_titles(tmp_path, course_error):
    write(tmp_path / "en_train.jsonl", [amazon("en", number) | {"text": "Only a body"} for number in range(5)])
    with course_error(tmp_path / "en_train.jsonl", "without titles", "SetFit"):
        load_reviews("en", tmp_path)


@pytest.mark.parametrize("place", ["amazon_reviews_multi", "mine"])
def test_the_amazon_reviews_are_known_by_their_name(tmp_path, capsys, place):
    for split in SPLITS:
        write(tmp_path / place / f"en_{split}.jsonl", reviews())
    load_reviews("en", tmp_path / place)
    said = capsys.readouterr().out
    assert ("academic research only" in said) == (place != "mine")
    assert "counts as" not in said


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_muchocine(tmp_path, capsys, ending):
    """As datasets writes it: the stars are numbers from 0 that stand for the names 1 to 5. A sheet has them as they are."""
    features = Features(
        review_body=Value("string"), review_summary=Value("string"), star_rating=ClassLabel(names=list("12345"))
    )
    rows = [
        {"review_body": f"Una película {n}", "review_summary": f"Regular, sin más {n}", "star_rating": n % 5}
        for n in range(100)
    ]
    if ending == ".parquet":
        Dataset.from_list(rows, features).to_parquet(tmp_path / "es.parquet")
    else:
        write(tmp_path / "es.csv", [row | {"star_rating": row["star_rating"] + 1} for row in rows])
    corpus = load_reviews("es", tmp_path)
    found = {row["review_body"]: row for part in corpus.values() for row in part}
    assert len(found) == 100 and len({row["review_id"] for row in found.values()}) == 100
    assert found["Una película 7"] | {"review_id": None} == {
        **dict.fromkeys(COLUMNS),
        "stars": 3,
        "review_body": "Una película 7",
        "review_title": "Regular, sin más 7",
        "language": "es",
        "product_category": KEPT_CATEGORY,
    }
    assert "CC BY 2.1" in capsys.readouterr().out


def test_lib_reviews(tmp_path, capsys):
    """The table of a dump: reviews in several languages, and revisions that are old or deleted."""
    rows = [
        {
            "id": f"i{n}",
            "thingID": f"t{n}",
            "createdBy": "u",
            "starRating": 4,
            "title": {"en": f"Good &amp; long {n}"} | ({"es": f"Bueno y largo {n}"} if n % 2 else {}),
            "text": {"en": f"Text {n}"} | ({"es": f"Texto {n}"} if n % 2 else {}),
            "originalLanguage": "en",
            "createdOn": {"$reql_type$": "TIME"},
        }
        for n in range(200)
    ]
    rows[1]["_oldRevOf"], rows[3]["_revDeleted"] = "i5", True
    write(tmp_path / "reviews.json", rows)
    english, spanish = (load_reviews(language, tmp_path) for language in LANGUAGES)
    assert sum(map(len, english.values())) == 198 and sum(map(len, spanish.values())) == 98
    row = next(row for part in spanish.values() for row in part if row["review_id"] == "i7")
    assert (row["review_body"], row["review_title"], row["language"], row["stars"]) == (
        "Texto 7",
        "Bueno y largo 7",
        "es",
        4,
    )
    assert "CC BY-SA 4.0" in capsys.readouterr().out


@pytest.mark.parametrize(("folder", "licence"), [(EMBEDDED_SYNOPSES.parent, "Debian"), (DATA / "help", "MPL-2.0")])
def test_real_text_of_the_package(folder, licence, capsys):
    corpus = load_reviews("es", folder)
    assert set(corpus["train"]["product_id"][:]).isdisjoint(corpus["test"]["product_id"][:])
    assert min(map(len, corpus.values())) > 50
    assert licence in capsys.readouterr().out


def test_what_is_read_can_be_prepared(tmp_path):
    for language in LANGUAGES:
        write(tmp_path / f"{language}.csv", reviews(language, 200, 100))
    pairs = prepare_pairs(load_reviews("en", tmp_path), load_reviews("es", tmp_path), [KEPT_CATEGORY])
    assert all(set(part["language"][:]) == set(LANGUAGES) for part in pairs.values())


def test_the_contract_s_splits_decide(tmp_path):
    rows = pd.read_parquet(DATA / "help" / "help.parquet")
    corpus = load_reviews("es", DATA / "help")
    theirs = rows[rows["language"] == "es"]
    assert {split: len(part) for split, part in corpus.items()} == theirs["split"].value_counts().to_dict()


def test_each_layout_is_told_by_its_columns():
    """A layout that asks for the columns of an earlier one would never be found."""
    needs = [layout.needs() for layout in LAYOUTS if not layout.places]
    assert all(not earlier <= later for number, later in enumerate(needs) for earlier in needs[:number])


# Mistakes of form


def test_a_row_in_another_language(tmp_path, course_error):
    rows = reviews()
    rows[2]["language"] = "EN"
    write(tmp_path / "en_train.csv", rows)
    # A spreadsheet numbers the names of the columns as row 1.
    with course_error(tmp_path / "en_train.csv", "row 4: language is 'EN'", "named after 'en'"):
        load_reviews("en", tmp_path)


def test_a_language_that_is_not_there(tmp_path, course_error):
    write(tmp_path / "all.jsonl", reviews("en"))
    with course_error(tmp_path / "all.jsonl", "no review in 'es'", "'en'"):
        load_reviews("es", tmp_path)
    write(tmp_path / "all.jsonl", [{"review_body": "a", "review_summary": "b", "star_rating": 1}])
    with course_error(tmp_path / "all.jsonl", "no column language", "es_train"):
        load_reviews("es", tmp_path)


def test_a_value_is_named_by_the_column_that_is_there(tmp_path, course_error):
    write(tmp_path / "es_train.jsonl", [amazon("es", 1), amazon("es", 2) | {"label": "five"}])
    with course_error(tmp_path / "es_train.jsonl", "row 2: label is 'five', but a whole number belongs there"):
        load_reviews("es", tmp_path)


def test_a_split_that_has_no_such_name(tmp_path, course_error):
    rows = pd.read_parquet(DATA / "help" / "help.parquet").assign(split="training")
    rows.to_parquet(tmp_path / "corpus.parquet")
    with course_error(tmp_path / "corpus.parquet", "split must say train, validation or test"):
        load_reviews("en", tmp_path)


def test_a_file_in_place_of_a_folder(tmp_path, course_error):
    with course_error("en.csv is a file", "name the folder"):
        load_reviews("en", write(tmp_path / "en.csv", reviews()))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"review_id;stars\n1;2;3\n", ("row 2 has 3 cells",)),
        (b"", ("it is empty",)),
        (b"review_id,stars\n\xe9,1\n", ("not in UTF-8",)),
        (b"review_id,stars\n1,5\n", ("lacks the columns", "review_body", "docs/setup.md")),
        (",".join(COLUMNS).encode() + b"\n", ("holds no row",)),
    ],
)
def test_a_sheet_that_is_none(tmp_path, course_error, content, words):
    (tmp_path / "en_train.csv").write_bytes(content)
    with course_error("en_train.csv", *words):
        load_reviews("en", tmp_path)


def test_an_empty_cell_is_nothing(tmp_path):
    rows = reviews()
    rows[0] |= {"stars": None, "review_title": ""}
    for split in SPLITS:
        write(tmp_path / f"en_{split}.csv", rows)
    first = load_reviews("en", tmp_path)["test"][0]
    assert first["stars"] is None and first["review_title"] is None


# The Hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Return a function that runs code in a process for which a Hub with four data sets is at loopback."""
    folder = tmp_path_factory.mktemp("hub")
    lines = {
        (language, split): "".join(
            json.dumps(row | {"review_body": f"{split} {row['review_body']}"}) + "\n" for row in reviews(language, 6)
        ).encode()
        for language in LANGUAGES
        for split in SPLITS
    }
    card = "---\nconfigs:\n" + "".join(
        f"- config_name: {language}\n  data_files:\n"
        + "".join(f"  - split: {split}\n    path: {language}/{split}.jsonl\n" for split in SPLITS)
        for language in LANGUAGES
    )
    files = {f"{language}/{split}.jsonl": data for (language, split), data in lines.items()}
    whole = "".join(json.dumps(row) + "\n" for language in LANGUAGES for row in reviews(language, 300, 100)).encode()
    packed = {f"{name}.gz": gzip.compress(data) for name, data in files.items()}
    sets = {
        "ana/by-language": {"README.md": (card + "---\n").encode(), **files},
        "ana/together": {"train.jsonl": whole},
        "ana/amazon_reviews_multi": {"amazon_reviews_multi.py": b"raise SystemExit", **packed},
        "ana/other": {"README.md": (card + "---\n").replace("config_name: e", "config_name: x").encode(), **files},
    }
    with HubDouble() as double:
        for name, contents in sets.items():
            for path, data in contents.items():
                place = folder / "sets" / name / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
            double.add(name, folder / "sets" / name, kind="dataset")

        def run(code, **environment):
            names = {"HF_HOME": str(folder), "HF_ENDPOINT": double.url, "HF_HUB_OFFLINE": "0"}
            done = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                env=os.environ | names | environment,
                cwd=folder,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run


@pytest.mark.slow
@pytest.mark.thorough
def test_a_data_set_on_the_hub(hub):
    code = """
from resumen.corpus import load_reviews
from resumen.errors import CourseError
for name in ("ana/by-language", "ana/together", "ana/amazon_reviews_multi", "ana/other", "ana/nowhere"):
    for language in ("en", "es"):
        try:
            corpus = load_reviews(language, name)
        except CourseError as error:
            print(name, language, "|", error)
        else:
            assert {code for part in corpus.values() for code in part["language"]} == {language}
            print(name, language, "|", {split: len(part) for split, part in corpus.items()}, corpus["test"][0]["review_body"][:5])
"""
    said = hub(code).splitlines()
    lines = dict(line.split(" | ", 1) for line in said if " | " in line)
    sizes = dict.fromkeys(SPLITS, 6)
    for name in ("ana/by-language", "ana/amazon_reviews_multi"):
        for language in LANGUAGES:
            assert lines[f"{name} {language}"] == f"{sizes} test "
    assert sum("academic research only" in line for line in said) == len(SPLITS) * 2
    for language in LANGUAGES:
        assert any(
            line.startswith(f"ana/together has no split 'validation' and no split 'test' in '{language}'")
            for line in said
        )
        assert lines[f"ana/together {language}"].startswith("{'train': ")
        assert f"configurations xn, xs, and none is called {language}" in lines[f"ana/other {language}"]
        assert lines[f"ana/nowhere {language}"].startswith(
            "ana/nowhere could not be loaded from the Hub (Dataset 'ana/nowhere' doesn't exist"
        )


def test_without_the_network_a_data_set_is_asked_for_in_vain(tmp_path, monkeypatch, course_error):
    """The tests keep the network off, as the profile tiny does."""
    monkeypatch.chdir(tmp_path)
    with course_error("ana/nowhere could not be loaded from the Hub", "RESUMEN_PROFILE=full"):
        load_reviews("en", "ana/nowhere")
    write(tmp_path / "ana" / "nowhere" / "en.jsonl", reviews())
    assert load_reviews("en", "ana/nowhere")
