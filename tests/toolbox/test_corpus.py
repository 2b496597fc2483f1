"""Stage 1: the toolbox at its edges, the embedded corpora as documented, and errors that say what to do."""

import gzip
import json
import os
import unicodedata
from statistics import fmean

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict, concatenate_datasets

from resumen.baselines import lead_k
from resumen.corpus import (
    COLUMNS,
    EMBEDDED_REVIEWS,
    LANGUAGES,
    SPLITS,
    build_bilingual,
    clean_pairs,
    clean_text,
    deduplicate,
    drop_invalid,
    filter_categories,
    has_min_words,
    length_stats,
    load_literary,
    load_reviews,
    load_synopses,
    prepare_pairs,
    remove_leakage,
)
from resumen.files import table_rows
from resumen.metrics import evaluate_system
from resumen.text import tokenize_words


def nfd(text):
    return unicodedata.normalize("NFD", text)


def row(body="A body.", title="A good title", language="en", category="book", **others):
    """Return a review with all eight columns."""
    values = dict(zip(COLUMNS, ("r1", "p1", "u1", 5, body, title, language, category), strict=True))
    return values | others


def rows(*reviews):
    return Dataset.from_list(list(reviews))


def bodies(*texts, language="en"):
    return rows(*(row(body=text, language=language, review_id=str(number)) for number, text in enumerate(texts)))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (None, ""),
        ("", ""),
        (" \t\n\u00a0 ", ""),
        ("&nbsp;", ""),
        ("  two \n\n words\u00a0here ", "two words here"),
        ("¿Dañado? ¡SÍ!", "¿Dañado? ¡SÍ!"),
        (nfd("El niño llegó"), "El niño llegó"),
        ("rock &amp; roll", "rock & roll"),
        ("it&#39;s &quot;ok&quot;", 'it\'s "ok"'),
        ("ni&ntilde;o", "niño"),
        ("n&#771;", "ñ"),
        # Once: what was escaped twice stays escaped once.
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("&amp;amp;", "&amp;"),
        # Entities first: what turns into a tag is one.
        ("a&lt;br&gt;b", "a b"),
        ("one<br />two", "one two"),
        ("<b>bold</b> text", "bold text"),
        ("see <a href='x.html'>this</a>", "see this"),
        ("a<!-- a note -->b", "a b"),
        ("<!DOCTYPE html>text", "text"),
        ("a<br\n/>b", "a b"),
        ("wo<i></i>rd", "wo rd"),
        ("a < b and c > d", "a < b and c > d"),
        ("a <3 b> c", "a <3 b> c"),
        ("I <b you", "I <b you"),
        ("<>", "<>"),
    ],
)
def test_clean_text(text, clean):
    assert clean_text(text) == clean


def test_drop_invalid_keeps_rows_as_they_are():
    good = row(body="<b>Kept</b>&amp; ", title=nfd(" Él "), extra=1)
    also = row(body="Last", extra=2)
    blanks = (None, "", "  ", "\n", "&nbsp;", "<br />", "<p></p>")
    bad = [row(body=blank, extra=3) for blank in blanks] + [row(title=blank, extra=4) for blank in blanks]
    dataset = rows(good, *bad, also)
    kept = drop_invalid(dataset)
    assert kept.to_list() == [good, also]
    assert kept.column_names == dataset.column_names
    assert len(dataset) == 2 + len(bad)


def test_filter_categories_matches_exactly_in_every_split():
    names = ["book", "Book", "books", "book ", None, "pc", "digital_ebook_purchase"]
    split = rows(*(row(category=name) for name in names))
    kept = filter_categories(DatasetDict(train=split, test=split), {"book", "pc"})
    assert {name: part["product_category"][:] for name, part in kept.items()} == {
        "train": ["book", "pc"],
        "test": ["book", "pc"],
    }
    assert [len(part) for part in filter_categories(DatasetDict(train=split), []).values()] == [0]


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("", 0),
        ("  ", 0),
        ("Bien", 1),
        ("- ! …", 0),
        ("Good - very", 2),
        ("¡Muy buen libro!", 3),
        ("5 de 5", 3),
        ("👍 ok", 1),
    ],
)
def test_has_min_words(title, words):
    assert has_min_words(title, words)
    assert not has_min_words(title, words + 1)
    assert has_min_words(title) is (words >= 3)


