"""What a build waits for before its first step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.builds import Build


@dataclass(frozen=True, slots=True)
class Wait:
    """A part of the time before a build's first step. ``is_over`` is whether that has ended."""

    name: str
    started_at: datetime
    ended_at: datetime
    is_over: bool

    @property
    def duration(self) -> timedelta:
        """How long it took, until now if it isn't over."""
        return self.ended_at - self.started_at


def build_waits(build: Build, first_work_at: datetime | None, now: datetime) -> list[Wait]:
    """The waits of a build, one after the other: first for its turn, then for its machine.

    The queue ends when the build gets a machine. The machine's start ends when the client's first solve begins, so that
    it includes the time that the client takes to connect.

    Args:
        build: whose waits.
        first_work_at: when its first solve or step began; None if none did.
        now: the end of a wait that isn't over.
    """
    begun, over = build.started_at, build.finished_at
    ends = ((build.created_at, "Queue", begun), (begun, "Machine start", first_work_at))
    return [
        Wait(name, since, max(until or over or now, since), (until or over) is not None)
        for since, name, until in ends
        if since is not None
    ]
