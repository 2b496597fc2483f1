"""The workflows and issue forms of a fork: their form, the commands that they call, and no address but the fork's own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from resumen.address import read_address

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (FOLDER / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


@pytest.mark.parametrize(("schema", "files"), [("github-workflows", WORKFLOWS), ("github-issue-forms", FORMS)])
def test_form(schema, files):
    pytest.importorskip("check_jsonschema", reason="check-jsonschema needs Python 3.11")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def scripts(path):
    """Return what the steps of a workflow run."""
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_commands(path):
    """Bash can read every step, and what it calls is there."""
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for script in scripts(path):
        plain = re.sub(r"\$\{\{.*?\}\}", "value", script)
        assert subprocess.run(["bash", "-n"], input=plain, text=True, capture_output=True).stderr == ""
        assert set(re.findall(r"^make (\w+)", script, flags=re.MULTILINE)) <= set(targets)
        assert ".ci/run" not in script or (ROOT / ".ci" / "run").is_file()


def test_the_address_stands_in_no_file():
    """GitHub tells a workflow where it runs, so a fork has nothing to change."""
    address = read_address(ROOT)
    for path in [*WORKFLOWS, *FORMS]:
        assert f"{address.owner}/" not in path.read_text(encoding="utf-8")