def test_deduplicate_keeps_the_first_per_language():
    dataset = rows(
        row("El niño", review_id="0"),
        row("Otro", review_id="1"),
        row(nfd("  EL \n NIÑO "), review_id="2"),
        row("El niño", language="es", review_id="3"),
        row("otro.", review_id="4"),
        row("El <b>niño</b>", review_id="5"),
        row("OTRO", language="es", review_id="6"),
        row("otro", review_id="7"),
    )
    kept = deduplicate(dataset)
    assert kept["review_id"][:] == ["0", "1", "3", "4", "5", "6"]
    assert kept.to_list()[0] == dataset[0]


def test_remove_leakage_whatever_the_language():
    train = bodies("Same", "New", "New", "other", nfd("Año"), "Same &amp;")
    held_out = bodies(" SAME ", "AÑO", "Other", language="es")
    before = held_out.to_list()
    kept = remove_leakage(train, held_out)
    assert kept["review_body"][:] == ["New", "New", "Same &amp;"]
    assert held_out.to_list() == before


def test_build_bilingual_is_concatenate_and_shuffle():
    english = DatasetDict(train=bodies(*"abcdef"), test=bodies(*"gh"))
    spanish = DatasetDict(test=bodies(*"wx", language="es"), train=bodies(*"stuv", language="es"))
    both = build_bilingual(english, spanish)
    assert set(both) == {"train", "test"}
    for split in both:
        expected = concatenate_datasets([english[split], spanish[split]]).shuffle(seed=42)
        assert both[split].to_list() == expected.to_list()
    assert build_bilingual(english, spanish, seed=1)["train"].to_list() != both["train"].to_list()


def test_build_bilingual_refuses_unlike_corpora():
    one = DatasetDict(train=bodies("a"), test=bodies("b"))
    with pytest.raises(ValueError, match="splits"):
        build_bilingual(one, DatasetDict(train=bodies("a")))
    with pytest.raises(ValueError, match=r"columns.*'test'"):
        build_bilingual(one, DatasetDict(train=bodies("a"), test=bodies("b").remove_columns("stars")))


def test_length_stats_by_hand():
    dataset = rows(
        # Spanish first: the index must be sorted. Body lengths 1, 2, 3, 10; title lengths 1, 2, 3, 4.
        *(row(" ".join("a" * body), " ".join("b" * title), "es") for body, title in ((3, 1), (10, 2), (1, 3), (2, 4))),
        row("one  two\nthree", "A - b", "en"),
    )
    expected = pd.DataFrame(
        {
            "body_median": [3.0, 2.5],
            "body_p95": [3.0, 3 + 0.85 * 7],  # at place 0.95 * 3 = 2.85 of 1, 2, 3, 10
            "title_median": [3.0, 2.5],
            "title_p95": [3.0, 3.85],
            "short_title_share": [1.0, 0.5],
        },
        index=pd.Index(["en", "es"], name="language"),
    )
    pd.testing.assert_frame_equal(length_stats(dataset), expected, check_dtype=False, check_index_type=False)


