"""A volume: a project's cache for one platform, which outlives its machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.platforms import Platform


class VolumeState(StrEnum):
    """ACTIVE is the one that the next start uses; DELETING waits until its data are gone.

    One that is to stay for a while before it is deleted may become ACTIVE again: see `services.moved_caches`.
    """

    ACTIVE = "active"
    DELETING = "deleting"
    DELETED = "deleted"


TRANSITIONS: frozenset[tuple[VolumeState, VolumeState]] = frozenset(
    {
        (VolumeState.ACTIVE, VolumeState.DELETING),
        (VolumeState.DELETING, VolumeState.ACTIVE),
        (VolumeState.DELETING, VolumeState.DELETED),
    }
)


def states_before(target: VolumeState) -> frozenset[VolumeState]:
    """The states from which a volume may come to ``target``."""
    return frozenset(before for before, after in TRANSITIONS if after is target)


@dataclass(frozen=True, slots=True)
class Volume:
    """The cache of one (project, platform), or what one untrusted build (``build_id``) has in its place.

    ``to_copy`` names the volume that it is to be a snapshot of, until that is made.
    """

    id: str
    project_id: str
    platform: Platform
    region_id: str
    state: VolumeState
    failures: int
    retry_at: datetime | None
    build_id: str | None = None
    to_copy: str | None = None
