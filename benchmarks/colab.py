"""What Colab does, as far as it can be done here: install the course from a wheel by the first cell of a notebook, and run it all.

    make colab                                                                      # every notebook: an hour or so
    .venv/bin/python benchmarks/colab.py stages/primer.ipynb labs/*/lab.ipynb       # some

The wheel stands for the tagged repository. The virtual environment is a fresh one with a kernel and nothing else, the folder of
each notebook is empty, and `resumen` is taken out again before each, so that every install cell has to install it. Its
libraries stay, or each notebook would take minutes more. The versions are those of constraints.txt, which Colab does not read.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from resumen.address import read_address

ROOT = Path(__file__).parents[1]
EVERY = [path for top in ("stages", "labs", "quizzes", "capstone") for path in sorted((ROOT / top).rglob("*.ipynb"))]


KERNEL = "as-on-colab"


def build_wheel(folder: Path) -> Path:
    """Build the wheel of the files that are committed or staged, say how large it is, and return it."""
    copy = folder / "course"
    subprocess.run(["git", "checkout-index", "--all", f"--prefix={copy}/"], cwd=ROOT, check=True)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(copy)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
    return wheel


def make_environment(folder: Path) -> Path:
    """Make a virtual environment with a kernel and nothing else, and return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "ipykernel"], check=True)
    # A name of its own: `python3` would be the interpreter that this script runs on.
    subprocess.run([str(python), "-m", "ipykernel", "install", "--prefix", str(folder), "--name", KERNEL], check=True)
    return python


def run(path: Path, wheel: Path, python: Path, folder: Path) -> str:
    """Run a notebook in an empty folder and return what became of it, in a few words."""
    subprocess.run([str(python), "-m", "pip", "uninstall", "--quiet", "--yes", "resumen"], check=True)
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("kernelspec", None)
    address = read_address(ROOT)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    source = first.source.replace(f"git+{address.url}@{address.tag}", wheel.as_uri())
    if source == first.source:
        return "its first cell does not install the course"
    first.source = source
    folder.mkdir()
    start = time.perf_counter()
    client = NotebookClient(notebook, timeout=1200, kernel_name=KERNEL, resources={"metadata": {"path": str(folder)}})
    try:
        client.execute()
    except CellExecutionError as error:
        return f"failed: {error.ename}: {error.evalue}"
    if subprocess.run([str(python), "-m", "pip", "show", "--quiet", "resumen"]).returncode:
        return "ran, but did not install the course"
    return f"ran to its end in {time.perf_counter() - start:.0f} s"


def main(paths: list[Path]) -> int:
    """Run the notebooks, print a line for each, and return how many did not run."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="colab-") as name:
        folder = Path(name)
        os.environ["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
        wheel, python = build_wheel(folder), make_environment(folder / "environment")
        # The kernel of that environment, and no other; nothing of this one or of the repository is on its path.
        os.environ.update(JUPYTER_PATH=str(folder / "environment" / "share" / "jupyter"), RESUMEN_QUICK="1")
        for variable in ("PYTHONPATH", "RESUMEN_DATA", "RESUMEN_PROFILE"):
            os.environ.pop(variable, None)
        os.environ.setdefault("IPYTHONDIR", str(folder / "ipython"))
        for number, path in enumerate(paths):
            outcome = run(path.resolve(), wheel, python, folder / f"empty{number}")
            failed += not outcome.startswith("ran to its end")
            print(f"{path.resolve().relative_to(ROOT)}: {outcome}", flush=True)
        shutil.rmtree(folder / "environment")
    return failed


if __name__ == "__main__":
    sys.exit(bool(main([Path(one) for one in sys.argv[1:]] or EVERY)))