def test_clean_pairs_cleans_one_split():
    dataset = rows(
        row("First <br/>body", nfd("Tres&nbsp;años <i>después</i>"), review_id="0", stars=1),
        row("FIRST  body", "A later copy", review_id="1"),
        row("First body", "Otro idioma aquí", "es", review_id="2"),
        row("Short title", "Great !!! :)", review_id="3"),
        # Three words are left of it, and then three words are enough.
        row("Markup is no word", "<b>Just</b> three words", review_id="4"),
        row("Two words in markup", "<b>two</b> <i></i> words", review_id="5"),
        row("&nbsp;", "No body at all", review_id="6"),
        row("No title at all", None, review_id="7"),
        row("Of a pc", "Any category stays", category="pc", review_id="8"),
    )
    before = dataset.to_list()
    pairs = clean_pairs(dataset)
    assert pairs["review_id"][:] == ["0", "2", "4", "8"]
    assert pairs[0] == before[0] | {"review_body": "First body", "review_title": "Tres años después"}
    assert pairs["review_title"][2] == "Just three words"
    assert pairs.column_names == dataset.column_names
    assert dataset.to_list() == before
    assert len(clean_pairs(dataset.select([3, 6]))) == 0


def test_clean_pairs_drops_the_short_title_before_the_duplicate():
    """A short title must not take the place of a better one of the same body."""
    dataset = rows(row("se lee solo", "Genial"), row("Se lee solo", "Una novela que engancha"))
    assert clean_pairs(dataset)["review_title"][:] == ["Una novela que engancha"]


def test_prepare_pairs_runs_the_whole_stage():
    def corpus(language):
        splits = {
            "train": [
                row("First <br/>body", "Three words here", language),
                row("FIRST body", "Three more words", language),
                row("held out", "Leaks into the test", language),
                row("Title too short", "Bad", language),
                row("Of a pc", "Not a book title", language, "pc"),
                row(None, "No body at all", language),
            ],
            "validation": [row("Seen here", "The validation title &amp; more", language)],
            "test": [row("Held out", "The test title here", language)],
        }
        return DatasetDict({name: rows(*reviews) for name, reviews in splits.items()})

    pairs = prepare_pairs(corpus("en"), corpus("es"), ["book"])
    assert sorted(zip(pairs["train"]["language"], pairs["train"]["review_body"], strict=True)) == [
        ("en", "First body"),
        ("es", "First body"),
    ]
    assert pairs["validation"]["review_title"][:] == ["The validation title & more"] * 2
    assert len(pairs["test"]) == 2


def test_prepare_pairs_names_an_empty_split(course_error):
    one = DatasetDict({split: rows(row(title="Three words here", body=split)) for split in SPLITS})
    with course_error("'train'", "categories"):
        prepare_pairs(one, one, ["toy"])


