"""Which labs and projects are proved as they stand.

`make test` tries the answers to one lab only. `make thorough` tries those to all, and then runs

    python tests/grading/proved.py

which writes into proved.yaml what it tried them on. `test_proved.py` compares: whoever changes a task, its tests or an answer hears of it.
"""

import hashlib
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PROVED = HERE / "proved.yaml"


def fingerprint(name: str) -> str:
    """Return a digest of a lab's or a project's code cells and of the answers that are tried on it; prose does not count."""
    (path,) = (ROOT / "solutions" / name).glob("[lp]*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    parts = [cell.source for cell in cells if cell.cell_type == "code"]
    parts.append((HERE / "mutants" / f"{name}.yaml").read_text(encoding="utf-8"))
    parts.append(str((yaml.safe_load((HERE / "survivors.yaml").read_text(encoding="utf-8")) or {}).get(name)))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def names() -> list[str]:
    """Return the labs and projects that have answers to try."""
    return sorted(path.stem for path in (HERE / "mutants").glob("*.yaml"))


if __name__ == "__main__":
    PROVED.write_text(yaml.safe_dump({name: fingerprint(name) for name in names()}), encoding="utf-8")
