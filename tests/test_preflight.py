"""`resumen doctor --full`: what the full profile needs, told before anything is downloaded."""

import json
import shutil
import threading
from collections import namedtuple
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from resumen import cli, preflight
from resumen.corpus import EMBEDDED_REVIEWS
from resumen.preflight import look_ahead
from resumen.profiles import DATA, PROFILES

FULL = PROFILES["full"]
LIKE_FULL = replace(FULL, checkpoint=PROFILES["tiny"].checkpoint)
"""The full profile with a checkpoint that is here and quick."""


@pytest.fixture(autouse=True)
def _a_home_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(preflight, "get_token", lambda: None)
    monkeypatch.setattr(preflight, "best_device", lambda: "cpu")
    monkeypatch.setenv("RESUMEN_DATA", str(EMBEDDED_REVIEWS))


@pytest.fixture
def hub(monkeypatch):
    """A Hub at loopback that knows one model, and one data set of 3 GB; another data set asks for access."""
    asked = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path.split("?")[0])
            known = {
                "/api/models/google/mt5-small": {"id": "google/mt5-small", "siblings": []},
                "/api/datasets/ana/reviews": {
                    "id": "ana/reviews",
                    "siblings": [{"rfilename": "a", "size": 3_000_000_000}],
                },
            }
            body = json.dumps(known.get(asked[-1], {})).encode()
            self.send_response(200 if asked[-1] in known else 403 if "gated" in asked[-1] else 401)
            if asked[-1] not in known:
                self.send_header("X-Error-Code", "GatedRepo" if "gated" in asked[-1] else "RepoNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield asked
    server.shutdown()
    server.server_close()


def table(rows):
    return {what: (state, advice) for what, state, advice in rows}


def short_of(monkeypatch, disk=10**15, memory=10**15):
    usage = namedtuple("usage", "total used free")(disk, 0, disk)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: namedtuple("memory", "available")(memory))


def test_all_is_there(monkeypatch):
    short_of(monkeypatch)
    rows = table(look_ahead(LIKE_FULL))
    assert not any(advice for _, advice in rows.values()), rows
    assert rows["corpus, es"][0].startswith("train ")
    assert rows["device, precision"][0] == "cpu, fp32"
    steps = 8 * -(-sum(int(rows[f"corpus, {code}"][0].split()[1].replace(",", "")) for code in ("en", "es")) // 8)
    assert f"{steps:,} steps of" in rows["time, an estimate"][0]


def test_a_step_that_runs_out_of_memory(monkeypatch):
    short_of(monkeypatch)

    def too_large(*arguments):
        raise MemoryError

    monkeypatch.setattr(preflight, "_seconds_a_pass", too_large)
    assert "ran out of memory" in table(look_ahead(LIKE_FULL))["time"][0]


def test_a_token_is_told_and_not_shown(monkeypatch):
    monkeypatch.setattr(preflight, "get_token", lambda: "hf_secret")
    short_of(monkeypatch, memory=0)
    said = str(look_ahead(LIKE_FULL))
    assert "present, not tried" in said and "secret" not in said


def test_the_full_profile_before_its_first_download(monkeypatch, hub):
    """mt5-small's shape is known, so room and memory are, too: 300.18 million parameters."""
    short_of(monkeypatch, disk=11 * 10**9, memory=4 * 10**9)
    rows = table(look_ahead())
    assert rows["checkpoint"] == (f"google/mt5-small: to be downloaded from {constants.ENDPOINT}", "")
    assert "/api/models/google/mt5-small" in hub and not any("resolve" in asked for asked in hub)
    state, advice = rows["disk"]
    assert state.startswith("12.0 GB for download and checkpoints of a run in ") and "11.0 GB free" in state
    assert "HF_HOME" in advice and "TMPDIR" in advice
    state, advice = rows["memory"]
    assert (
        state.startswith("at least 4.9 GB for training in batches of 8, 1 at a time, 4.0 GB of this machine free")
        and advice
    )
    assert rows["time"][0].startswith("not estimated")


def test_a_library_for_the_vocabulary_is_missing(monkeypatch, hub):
    short_of(monkeypatch, memory=0)
    monkeypatch.setattr(preflight, "lacking_for_vocabulary", lambda: ["protobuf"])
    assert table(look_ahead())["vocabulary"] == ("protobuf: missing", "pip install protobuf -c constraints.txt")
    assert "vocabulary" not in table(look_ahead(LIKE_FULL))


def test_a_corpus_on_the_hub(monkeypatch, hub):
    short_of(monkeypatch, disk=5 * 10**9, memory=0)
    monkeypatch.setenv("RESUMEN_DATA", "ana/reviews")
    state, advice = table(look_ahead(LIKE_FULL))["corpus"]
    assert "3.00 GB" in state and "make room" in advice
    monkeypatch.setenv("RESUMEN_DATA", "ana/gated")
    assert "given after a consent only" in table(look_ahead(LIKE_FULL))["corpus"][1]
    monkeypatch.setenv("RESUMEN_DATA", "ana/nowhere")
    assert "that your token may read" in table(look_ahead(LIKE_FULL))["corpus"][1]


def test_what_is_missing(monkeypatch, tmp_path):
    short_of(monkeypatch, memory=0)
    monkeypatch.delenv("RESUMEN_DATA")
    rows = table(look_ahead())
    assert "HF_HUB_OFFLINE" in rows["checkpoint"][1]
    assert rows["corpus"] == (
        "RESUMEN_DATA is not set",
        "set RESUMEN_DATA to the folder or data set of your reviews: docs/setup.md, Reviews of your own",
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 does not answer" in table(look_ahead())["checkpoint"][1]
    monkeypatch.setenv("RESUMEN_DATA", str(tmp_path))
    assert f"{tmp_path} holds no file en_train" in table(look_ahead())["corpus, en"][1]


def test_a_corpus_of_other_categories(monkeypatch, tmp_path):
    short_of(monkeypatch, memory=0)
    from resumen.corpus import load_reviews

    for language in ("en", "es"):
        for split, part in load_reviews(language).items():
            part.select(range(20)).map(lambda row: {"product_category": "toy"}).to_parquet(
                tmp_path / f"{language}_{split}.parquet"
            )
    monkeypatch.setenv("RESUMEN_DATA", str(tmp_path))
    state, advice = table(look_ahead(LIKE_FULL))["corpus, en"]
    assert state == "train 20 · validation 20 · test 20" and "no review is in book or digital_ebook_purchase" in advice


def test_a_checkpoint_of_an_unknown_shape(monkeypatch, hub):
    rows = table(look_ahead(replace(FULL, checkpoint="ana/other")))
    assert "that your token may read" in rows["checkpoint"][1] and "disk" not in rows


def test_the_command(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for rows, code in (([("disk", "[much]", "")], 0), ([("disk", "[none]", "make room")], 1)):
        monkeypatch.setattr(preflight, "look_ahead", lambda rows=rows: rows)
        from resumen import doctor

        monkeypatch.setattr(doctor, "diagnose", list)
        result = CliRunner().invoke(cli.app, ["doctor", "--full"])
        assert result.exit_code == code and rows[0][1] in result.output


def test_the_shape_is_that_of_stage_4():
    lecture = (DATA.parents[2] / "stages" / "stage4_trainer" / "lecture.ipynb").read_text(encoding="utf-8")
    shape = preflight.SHAPES["google/mt5-small"]
    for name in ("d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads"):
        assert f'\\"{name}\\": {getattr(shape, name)}' in lecture
