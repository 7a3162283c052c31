"""A build's duration and the work of its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from stoker.domain.builds import BuildStatus
    from stoker.domain.steps import Step


@dataclass(frozen=True, slots=True)
class BuildWork:
    """The steps of a build, summed up. A step that several solves share counts once.

    Attributes:
        steps: how many.
        cached_steps: how many of them were cached.
        work: the sum of the durations of steps that ran.
        begun_at: when the first step began; None if none did.
        ended_at: the latest end of a step.
        saved: how long the cached steps took when they last ran.
    """

    steps: int = 0
    cached_steps: int = 0
    work: timedelta = timedelta(0)
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    saved: timedelta = timedelta(0)

    @property
    def span(self) -> timedelta | None:
        """From the first step's start to the last one's end; None until both are known."""
        if self.begun_at is None or self.ended_at is None or self.ended_at < self.begun_at:
            return None
        return self.ended_at - self.begun_at

    @property
    def parallelism(self) -> float | None:
        """How many steps ran at once, on average; None if no time passed."""
        return self.work / self.span if self.span else None

    @property
    def cache_share(self) -> float | None:
        """The share of cached steps; None if there are no steps."""
        return self.cached_steps / self.steps if self.steps else None


def with_running(work: BuildWork, running: Sequence[Step], now: datetime) -> BuildWork:
    """The same with what running steps have done until now."""
    if not running:
        return work
    done = sum((now - step.started_at for step in running if step.started_at and step.started_at < now), timedelta(0))
    return replace(work, work=work.work + done, ended_at=max(now, work.ended_at or now))


@dataclass(frozen=True, slots=True)
class BuildTrend:
    """A build of a project, for comparison with others.

    Attributes:
        work: None if it is not recorded, or not yet.
        duration: from the first endpoint to the end.
    """

    build_id: str
    status: BuildStatus
    created_at: datetime
    duration: timedelta | None
    steps: int | None
    cached_steps: int | None
    work: timedelta | None
    saved: timedelta
    title: str = ""

    @property
    def cache_share(self) -> float | None:
        """The share of cached steps."""
        return self.cached_steps / self.steps if self.steps and self.cached_steps is not None else None