@pytest.fixture(scope="module")
def frames():
    """The embedded corpus: language to split to DataFrame."""
    return {code: {name: part.to_pandas() for name, part in load_reviews(code).items()} for code in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_embedded_shape(frames, language):
    assert tuple(frames[language]) == SPLITS
    for split, frame in frames[language].items():
        assert tuple(frame.columns) == COLUMNS
        assert (frame["language"] == language).all()
        assert frame["review_id"].is_unique
        stars = frame["stars"].value_counts(normalize=True)
        assert set(stars.index) == {1, 2, 3, 4, 5}
        assert stars.between(0.15, 0.25).all(), f"{split}: {stars.to_dict()}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_embedded_domain(frames, language):
    """Books are the domain; ten other categories are there to be left out, and for a domain of the reader's choice."""
    counts = frames[language]["train"]["product_category"].value_counts()
    assert len(counts) == 12
    assert counts[["book", "digital_ebook_purchase"]].sum() >= 3000
    assert counts.min() >= 50


@pytest.mark.parametrize("language", LANGUAGES)
def test_embedded_lengths(frames, language):
    together = pd.concat(frames[language].values())
    assert together["review_body"].str.len().mean() == pytest.approx(165, abs=15)
    assert together["review_title"].str.len().mean() == pytest.approx(19.5, abs=2)
    short = (together["review_title"].str.split().str.len() < 3).mean()
    assert 0.28 <= short <= 0.5


@pytest.mark.parametrize("language", LANGUAGES)
def test_literary(language):
    reviews = load_literary(language)
    assert tuple(reviews.column_names) == COLUMNS
    assert reviews.features == load_reviews(language)["test"].features
    assert set(reviews["language"][:]) == {language}
    assert len(reviews) > 150
    # Without defects: nothing is missing, and cleaning changes nothing.
    for text in reviews["review_body"][:] + reviews["review_title"][:]:
        assert text and clean_text(text) == text


@pytest.mark.parametrize("language", LANGUAGES)
def test_literary_titles_seldom_use_the_words_of_the_body(frames, language):
    """What makes it a domain of its own, as the data card says."""

    def found(frame):
        pairs = frame[["review_title", "review_body"]].dropna().map(tokenize_words).itertuples(index=False)
        return fmean(sum(word in body for word in title) / len(title) for title, body in pairs if title)

    assert found(load_literary(language).to_pandas()) < 0.2 < 0.3 < found(frames[language]["validation"])


def test_embedded_pairs_are_many_and_hard(pairs):
    assert min(pd.Series(pairs["train"]["language"][:]).value_counts()[list(LANGUAGES)]) >= 1800
    validation = pairs["validation"]
    texts = zip(validation["review_body"], validation["language"], strict=True)
    leads = [lead_k(body, language) for body, language in texts]
    scores = evaluate_system(leads, validation["review_title"][:], validation["language"][:])
    assert scores.loc[list(LANGUAGES), "rouge1"].between(13, 22).all(), scores


def test_data_card_counts_what_is_there(frames):
    card = (EMBEDDED_REVIEWS / "README.md").read_text(encoding="utf-8")
    parts = {code: frames[code] | {"literary": load_literary(code).to_pandas()} for code in LANGUAGES}
    counted = [[code, split, f"{len(frame):,}"] for code, splits in parts.items() for split, frame in splits.items()]
    assert [cells for cells in table_rows(card) if cells[0] in LANGUAGES] == counted
    stars = pd.concat([frame["stars"] for splits in parts.values() for frame in splits.values()]).value_counts()
    assert ", ".join(f"{star}: {number:,}" for star, number in sorted(stars.items())) in card


@pytest.mark.parametrize("language", LANGUAGES)
def test_synopses(language):
    corpus = load_synopses(language)
    assert tuple(corpus) == SPLITS
    sources = {split: set(part["product_id"][:]) for split, part in corpus.items()}
    assert all(sources.values())
    for split, part in corpus.items():
        assert tuple(part.column_names) == COLUMNS
        assert set(part["language"][:]) == {language}
        assert all(sources[split].isdisjoint(sources[other]) for other in SPLITS if other != split)
        assert all(part["review_title"][:]) and all(part["review_body"][:])


def test_synopses_do_not_leak_across_languages():
    """A source lies in the same split in both languages, and the two corpora can be joined."""
    english, spanish = load_synopses("en"), load_synopses("es")
    for split in ("validation", "test"):
        assert set(spanish[split]["product_id"][:]).isdisjoint(english["train"]["product_id"][:])
    assert len(build_bilingual(english, spanish)["test"]) == len(english["test"]) + len(spanish["test"])


def write_corpus(folder, ending, reviews, languages=("en",)):
    """Write every split of a corpus that holds the same reviews in each, in one of the formats we read."""
    lines = "".join(json.dumps(review, ensure_ascii=False) + "\n" for review in reviews).encode()
    for language in languages:
        for split in SPLITS:
            path = folder / f"{language}_{split}{ending}"
            if ending == ".parquet":
                with path.open("wb") as file:
                    pq.write_table(pa.Table.from_pylist(reviews), file)
            else:
                path.write_bytes(gzip.compress(lines) if ending.endswith(".gz") else lines)


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
def test_local_folder(tmp_path, monkeypatch, ending):
    reviews = [row("El niño", more="x"), row("Otro", more="y")]
    write_corpus(tmp_path, ending, reviews)
    expected = [{name: review[name] for name in COLUMNS} for review in reviews]
    corpus = load_reviews("en", tmp_path)
    assert {split: part.to_list() for split, part in corpus.items()} == dict.fromkeys(SPLITS, expected)
    monkeypatch.setenv("RESUMEN_DATA", str(tmp_path))
    for profile in ("tiny", "full"):
        monkeypatch.setenv("RESUMEN_PROFILE", profile)
        assert load_reviews("en")["test"].to_list() == expected


def test_missing_file(tmp_path, course_error):
    write_corpus(tmp_path, ".jsonl", [row()])
    (tmp_path / "en_train.jsonl").unlink()
    with course_error(tmp_path, "en_train", ".parquet", ".csv.gz"):
        load_reviews("en", tmp_path)
    with course_error(tmp_path / "nowhere", "en_train"):
        load_reviews("en", tmp_path / "nowhere")


def test_wrong_columns(tmp_path, course_error):
    write_corpus(tmp_path, ".jsonl", [{"review_body": "a", "title": "b"}])
    with course_error(tmp_path / "en_train.jsonl", "review_title", "stars", "it has review_body, title"):
        load_reviews("en", tmp_path)


EMPTY_TABLE = pa.BufferOutputStream()
pq.write_table(pa.Table.from_pylist([row()]).slice(0, 0), EMPTY_TABLE)


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        (".parquet", EMPTY_TABLE.getvalue().to_pybytes()),
        (".jsonl", b""),
        (".jsonl", b"\n\n"),
        (".jsonl.gz", gzip.compress(b"", mtime=0)),
    ],
)
def test_empty_split(tmp_path, course_error, ending, content):
    write_corpus(tmp_path, ending, [row()])
    (tmp_path / f"en_test{ending}").write_bytes(content)
    with course_error(tmp_path / f"en_test{ending}", "no row"):
        load_reviews("en", tmp_path)


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
@pytest.mark.parametrize("content", [b"not at all\nwhat the name says", b"{"])
def test_unreadable_file(tmp_path, course_error, ending, content):
    write_corpus(tmp_path, ending, [row()])
    (tmp_path / f"en_validation{ending}").write_bytes(content)
    with course_error(tmp_path / f"en_validation{ending}", "cannot be read"):
        load_reviews("en", tmp_path)


