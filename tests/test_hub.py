"""The Hub, end to end against the double: download, upload, card, tokens, and connections that break."""

import os
import re
import shutil
import subprocess
import sys
import time

import datasets
import nbformat
import pytest
import torch
from hub_double import HubDouble
from huggingface_hub import ModelCard, constants
from huggingface_hub.utils import _http
from typer.testing import CliRunner

from resumen import cli
from resumen.corpus import COLUMNS
from resumen.hub import files_to_publish, publish, repository_name
from resumen.modeling import load_checkpoint, model_card
from resumen.profiles import DATA, PROFILES

TINY = DATA / "mt5-tiny"
SCORES = {"en": {"rouge1": 16.97}, "es": {"rouge1": 15.1}}
NAMES = "README.md config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json".split()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The double, where huggingface_hub looks for the Hub, with the token of ana. The cache is empty, and nobody waits before a retry."""
    with HubDouble() as double:
        template = double.url + "/{repo_id}/resolve/{revision}/{filename}"
        values = {
            "ENDPOINT": double.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": template,
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
        }
        for name, value in values.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", double.url)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(
            "transformers.utils.hub._hf_api", None
        )  # it keeps the address of the Hub that it has seen first
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        monkeypatch.setenv("HF_TOKEN", "hf_write")
        yield double
    _http.close_session()


@pytest.fixture
def folder(tmp_path):
    """A checkpoint as `save_model` leaves it, with a model card and with files that are nobody's business."""
    folder = tmp_path / "final"
    shutil.copytree(TINY, folder)
    (folder / "README.md").write_text(
        model_card(SCORES, "google/mt5-small", ["en", "es"], "cc-by-4.0"), encoding="utf-8"
    )
    (folder / "training_args.bin").write_bytes(b"a pickle")
    (folder / ".env").write_text("HF_TOKEN=secret")
    (folder / "checkpoint-7").mkdir()
    (folder / "checkpoint-7" / "optimizer.pt").write_bytes(b"moments")
    return folder


def test_a_checkpoint_goes_up_and_comes_back(hub, folder):
    """What the stages say: publish in the background, and load it as a stranger would, by its name."""
    upload = publish(folder, "titles", background=True)
    assert re.fullmatch(rf"{hub.url}/ana/titles/commit/\w{{40}}", upload.result(timeout=60))
    stored = hub.repositories["model", "ana/titles"]
    assert stored.private and sorted(stored.files) == NAMES
    assert ModelCard.load("ana/titles").data.license == "cc-by-4.0"
    (tokenizer, model), (ours, mine) = load_checkpoint("ana/titles"), load_checkpoint(TINY)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), mine.parameters(), strict=True))
    text = "El libro llegó roto."
    assert tokenizer(text)["input_ids"] == ours(text)["input_ids"]
    before = len(hub.asked("GET /storage"))
    load_checkpoint("ana/titles")
    assert len(hub.asked("GET /storage")) == before == 1, "the second time it comes from the cache"


def test_the_cell_of_the_lecture(hub, root, tmp_path, capsys):
    """Stage 4 leaves the upload off. Switched on, its cell writes a card that will do, and uploads."""
    notebook = nbformat.read(root / "stages" / "stage4_trainer" / "lecture.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if "PUSH = False" in cell.source]
    shutil.copytree(TINY, tmp_path / "final")
    names = {"final": tmp_path / "final", "profile": PROFILES["full"]}
    exec(cell.source, dict(names))
    assert capsys.readouterr().out == cell.outputs[0].text and not hub.repositories
    exec(cell.source.replace("PUSH = False", "PUSH = True"), dict(names))
    assert "/ana/mt5-review-titles/commit/" in capsys.readouterr().out
    assert b"base_model: google/mt5-small" in hub.repositories["model", "ana/mt5-review-titles"].files["README.md"]


def test_push_to_hub_of_the_libraries(hub):
    """The tutorials' own way: one call for the model, one for the tokenizer."""
    tokenizer, model = load_checkpoint(TINY)
    model.push_to_hub("pushed", private=True)
    tokenizer.push_to_hub("pushed")
    assert {"model.safetensors", "tokenizer.json"} <= set(hub.repositories["model", "ana/pushed"].files)
    assert load_checkpoint("ana/pushed")[1].num_parameters() == model.num_parameters()


def test_a_data_set_comes_from_the_hub_and_goes_there(hub, tmp_path):
    source = tmp_path / "reviews"
    source.mkdir()
    for split in ("validation", "test"):
        shutil.copy(DATA / "reviews" / f"en_{split}.parquet", source)
    hub.add("luis/reviews", source, "dataset")
    files = {split: f"en_{split}.parquet" for split in ("validation", "test")}
    reviews = datasets.load_dataset("luis/reviews", data_files=files, cache_dir=str(tmp_path / "datasets"))
    assert set(reviews) == set(files) and reviews["test"].column_names == list(COLUMNS)
    reviews["test"].select(range(20)).push_to_hub("ana/few", private=True)
    assert len(datasets.load_dataset("ana/few", split="test", cache_dir=str(tmp_path / "datasets"))) == 20


def test_an_interrupted_upload_goes_on(hub, folder, course_error):
    with hub.breaking("PUT /storage"), course_error("ana/titles", "interrupted", "run the same again"):
        publish(folder, "titles")
    assert not hub.repositories["model", "ana/titles"].files, "nothing half is seen"
    with hub.breaking("POST /api/models/ana/titles/commit"), course_error("interrupted"):
        publish(folder, "titles", background=True).result(timeout=60)
    sent = len(hub.asked("PUT /storage"))
    publish(folder, "titles")
    assert len(hub.asked("PUT /storage")) == sent, "the weights had arrived"
    assert sorted(hub.repositories["model", "ana/titles"].files) == NAMES
    publish(folder, "titles")
    assert len(hub.repositories["model", "ana/titles"].commits) == 1, "what has not changed is no new commit"


def test_an_interrupted_download_goes_on(hub, monkeypatch, course_error):
    """Within a call from where it broke off; files that had come whole stay, when the call is given up."""
    hub.add("ana/tiny", TINY)
    with hub.breaking("GET /storage"), course_error("ana/tiny"):
        load_checkpoint("ana/tiny")
    hub.requests.clear()
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)  # what has arrived is counted in pieces of this size
    with hub.breaking("GET /storage", times=1):
        load_checkpoint("ana/tiny")
    _, again = hub.asked("GET /storage")
    assert re.search(r"bytes=[1-9]\d+-", again)
    assert not [request for request in hub.asked("GET /ana/tiny/resolve") if request.endswith("tokenizer.json")]


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, ["no token", "hf auth login"]),
        ("hf_unknown", ["does not know your token", "hf auth login"]),
        ("hf_read", ["only for reading", "ana/titles"]),
        ("hf_fine", ["may not write to ana/titles"]),
        ("hf_luis", ["may not write to ana/titles"]),
    ],
)
def test_a_token_that_will_not_do(hub, folder, monkeypatch, course_error, token, words):
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    with course_error(*words):
        publish(folder, "ana/titles")
    assert not hub.repositories and not hub.asked("PUT")


