"""The mount table of this process's mount namespace (proc(5), /proc/PID/mountinfo)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line: where, what (``kind``, made of ``source``), and which folder of it (``root``) on which other mount."""

    id: int
    parent: int
    root: Path
    point: Path
    kind: str
    source: str


def read_mount_table() -> str:
    """The table as the kernel shows it."""
    return Path("/proc/self/mountinfo").read_text(errors="surrogateescape")


def mount_table(text: str) -> list[Mount]:
    """Read the table, in the order in which things were mounted."""
    found: list[Mount] = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        kind, source, _ = after.split(" ", 2)
        root, point = Path(_decoded(fields[3])), Path(_decoded(fields[4]))
        found.append(Mount(int(fields[0]), int(fields[1]), root, point, kind, _decoded(source)))
    return found


def mounts_at(folder: Path) -> list[Mount]:
    """What is mounted at a folder; the last is what is seen there."""
    point = folder.resolve()
    return [mount for mount in mount_table(read_mount_table()) if mount.point == point]


def is_bound_to_itself(mount: Mount) -> bool:
    """Whether a mount shows the very folder that it hides."""
    below = next((one for one in mount_table(read_mount_table()) if one.id == mount.parent), None)
    if below is None or not mount.point.is_relative_to(below.point):
        return False
    return mount.root == below.root / mount.point.relative_to(below.point)


def _decoded(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), text)
