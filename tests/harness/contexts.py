"""Build contexts that need no image registry: their only program is a static busybox."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

ARCHITECTURES = ("amd64", "arm64")
_ROOT = Path(__file__).parents[2]

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


def busybox(architecture: str) -> Path:
    """The static busybox that the set-up puts into the example, fetched now if it could not be had then."""
    kept = _ROOT / "examples" / "hello" / "rootfs" / architecture / "busybox"
    if not kept.exists():
        command = [str(_ROOT / "scripts" / "busybox"), architecture, str(kept)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, f"can't get busybox for {architecture}: {done.stderr[-2000:]}"
    return kept


def make_context(folder: Path, dockerfile: str, **files: str) -> Path:
    """A context with busybox, a Dockerfile and other files."""
    folder.mkdir(parents=True, exist_ok=True)
    native = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    shutil.copy(busybox(native), folder / "busybox")
    (folder / "Dockerfile").write_text(dockerfile)
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def add_busyboxes(context: Path) -> Path:
    """Put the busybox of every architecture into a context."""
    for architecture in ARCHITECTURES:
        shutil.copy(busybox(architecture), context / f"busybox-{architecture}")
    return context


def make_bake(context: Path, targets: int, what: str = "") -> Path:
    """Put a bake file of so many targets into a context, each a Dockerfile of its own with a small step.

    Args:
        context: the folder.
        targets: how many.
        what: stands in each step, so that another bake's isn't the same.
    """
    blocks: list[str] = []
    for number in range(targets):
        (context / f"{number}.Dockerfile").write_text(HEADER + run(f"echo {number} {what} > /number"))
        blocks.append(
            f'target "t{number}" {{\n  context = "."\n  dockerfile = "{number}.Dockerfile"\n'
            f'  output = ["type=cacheonly"]\n}}\n'
        )
    names = ", ".join(f'"t{number}"' for number in range(targets))
    group = f'group "default" {{\n  targets = [{names}]\n}}\n'
    (context / "docker-bake.hcl").write_text(group + "".join(blocks))
    return context