def test_an_empty_variable_is_not_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESUMEN_DATA", "")
    assert load_reviews("es")["test"].to_list() == load_reviews("es", EMBEDDED_REVIEWS)["test"].to_list()


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "[2020]",
        "a*b",
        ".hidden",
        "評論 {x,y}",
        "día #1 50%20?",
        "hf:",
        "a=1",
        "new\nline",
        os.fsdecode(b"caf\xe9"),
    ],
)
def test_a_folder_of_any_name(tmp_path, ending, name):
    for folder in (tmp_path / name, tmp_path / "ab", tmp_path / "axb"):  # a pattern would find more than one
        folder.mkdir()
        write_corpus(folder, ending, [row()])
    assert len(load_reviews("en", tmp_path / name)["test"]) == 1


def test_a_folder_below_home(tmp_path, monkeypatch):
    write_corpus(tmp_path, ".jsonl", [row()])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RESUMEN_DATA", "~")
    assert len(load_reviews("en")["test"]) == 1


def test_a_folder_that_datasets_cannot_open(tmp_path, course_error):
    (tmp_path / "a::b").mkdir()
    write_corpus(tmp_path / "a::b", ".parquet", [row()])
    with course_error("rename the folder"):
        load_reviews("en", tmp_path / "a::b")


def test_types_that_pandas_writes_become_the_course_s(tmp_path):
    reviews = pd.DataFrame([row("Uno dos tres", review_id="7"), row("Cuatro cinco seis", review_id="8")])
    odd = reviews.astype({"review_body": "string[pyarrow]", "product_category": "category"})
    odd["review_id"] = [7, 8]
    odd["stars"] = [5.0, None]
    odd["reviewer_id"] = [1.0, None]
    for split in SPLITS:
        odd.to_parquet(tmp_path / f"en_{split}.parquet")
        mixed = [
            {**review, "product_id": number, "stars": "4,0", "language": "es"}
            for number, review in enumerate(reviews.to_dict("records"))
        ]
        mixed[1]["product_id"] = "B1"
        (tmp_path / f"es_{split}.jsonl").write_text("\n".join(map(json.dumps, mixed)), encoding="utf-8")
    english, spanish = (load_reviews(language, tmp_path) for language in ("en", "es"))
    assert english["train"].features == spanish["train"].features == load_reviews("en")["train"].features
    expected = reviews.assign(stars=[5, None], reviewer_id=["1", None]).astype(object)
    expected = expected.where(expected.notna(), None)
    assert english["test"].to_list() == expected[list(COLUMNS)].to_dict("records")
    assert spanish["test"]["product_id"][:] == ["0", "B1"] and spanish["test"]["stars"][:] == [4, 4]
    assert len(build_bilingual(english, spanish)["train"]) == 4


