"""What maintainers run: the corpus and the tokenizer come out of their seeds again, byte for byte."""

import random
import re
from itertools import pairwise

import pytest
import torch

from resumen.authoring import checkpoint as checkpoint_author
from resumen.authoring import reviews
from resumen.authoring.phrases import CATEGORIES, capitalise, expand, item_slots, load_bank, uncapitalise
from resumen.corpus import EMBEDDED_REVIEWS, LANGUAGES, SPLITS, load_reviews
from resumen.modeling import load_checkpoint
from resumen.text import tokenize_words

FILES = ["README.md", *(f"{language}_{split}.parquet" for language in LANGUAGES for split in SPLITS)]


@pytest.fixture(scope="module")
def tokenizer():
    return load_checkpoint()[0]


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviews")
    reviews.write(folder)
    return folder


@pytest.mark.slow
def test_nothing_else_lies_beside_the_corpus(rebuilt):
    assert sorted(path.name for path in rebuilt.iterdir()) == sorted(FILES)
    assert sorted(path.name for path in EMBEDDED_REVIEWS.iterdir()) == sorted(FILES)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_corpus_is_the_one_from_its_seed(rebuilt, name):
    """A failure means: the banks, the composer or pyarrow changed. Run `python -m resumen.authoring.reviews` and commit."""
    same = (rebuilt / name).read_bytes() == (EMBEDDED_REVIEWS / name).read_bytes()
    assert same, f"data/reviews/{name} is not what `python -m resumen.authoring.reviews` writes"


def test_another_seed_gives_another_corpus():
    """One split of one language is enough to see that the seed reaches the rows."""
    composers = [reviews.Composer("en", random.Random(seed)) for seed in (1, 1, 2)]
    item = load_bank("en", "pc")["items"][0]
    one, again, other = ([composer.review("pc", item, 4) for _ in range(5)] for composer in composers)
    assert one == again != other


@pytest.mark.slow
def test_the_tokenizer_is_the_one_from_its_texts(tmp_path):
    tokenizer = checkpoint_author.train_tokenizer(checkpoint_author.documents())
    tokenizer.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        same = (tmp_path / name).read_bytes() == (checkpoint_author.FOLDER / name).read_bytes()
        assert same, f"data/mt5-tiny/{name} is not the one that resumen.authoring.checkpoint trains on this corpus"


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 12, 40, 72])
@pytest.mark.parametrize("seed", range(10))
def test_corrupt_loses_no_token(length, seed):
    ids, sentinels, eos = list(range(10, 10 + length)), list(range(100, 200)), 1
    example = checkpoint_author.corrupt(ids, sentinels, eos, random.Random(seed))
    assert example["input_ids"][-1] == example["labels"][-1] == eos
    hidden, sentinel = {}, None
    for token in example["labels"][:-1]:
        if token in sentinels:
            hidden[sentinel := token] = []
        else:
            hidden[sentinel].append(token)
    assert list(hidden) == sentinels[: len(hidden)]
    assert all(hidden.values())
    restored = [token for place in example["input_ids"][:-1] for token in hidden.get(place, [place])]
    assert restored == ids
    assert sum(map(len, hidden.values())) == max(1, round(length * checkpoint_author.CORRUPTION))


@pytest.mark.parametrize("seed", range(10))
def test_repeat_sentence_marks_what_it_asks_for(seed):
    body, full_stop, sentinel, eos = [10, 11, 9, 12, 9, 13, 14, 15], 9, 99, 1
    example = checkpoint_author.repeat_sentence(body, {full_stop}, sentinel, eos, random.Random(seed))
    before, after = example["input_ids"].index(sentinel), example["labels"][1:-1]
    assert [token for token in example["input_ids"] if token != sentinel] == [*body, eos]
    assert (example["labels"][0], example["labels"][-1]) == (sentinel, eos)
    assert after in ([10, 11, 9], [12, 9], [13, 14, 15])
    assert example["input_ids"][before + 1 :][: len(after)] == after


def test_an_untrained_model_can_copy(tokenizer):
    """Given its input's first tokens as what it has written, it expects the next ones: `wire_for_copying` did its work."""
    model = checkpoint_author.new_model(tokenizer).eval()
    ids = torch.stack([torch.randperm(3000)[:24] + 10 for _ in range(8)])
    with torch.no_grad():
        expected = model(input_ids=ids, decoder_input_ids=ids[:, :-1]).logits.argmax(-1)
    assert (expected == ids[:, 1:]).float().mean() > 0.5


@pytest.mark.slow
def test_pretraining_learns(tokenizer, monkeypatch):
    monkeypatch.setattr(checkpoint_author, "BATCH_SIZE", 8)
    phase = checkpoint_author.PHASES[0].scaled(0)
    model = checkpoint_author.new_model(tokenizer)
    log = checkpoint_author.pretrain(
        model, tokenizer, checkpoint_author.documents()[::10], phase, report=lambda *_, **__: None
    )
    assert [entry["step"] for entry in log] == [100, 200]
    assert log[1]["loss"] < log[0]["loss"] < 6


