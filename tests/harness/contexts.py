"""Build contexts that need no image registry: their only program is Debian's static busybox."""

from __future__ import annotations

import shutil
from pathlib import Path

BUSYBOX = Path("/bin/busybox")

HEADER = """\
FROM scratch AS base
COPY busybox /bin/busybox
"""


def run(script: str, flags: str = "") -> str:
    """A RUN instruction for a shell script."""
    return f'RUN {flags} ["/bin/busybox", "sh", "-c", {_quoted(script)}]\n'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def make_context(folder: Path, dockerfile: str, **files: str) -> Path:
    """A context with busybox, a Dockerfile and other files."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, folder / "busybox")
    (folder / "Dockerfile").write_text(dockerfile)
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder
