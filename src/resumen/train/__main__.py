"""The command: read the arguments, run the loop, turn a mistake into one sentence."""

import contextlib
import io
import os
import sys

from resumen.errors import CourseError
from resumen.profiles import current_profile
from resumen.setup import setup
from resumen.train.arguments import parse_arguments
from resumen.train.loop import run


def main(arguments: list[str] | None = None) -> int:
    """Run the script; a wrong argument costs one sentence on stderr and exit code 1."""
    is_main = os.environ.get("RANK", "0") == "0"
    try:
        options = parse_arguments(arguments, current_profile())
        # accelerator.print speaks once on every machine; one of them is enough.
        with contextlib.nullcontext() if is_main else contextlib.redirect_stdout(io.StringIO()):
            run(options, setup("stage5_accelerate"))
    except CourseError as error:
        if is_main:
            print(f"train: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
