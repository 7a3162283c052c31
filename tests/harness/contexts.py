"""Build contexts that need no image registry: their only program is Debian's static busybox."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
FETCH_BUSYBOX = Path(__file__).parents[2] / "scripts" / "busybox"
ARCHITECTURES = ("amd64", "arm64")

HEADER = """\
FROM scratch AS base
COPY busybox /bin/busybox
"""

# Takes the busybox of the architecture that is built for; see `add_busyboxes`.
FOREIGN_HEADER = """\
FROM scratch AS base
ARG TARGETARCH
COPY busybox-${TARGETARCH} /bin/busybox
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


def add_busyboxes(context: Path, cache: Path) -> Path:
    """Put the busybox of every architecture into a context; foreign ones come from Debian's archive, once."""
    for architecture in ARCHITECTURES:
        kept = cache / "tests" / f"busybox-{architecture}"
        if not kept.exists():
            done = subprocess.run(
                [str(FETCH_BUSYBOX), architecture, str(kept)], capture_output=True, text=True, timeout=240, check=False
            )
            assert done.returncode == 0, f"can't get busybox for {architecture}: {done.stderr[-2000:]}"
        shutil.copy(kept, context / kept.name)
    return context
