"""What was used: of which time, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_PERIOD = timedelta(days=400)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """A time from ``start`` up to, but not with, ``end``, so that periods side by side share nothing."""

    start: datetime
    end: datetime

    def until(self, now: datetime) -> datetime:
        """Up to when there is something to count: a period may reach into the future."""
        return min(self.end, now)


def checked_period(start: datetime | None, end: datetime | None, now: datetime) -> Period:
    """The period that a caller asks for.

    Without an end it is up to now; without a start, from the beginning of the month (in UTC) that it ends in.

    Raises:
        InvalidInput: it begins after its end, is too long, or lies before 1970.
    """
    last = now if end is None else end
    for name, moment in (("start_at", start), ("end_at", end)):
        if moment is not None and moment < _EARLIEST:
            raise InvalidInput(f"{name} is before 1970; give a later time, or leave it out")
    first = _month_of(last) if start is None else start
    if first > last:
        raise InvalidInput(
            "start_at is in the future; give an earlier one, or an end_at after it"
            if end is None
            else "start_at is after end_at; exchange them"
        )
    if last - first > LONGEST_PERIOD:
        raise InvalidInput(f"the period is longer than {LONGEST_PERIOD.days} days; ask for shorter ones, one by one")
    return Period(first, last)


def _month_of(end: datetime) -> datetime:
    """The beginning of the month that a period with this end lies in. The end itself is no part of it."""
    last = end - timedelta(microseconds=1) if end > _EARLIEST else end
    return last.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class ProjectUsage:
    """What a project used in a period.

    Attributes:
        project_id: the project, which may have been deleted since.
        project_name: its name, the last one that it had.
        builds: how many builds were created in the period.
        build_time: for how long builds ran in the period, each from its first endpoint to its end, added up.
        machine_time: for how long builds held machines in the period, each hold by itself, added up.
        cache_bytes: the size of its layer caches as it was last measured, whatever the period.
        saved_time: how long the cached steps of builds that were created in the period took when they were last done.
    """

    project_id: str
    project_name: str
    builds: int
    build_time: timedelta
    machine_time: timedelta
    cache_bytes: int
    saved_time: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class OrganizationUsage:
    """What an organization used in a period: each project with any builds in it, and all layer caches together."""

    period: Period
    projects: Sequence[ProjectUsage]
    cache_bytes: int