@pytest.mark.parametrize("token", [None, "hf_unknown", "hf_luis"])
def test_a_private_checkpoint_and_a_token_that_will_not_do(hub, monkeypatch, course_error, token):
    hub.add("ana/secret", TINY, private=True)
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    with course_error("ana/secret", "token"):
        load_checkpoint("ana/secret")
    monkeypatch.setenv("HF_TOKEN", "hf_read")
    assert load_checkpoint("ana/secret")


def test_folders_that_cannot_be_published(folder, tmp_path, course_error):
    assert [path.name for path in files_to_publish(folder)] == NAMES
    card = folder / "README.md"
    for text, words in {
        "# No head\n": ["license", "README.md"],
        "---\nlicense: mit\n---\n": ["base_model"],
        "---\nlicense: [mit\n---\n": ["not YAML"],
    }.items():
        card.write_text(text, encoding="utf-8")
        with course_error(*words):
            files_to_publish(folder)
    card.rename(folder / "MODEL_CARD.md")
    with course_error("README.md", "copy MODEL_CARD.md"):
        files_to_publish(folder)
    (folder / "MODEL_CARD.md").unlink()
    with course_error("README.md", "model_card"):
        files_to_publish(folder)
    (folder / "tokenizer.json").unlink()
    with course_error("tokenizer.json"):
        files_to_publish(folder)
    with course_error("nowhere"):
        files_to_publish(tmp_path / "nowhere")


def test_names(hub, monkeypatch, course_error):
    assert repository_name("titles") == "ana/titles" and repository_name("club/titles") == "club/titles"
    for name in ("a b", "../x", "a/b/c", ""):
        with course_error("name of a repository"):
            repository_name(name)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with course_error("HF_HUB_OFFLINE"):
        repository_name("titles")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with course_error("127.0.0.1:9", "cannot be asked"):
        repository_name("titles")


def test_the_command(hub, folder):
    def resumen(*options):
        return CliRunner().invoke(cli.app, ["publish", str(folder), "--to", "ana/titles", *options])

    looked = resumen()
    assert looked.exit_code == 0 and "model.safetensors  3.7 MB" in looked.output and "--push" in looked.output
    assert not hub.repositories, "without the flag nothing is written"
    pushed = resumen("--push", "--public")
    assert pushed.exit_code == 0 and "/ana/titles/commit/" in pushed.output
    assert not hub.repositories["model", "ana/titles"].private


@pytest.mark.slow
@pytest.mark.thorough
def test_a_login_and_the_command_as_processes_of_their_own(folder, tmp_path):
    """`HF_ENDPOINT` is read when the libraries are imported; the login is theirs, and the exit code is ours."""
    with HubDouble() as hub:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
        }
        for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
            environment.pop(name, None)

        def run(*command):
            return subprocess.run([sys.executable, "-m", *command], env=environment, capture_output=True, text=True)

        command = ["resumen.cli", "publish", str(folder), "--to", "titles", "--push"]
        refused = run(*command)
        assert refused.returncode == 1 and not hub.repositories
        (line,) = refused.stderr.strip().splitlines()
        assert line.startswith("resumen: There is no token") and "hf auth login" in line
        login = run("huggingface_hub.cli.hf", "auth", "login", "--token", "hf_write")
        assert login.returncode == 0, login.stderr
        done = run(*command)
        assert done.returncode == 0 and f"{hub.url}/ana/titles/commit/" in done.stdout, done.stderr
        assert sorted(hub.repositories["model", "ana/titles"].files) == NAMES
