"""Is there a person in front of this notebook, or does a program run it?"""

import os
import sys


def reader_present() -> bool:
    """Say whether the running cell was started by a person, in JupyterLab, Colab or VS Code."""
    from IPython import get_ipython

    shell = get_ipython()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return False
    # nbclient, nbval and nbgrader forbid a cell to ask for input, as nobody would answer. They may have been started from a
    # notebook, and then have its environment: so this is asked first.
    if not kernel.get_parent("shell").get("content", {}).get("allow_stdin"):
        return False
    # JPY_SESSION_NAME is what a Jupyter server gives its kernels.
    return bool(
        os.environ.get("JPY_SESSION_NAME") or "google.colab" in sys.modules or "__vsc_ipynb_file__" in shell.user_ns
    )
