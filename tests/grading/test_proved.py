"""No lab and no project has changed since all its answers were tried."""

import pytest
import yaml
from proved import PROVED, fingerprint, names


@pytest.mark.parametrize("name", names())
def test_it_is_as_it_was_proved(name):
    proved = yaml.safe_load(PROVED.read_text(encoding="utf-8"))
    assert fingerprint(name) == proved.get(name), f"{name} has changed: run `make thorough` and commit {PROVED.name}"
