"""The full profile from first to last, offline, with the stand-in of `benchmarks/full.py`: minutes, so `make thorough` runs it."""

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@pytest.mark.timeout(3600)
def test_stage_2_with_a_checkpoint_like_mt5_small(root, tmp_path):
    """The one lecture that shows everything that the published vocabulary has and the embedded one has not."""
    pytest.importorskip("google.protobuf")
    command = [sys.executable, "benchmarks/full.py", "--output", str(tmp_path)]
    command += ["stages/stage2_tokenization/lecture.ipynb"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
