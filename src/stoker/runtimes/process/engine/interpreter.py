"""The Python with which machines run small programs of ours."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def interpreter() -> str:
    """The path of the Python that runs this: the program itself, not a wrapper script.

    In the API's process, which has Python in it, `sys.executable` is the first ``python3`` in PATH. That may be another
    Python, or a version manager's script, which takes longer than what it starts.
    """
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = Path(sys.base_prefix, "bin", name)
    # Of a virtual environment, the Python that it was made with.
    return os.path.realpath(own if os.access(own, os.X_OK) else sys.executable)