def test_of_several_titles_the_one_that_echoes_is_kept():
    """The body is drawn first, so the same seed gives the same body with one title and with many."""
    item = load_bank("es", "book")["items"][0]
    few, many = [], []
    for seed in range(20):
        for titles, shares in ((1, few), (12, many)):
            body, title = reviews.Composer("es", random.Random(seed)).review("book", item, 2, titles)
            said = set(tokenize_words(body))
            shares.append(sum(word in said for word in tokenize_words(title)) / len(tokenize_words(title)))
    assert all(one <= best for one, best in zip(few, many, strict=True))
    assert sum(many) > 1.5 * sum(few)


@pytest.mark.parametrize(
    ("line", "readings"),
    [
        ("plain", {"Plain"}),
        ("[a|b] c", {"A c", "B c"}),
        ("[a [b|c]|d]", {"A b", "A c", "D"}),
        ("good[ very|], yes", {"Good very, yes", "Good, yes"}),
        ("[|really ]fine [|indeed] .", {"Fine.", "Fine indeed.", "Really fine.", "Really fine indeed."}),
        ("{noun} here", {"Pen here"}),
        ("{many}", {"X", "Y"}),
        ("{many}{many}", {"Xx", "Xy", "Yx", "Yy"}),
        ("[{noun}|{many}]", {"Pen", "X", "Y"}),
        ("¿{noun}?", {"¿Pen?"}),
        ("«{noun}»", {"«Pen»"}),
        ("élan", {"Élan"}),
        ("'no' way", {"'No' way"}),
    ],
)
def test_expand(line, readings):
    slots = {"noun": "pen", "many": ["x", "y"]}
    assert {expand(line, slots, random.Random(seed)) for seed in range(60)} == readings


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Good", "good"),
        ("I like it", "I like it"),
        ("Ana came", "Ana came"),
        ("USB port", "USB port"),
        ("¡Bien!", "¡Bien!"),
        ("", ""),
    ],
)
def test_uncapitalise(text, result):
    assert uncapitalise(text, ["Ana"]) == result


def test_capitalise():
    assert [capitalise(text) for text in ("¡qué!", "", "3 a", "Ok")] == ["¡Qué!", "", "3 a", "Ok"]


@pytest.mark.parametrize(
    ("language", "item", "slot", "value"),
    [
        ("en", {"noun": "novel"}, "an_item", "a novel"),
        ("en", {"noun": "eraser"}, "an_item", "an eraser"),
        ("en", {"noun": "USB hub"}, "an_item", "a USB hub"),
        ("en", {"noun": "unisex shirt"}, "an_item", "a unisex shirt"),
        ("en", {"noun": "umbrella"}, "an_item", "an umbrella"),
        ("es", {"noun": "novela", "gender": "f"}, "del_item", "de la novela"),
        ("es", {"noun": "libro", "gender": "m"}, "del_item", "del libro"),
        ("es", {"noun": "libro", "gender": "m"}, "al_item", "al libro"),
        ("es", {"noun": "novela", "gender": "f"}, "un_item", "una novela"),
        ("es", {"noun": "novela", "gender": "f"}, "o", "a"),
    ],
)
def test_item_slots(language, item, slot, value):
    assert item_slots(language, item)[slot] == value


def lines_of(bank):
    """Return every line of a bank that expand() will read: the leaves, except the slots, the items and the names."""
    if isinstance(bank, str):
        return [bank]
    if isinstance(bank, list):
        return [line for part in bank for line in lines_of(part)]
    unread = ("slots", "items", "category", "kinds")
    return [line for name, part in bank.items() if name not in unread for line in lines_of(part)]


@pytest.mark.parametrize("name", ["common", *CATEGORIES])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_bank_line_expands(language, name):
    rng = random.Random(0)
    bank = load_bank(language, name)
    slots = reviews.Composer(language, rng).slots | {"pos": "fine", "neg": "poor"}
    items = bank.get("items", [{"noun": "thing", "gender": "f"}, {"noun": "thing", "gender": "m"}])
    lines = lines_of(bank)
    assert len(lines) > 100
    for line in lines:
        assert line.count("[") == line.count("]") and line.count("{") == line.count("}"), line
        for item in rng.sample(items, 2):
            text = expand(line, slots | item_slots(language, item), rng)
            assert text and not set(text) & set("[]{}|") and "  " not in text, line


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("language", LANGUAGES)
class TestRows:
    @pytest.fixture
    def rows(self, language, split):
        return load_reviews(language)[split].to_list()

    def test_no_grammar_is_left(self, rows):
        left = [row for row in rows if re.search(r"[\[\]{}|]", f"{row['review_body']}{row['review_title']}")]
        assert left == []

    def test_neighbours_do_not_sound_alike(self, rows):
        alike = []
        for one, other in pairwise(rows):
            starts = [(row["review_body"] or "").split()[:4] for row in (one, other)]
            titles = [row["review_title"] or "" for row in (one, other)]
            if (starts[0] and starts[0] == starts[1]) or (titles[0] == titles[1] and len(titles[0].split()) >= 3):
                alike.append((one["review_id"], other["review_id"], " ".join(starts[0]), titles[0]))
        assert alike == []
