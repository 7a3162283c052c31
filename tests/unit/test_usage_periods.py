"""Which period a caller means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stoker.domain.cache_policy import GIGABYTE
from stoker.domain.errors import InvalidInput
from stoker.domain.usage import (
    LONGEST_PERIOD,
    Period,
    PeriodName,
    checked_period,
    days_of,
    gigabyte_days,
    named_period,
)

NOW = datetime(2026, 3, 14, 15, 9, 26, 535, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("start", "end", "period"),
    [
        (None, None, Period(MARCH, NOW)),
        (FEBRUARY, None, Period(FEBRUARY, NOW)),
        (FEBRUARY, MARCH, Period(FEBRUARY, MARCH)),
        (None, MARCH, Period(FEBRUARY, MARCH)),
        (None, MARCH + MOMENT, Period(MARCH, MARCH + MOMENT)),
        (NOW, NOW, Period(NOW, NOW)),
        (MARCH, NOW + timedelta(days=30), Period(MARCH, NOW + timedelta(days=30))),
        (NOW - LONGEST_PERIOD, None, Period(NOW - LONGEST_PERIOD, NOW)),
    ],
)
def test_what_is_left_out_is_this_month_up_to_now(start: datetime | None, end: datetime | None, period: Period) -> None:
    assert checked_period(start, end, NOW) == period


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (MARCH, FEBRUARY, "start_at is after end_at"),
        (NOW + MOMENT, None, "start_at is in the future"),
        (NOW - LONGEST_PERIOD - MOMENT, None, "longer than 400 days"),
        (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), "start_at is before 1970"),
        (None, datetime.min.replace(tzinfo=UTC), "end_at is before 1970"),
        (MARCH, datetime.max.replace(tzinfo=UTC), "longer than 400 days"),
    ],
)
def test_a_period_that_can_not_be_is_refused(start: datetime | None, end: datetime | None, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        checked_period(start, end, NOW)


def test_the_earliest_and_the_latest_end_can_be_asked_for() -> None:
    earliest = datetime(1970, 1, 1, tzinfo=UTC)
    assert checked_period(None, earliest, NOW) == Period(earliest, earliest)
    latest = datetime.max.replace(tzinfo=UTC)
    assert checked_period(None, latest, NOW).start == datetime(9999, 12, 1, tzinfo=UTC)


def test_there_is_nothing_to_count_after_now() -> None:
    assert Period(MARCH, NOW + timedelta(days=1)).until(NOW) == NOW
    assert Period(FEBRUARY, MARCH).until(NOW) == MARCH


@pytest.mark.parametrize(
    ("name", "period", "days"),
    [
        (PeriodName.THIS_MONTH, Period(MARCH, NOW), 14),
        (PeriodName.LAST_MONTH, Period(FEBRUARY, MARCH), 28),
        (PeriodName.LAST_30_DAYS, Period(datetime(2026, 2, 13, tzinfo=UTC), NOW), 30),
    ],
)
def test_periods_have_names_and_days(name: PeriodName, period: Period, days: int) -> None:
    assert named_period(name, NOW) == period
    listed = days_of(period)
    assert (len(listed), listed[0]) == (days, period.start.date())
    assert listed[-1] == (period.end - MOMENT).date()


def test_a_month_that_has_just_begun_has_no_day_yet() -> None:
    assert named_period(PeriodName.THIS_MONTH, MARCH + MOMENT) == Period(MARCH, MARCH + MOMENT)
    assert days_of(Period(MARCH, MARCH + MOMENT)) == [MARCH.date()]
    assert days_of(Period(MARCH, MARCH)) == []


@pytest.mark.parametrize(
    ("since", "days"),
    [(FEBRUARY, 13), (MARCH + timedelta(days=12), 1), (MARCH + timedelta(days=13), 0), (NOW, 0)],
)
def test_a_size_counts_for_the_days_on_which_it_was_there(since: datetime, days: int) -> None:
    now = MARCH + timedelta(days=13)
    assert gigabyte_days(5 * GIGABYTE, since, Period(MARCH, now + timedelta(days=9)), now) == 5 * days
