"""What makes the checkpoint: its text holds no title and nothing held out, its tokenizer is made again, its tasks and its training do what they say."""

import random
from pathlib import Path

import pytest
import torch

from resumen.authoring import checkpoint, prose
from resumen.authoring.checkpoint import Batches, Schedule, Tasks, Text
from resumen.corpus import LANGUAGES, SPLITS, load_literary, load_reviews, load_synopses, normalized_body
from resumen.modeling import load_checkpoint
from resumen.projects.capstone.contract import EMBEDDED_HELP, read_corpus
from resumen.text import tokenize_words

PROSE = Path("/")
"""Where the packages of the prose would be installed: without them, the rest of the text is tested."""


@pytest.fixture(scope="module")
def tokenizer():
    return load_checkpoint()[0]


@pytest.fixture(scope="module")
def texts():
    root = PROSE if all((PROSE / "usr/share/doc" / name).is_dir() for name in prose.PACKAGES) else None
    return checkpoint.pretraining_texts(root, composed=6_000)


def runs_of_eight(text):
    words = tokenize_words(text)
    return {" ".join(words[start : start + 8]) for start in range(len(words) - 7)}


@pytest.mark.slow
@pytest.mark.thorough
class TestText:
    def test_every_source_is_there(self, texts):
        found = {(text.source, text.language) for text in texts}
        assert found >= {(source, language) for source in ("reviews", "composed") for language in LANGUAGES}

    def test_it_holds_no_title(self, texts):
        """Neither alone nor before or behind a body, in any split of the reviews and the synopses."""
        bodies = {normalized_body(text.body) for text in texts}
        for language in LANGUAGES:
            for rows in (*load_reviews(language).values(), load_literary(language), *load_synopses(language).values()):
                for title, body in zip(rows["review_title"][:], rows["review_body"][:], strict=True):
                    if title and body and title.strip():
                        title, body = normalized_body(title), normalized_body(body)
                        assert title not in bodies
                        assert not {f"{title} {body}", f"{title}. {body}", f"{body} {title}"} & bodies

    def test_no_held_out_body_shares_half_of_its_8_grams(self, texts):
        """Counted here once more, with other code than the script's."""
        known = set().union(*(runs_of_eight(text.body) for text in texts))
        for language in LANGUAGES:
            parts = [load_reviews(language), load_synopses(language)]
            held_out = [
                body for part in parts for split in ("validation", "test") for body in part[split]["review_body"][:]
            ]
            held_out += load_literary(language)["review_body"][:]
            assert len(held_out) > 1_000
            for body in held_out:
                runs = runs_of_eight(body or "")
                assert not runs or 2 * len(runs & known) < len(runs), body

    def test_no_help_page_of_the_capstone_does(self, texts):
        known = set().union(*(runs_of_eight(text.body) for text in texts))
        for source in read_corpus([EMBEDDED_HELP])["source"]:
            runs = runs_of_eight(source)
            assert 2 * len(runs & known) < len(runs), source

    def test_no_description_of_the_premier_project_does(self, texts):
        """All of them: the project splits its sources anew."""
        known = set().union(*(runs_of_eight(text.body) for text in texts))
        premier = prose.shared_sources()
        assert len(premier) > 500
        for language in LANGUAGES:
            for split in SPLITS:
                rows = load_synopses(language)[split]
                for source, body in zip(rows["product_id"][:], rows["review_body"][:], strict=True):
                    runs = runs_of_eight(body)
                    assert source not in premier or not runs or 2 * len(runs & known) < len(runs), body

    def test_no_description_of_the_premier_project_is_read(self):
        """Spanish descriptions all belong to it, but for a few."""
        counts = {language: sum(1 for _ in prose.descriptions(language)) for language in LANGUAGES}
        assert counts["en"] > 5_000
        assert counts["es"] < 100


