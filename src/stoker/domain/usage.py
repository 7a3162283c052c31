"""What was used: of which time, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from stoker.domain.cache_policy import GIGABYTE
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


class PeriodName(StrEnum):
    """The periods that people choose from; months and days are those of UTC."""

    THIS_MONTH = "this-month"
    LAST_MONTH = "last-month"
    LAST_30_DAYS = "last-30-days"


def named_period(name: PeriodName, now: datetime) -> Period:
    """A period by its name; today is the last of the 30 days."""
    match name:
        case PeriodName.THIS_MONTH:
            return checked_period(None, None, now)
        case PeriodName.LAST_MONTH:
            return checked_period(None, _month_of(now), now)
        case PeriodName.LAST_30_DAYS:
            today = now.replace(hour=0, minute=0, second=0, microsecond=0)
            return Period(today - timedelta(days=29), now)


def days_of(period: Period) -> list[date]:
    """The days, in UTC, that a period has a part in."""
    last = period.end - timedelta(microseconds=1)
    count = (last.date() - period.start.date()).days + 1 if period.end > period.start else 0
    return [period.start.date() + timedelta(days=number) for number in range(count)]


def gigabyte_days(size_bytes: int, since: datetime, period: Period, now: datetime) -> float:
    """A size times the days of a period since then. Sizes of the past aren't known, so it is that of now for all."""
    kept = period.until(now) - max(since, period.start)
    return size_bytes / GIGABYTE * max(kept, timedelta(0)) / timedelta(days=1)


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
class DayUsage:
    """What an organization used on one day, in UTC; of a build that went on over midnight, each day has its part."""

    day: date
    builds: int = 0
    build_time: timedelta = timedelta(0)
    saved_time: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class OrganizationUsage:
    """What an organization used in a period: each project with any builds in it, and all layer caches together."""

    period: Period
    projects: Sequence[ProjectUsage]
    cache_bytes: int