@pytest.mark.parametrize("text", ["2021-03-01", "2021-03-01T10:00:00Z", "007", "1e5", "null", "true"])
def test_text_stays_text(tmp_path, text):
    write_corpus(tmp_path, ".jsonl", [row(text, text, reviewer_id=text)])
    (review,) = load_reviews("en", tmp_path)["train"].to_list()
    assert {review[name] for name in ("review_body", "review_title", "reviewer_id")} == {text}


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("stars", "cinco", "a whole number"),
        ("stars", 4.5, "a whole number"),
        ("stars", True, "a whole number"),
        ("stars", 2**40, "a whole number"),
        ("review_body", ["a", "b"], "text"),
        ("review_title", 1.5, "text"),
        ("review_id", False, "text"),
    ],
)
def test_a_value_that_does_not_fit(tmp_path, course_error, ending, name, value, kind):
    write_corpus(tmp_path, ending, [row(**{name: value})])
    with course_error(tmp_path / f"en_train{ending}", f"row 1: {name} is {value!r}, but {kind} belongs there"):
        load_reviews("en", tmp_path)


def test_another_encoding(tmp_path, course_error):
    write_corpus(tmp_path, ".jsonl", [row("El niño")])
    (tmp_path / "en_train.jsonl").write_bytes((tmp_path / "en_train.jsonl").read_text("utf-8").encode("latin-1"))
    with course_error("en_train.jsonl is not in UTF-8: save it again"):
        load_reviews("en", tmp_path)
    body = pa.array([b"ni\xf1o"]).view(pa.string())
    for split in SPLITS:
        table = pa.Table.from_pylist([row()])
        pq.write_table(
            table.set_column(table.column_names.index("review_body"), "review_body", body),
            tmp_path / f"es_{split}.parquet",
        )
    with course_error(tmp_path / "es_train.parquet", "cannot be read as parquet", "UTF8"):
        load_reviews("es", tmp_path)


def test_columns_in_place_of_rows(tmp_path, course_error):
    for split in SPLITS:
        pd.DataFrame([row(), row()]).to_json(tmp_path / f"en_{split}.json")
    with course_error(tmp_path / "en_train.json", "not one row", "orient='records', lines=True"):
        load_reviews("en", tmp_path)


@pytest.mark.parametrize("load", [load_reviews, load_literary, load_synopses])
@pytest.mark.parametrize("language", ["fr", "EN", "", None])
def test_unknown_language(load, language, course_error):
    with course_error(repr(language), "'en'", "'es'"):
        load(language)


def test_full_profile_needs_a_corpus(monkeypatch, course_error):
    monkeypatch.setenv("RESUMEN_PROFILE", "full")
    with course_error("'full'", "RESUMEN_DATA"):
        load_reviews("en")