@pytest.mark.slow
@pytest.mark.thorough
def test_the_tokenizer_is_the_one_from_its_texts(tmp_path):
    tokenizer = checkpoint.train_tokenizer(checkpoint.tokenizer_bodies())
    tokenizer.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        same = (tmp_path / name).read_bytes() == (checkpoint.FOLDER / name).read_bytes()
        assert same, f"data/mt5-tiny/{name} is not the one that resumen.authoring.checkpoint trains on this corpus"


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Puede buscar texto en los documentos y en las tablas.", "es", True),
        ("You can search for text in the documents and in tables.", "es", False),
        ("You can search for text in the documents and in tables.", "en", True),
        ("LibreOffice Writer", "en", False),
    ],
)
def test_in_language(text, language, expected):
    assert prose.in_language(text, language) == expected


def test_passages_are_whole_sentences():
    sentences = [f"This is the sentence with the number {number} of this long page." for number in range(40)]
    found = list(prose.passages([" ".join(sentences)], "en", random.Random(1)))
    assert " ".join(found).startswith(sentences[0])
    for passage in found:
        assert prose.SHORTEST <= len(passage.split()) <= prose.LONGEST
        assert passage in " ".join(sentences)
        assert passage.endswith("page.")


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 12, 40, 72])
@pytest.mark.parametrize("seed", range(10))
def test_corrupt_loses_no_token(length, seed):
    ids, sentinels, eos = list(range(10, 10 + length)), list(range(100, 200)), 1
    example = checkpoint.corrupt(ids, sentinels, eos, random.Random(seed))
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
    assert sum(map(len, hidden.values())) == max(1, round(length * checkpoint.CORRUPTION))


class TestTasks:
    BODY = "The print is far too small for me, and the binding broke in a week. Not worth it. I sent the book back."

    @pytest.fixture(scope="class")
    def tasks(self, tokenizer):
        return Tasks(tokenizer, tokenizer([self.BODY] * 3, add_special_tokens=False)["input_ids"])

    @pytest.fixture(scope="class")
    def ids(self, tokenizer):
        return tokenizer(self.BODY, add_special_tokens=False)["input_ids"]

    def parts(self, tasks, labels):
        """Return {mark: answer}; the answer at the front has the mark None."""
        found, mark = {None: []}, None
        for token in labels[:-1]:
            if token in tasks.sentinels:
                found[mark := token] = []
            else:
                found[mark].append(token)
        return found

    def test_where_nothing_is_hidden_a_sentinel_is_the_answer(self, tasks, ids):
        example = tasks.example(ids, random.Random(1), "nothing")
        assert example == {"input_ids": [*ids, tasks.eos], "labels": [tasks.sentinels[0], tasks.eos]}

    @pytest.mark.parametrize("seed", range(20))
    def test_marks_are_answered_in_their_order(self, tasks, ids, seed):
        example = tasks.example(ids, random.Random(seed), "marks")
        asked = [token for token in example["input_ids"] if token in tasks.sentinels and token != tasks.end]
        answers = self.parts(tasks, example["labels"])
        assert answers.pop(None) == []
        assert list(answers) == asked
        # With every hidden answer put back and the marks taken out, the text is whole again.
        restored = [
            token
            for place in example["input_ids"]
            for token in (answers[place] if place in tasks.marks["hidden"] else [place])
            if token not in tasks.sentinels
        ]
        assert restored == [*ids, tasks.eos]

    @pytest.mark.parametrize("seed", range(20))
    def test_a_repeated_phrase_is_the_one_between_its_marks(self, tasks, ids, seed):
        example = tasks.example(ids, random.Random(seed), "marks")
        for mark, answer in self.parts(tasks, example["labels"]).items():
            if mark in tasks.marks["repeat"]:
                after = example["input_ids"][example["input_ids"].index(mark) + 1 :]
                assert after[: after.index(tasks.end)] == answer

    @pytest.mark.parametrize("seed", range(20))
    def test_no_answer_cuts_a_word(self, tasks, ids, tokenizer, seed):
        words = set(tokenize_words(self.BODY))
        for task in ("marks", "key phrase", "short sentence"):
            for answer in self.parts(tasks, tasks.example(ids, random.Random(seed), task)["labels"]).values():
                assert set(tokenize_words(tokenizer.decode(answer))) <= words

    @pytest.mark.parametrize("seed", range(5))
    def test_a_short_sentence_is_taken_out(self, tasks, ids, tokenizer, seed):
        example = tasks.example(ids, random.Random(seed), "short sentence")
        answer = tokenizer.decode(self.parts(tasks, example["labels"])[None]).strip()
        assert answer in ("Not worth it", "I sent the book back")
        assert example["input_ids"][0] == tasks.short_sentence
        left = tokenizer.decode([token for token in example["input_ids"] if token not in tasks.sentinels])
        assert answer not in left

    @pytest.mark.parametrize("seed", range(5))
    def test_a_key_phrase_is_written_as_a_title(self, tasks, ids, tokenizer, seed):
        example = tasks.example(ids, random.Random(seed), "key phrase")
        answer = tokenizer.decode(self.parts(tasks, example["labels"])[None]).strip()
        assert answer.casefold() in self.BODY.casefold()
        assert answer[0].isupper()


