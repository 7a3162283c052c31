"""How much the volumes of untrusted builds may grow: by a part of what is free, whatever their projects' policies say.

Whoever can open a pull request can run such a build, and it may last for a day. So all those of a project together
take no more than a part of what is free, and of the rest another project's take a part again: something is always left.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class UntrustedVolume:
    """The volume of one untrusted build's machine.

    Attributes:
        volume_id: the volume.
        project_id: whose build it is.
        keep_bytes: what the project's cache policy keeps.
    """

    volume_id: str
    project_id: str
    keep_bytes: int


@dataclass(frozen=True, slots=True)
class Fill:
    """How full such a volume is, in bytes.

    Attributes:
        volume: the volume.
        used: all that it refers to, parts of the project's cache too.
        own: what only it refers to, which is what its build wrote.
    """

    volume: UntrustedVolume
    used: int
    own: int


def allowances(fills: Sequence[Fill], free: int, share: float) -> dict[str, int]:
    """How much more the untrusted builds of each project may write, in bytes, by the projects' ids.

    Args:
        fills: all such volumes.
        free: the bytes that are free for builds.
        share: the part of it that they may take.
    """
    written: defaultdict[str, int] = defaultdict(int)
    for fill in fills:
        written[fill.volume.project_id] += fill.own
    # What a project wrote counts as if it were free, so that its bound stays where it is while it writes.
    return {project: max(0, int((max(free, 0) + own) * share / len(written)) - own) for project, own in written.items()}


def caps(fills: Sequence[Fill], free: int, share: float, headroom: int) -> dict[str, int]:
    """The cap of each volume, in bytes, by the volumes' ids: never more than its project's policy and the headroom."""
    allowed = allowances(fills, free, share)
    volumes: defaultdict[str, int] = defaultdict(int)
    for fill in fills:
        volumes[fill.volume.project_id] += 1
    return {
        fill.volume.volume_id: min(
            max(fill.used, fill.volume.keep_bytes + headroom),
            fill.used + allowed[fill.volume.project_id] // volumes[fill.volume.project_id],
        )
        for fill in fills
    }
