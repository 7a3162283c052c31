"""How long a build took against how much work it did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.builds import BuildStatus


@dataclass(frozen=True, slots=True)
class BuildWork:
    """What the steps of a build were, all in all. A step that several of its solves share counts once.

    Attributes:
        steps: how many.
        cached_steps: how many of them came from the cache.
        work: the durations of the steps that were done, added up.
        begun_at: when the first step began; None when none did.
        ended_at: when the last one ended that has.
        saved: what the cached steps took when they were last done.
    """

    steps: int = 0
    cached_steps: int = 0
    work: timedelta = timedelta(0)
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    saved: timedelta = timedelta(0)

    @property
    def span(self) -> timedelta | None:
        """From the first step's begin to the last one's end; None before there are both."""
        if self.begun_at is None or self.ended_at is None or self.ended_at < self.begun_at:
            return None
        return self.ended_at - self.begun_at

    @property
    def parallelism(self) -> float | None:
        """How many steps were worked on at once, on average; None when no time passed."""
        return self.work / self.span if self.span else None

    @property
    def cache_share(self) -> float | None:
        """The share of steps that came from the cache; None when there are no steps."""
        return self.cached_steps / self.steps if self.steps else None


@dataclass(frozen=True, slots=True)
class BuildTrend:
    """What became of one of a project's builds, for comparing it with others.

    Attributes:
        work: None when nothing was recorded of it, or not yet.
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

    @property
    def cache_share(self) -> float | None:
        """The share of steps that came from the cache."""
        return self.cached_steps / self.steps if self.steps and self.cached_steps is not None else None