def test_an_untrained_model_can_copy(tokenizer):
    """Given its input's first tokens as what it has written, it expects the next ones: `wire_for_copying` did its work."""
    model = checkpoint.new_model(tokenizer).eval()
    ids = torch.stack([torch.randperm(3000)[:24] + 10 for _ in range(8)])
    with torch.no_grad():
        expected = model(input_ids=ids, decoder_input_ids=ids[:, :-1]).logits.argmax(-1)
    assert (expected == ids[:, 1:]).float().mean() > 0.5


def test_the_rate_rises_stays_and_falls():
    schedule = Schedule(steps=5_000, decay=1_000)
    rates = [schedule.rate(step) for step in (0, checkpoint.WARMUP_STEPS, 4_000, 4_500, 4_999)]
    assert rates == pytest.approx([1 / checkpoint.WARMUP_STEPS, 1, 1, 0.5, 0.01])


@pytest.mark.slow
@pytest.mark.thorough
class TestTraining:
    @pytest.fixture(scope="class")
    def some_texts(self):
        return [
            Text("reviews", language, body)
            for language in LANGUAGES
            for body in checkpoint.train_bodies(language)[::40]
        ]

    @pytest.fixture(autouse=True)
    def small_steps(self, monkeypatch):
        for name, value in {"BATCH_TOKENS": 300, "SAVE_EVERY": 10, "LOG_EVERY": 20, "WARMUP_STEPS": 20}.items():
            monkeypatch.setattr(checkpoint, name, value)

    def run(self, tokenizer, texts, schedule, folder):
        model = checkpoint.new_model(tokenizer)
        batches = Batches(texts, tokenizer)
        return model, checkpoint.pretrain(model, tokenizer, batches, schedule, folder, report=lambda *_, **__: None)

    def test_it_learns(self, tokenizer, some_texts, tmp_path):
        _, log = self.run(tokenizer, some_texts, Schedule(100, 40), tmp_path)
        assert [entry["step"] for entry in log] == [20, 40, 60, 80, 100]
        assert log[-1]["loss"] < log[0]["loss"]

    def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(self, tokenizer, some_texts, tmp_path, monkeypatch):
        whole, log = self.run(tokenizer, some_texts, Schedule(40, 10), tmp_path / "whole")
        draw, drawn = Batches.draw, []

        def stop(self, step):
            if step == 27 and 27 not in drawn:
                drawn.append(step)
                raise KeyboardInterrupt
            drawn.append(step)
            return draw(self, step)

        monkeypatch.setattr(Batches, "draw", stop)
        with pytest.raises(KeyboardInterrupt):
            self.run(tokenizer, some_texts, Schedule(40, 10), tmp_path / "stopped")
        stopped, again = self.run(tokenizer, some_texts, Schedule(40, 10), tmp_path / "stopped")
        assert drawn[28] == 20
        assert again[-1]["step"] == log[-1]["step"] == 40
        for weight, other in zip(whole.parameters(), stopped.parameters(), strict=True):
            assert torch.allclose(weight, other)

    def test_a_longer_run_goes_on_from_before_the_rate_fell(self, tokenizer, some_texts, tmp_path):
        self.run(tokenizer, some_texts, Schedule(40, 10), tmp_path)
        said = []
        checkpoint.pretrain(
            checkpoint.new_model(tokenizer),
            tokenizer,
            Batches(some_texts, tokenizer),
            Schedule(60, 10),
            tmp_path,
            report=lambda line, **_: said.append(line),
        )
        assert said[0] == "goes on after step 30"
