"""An organization's usage, day by day, summed up by the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Select, case, func, literal, or_, select, type_coerce, union_all

from stoker.domain.usage import DayUsage
from stoker.store.tables.builds import builds
from stoker.store.tables.columns import microseconds
from stoker.store.tables.organizations import projects

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import CTE, ColumnElement

    from stoker.domain.usage import Period
    from stoker.store.database import Transaction

_DAY = timedelta(days=1) // timedelta(microseconds=1)


async def usage_by_day(tx: Transaction, organization_id: str, period: Period, now: datetime) -> dict[date, DayUsage]:
    """What all projects of an organization used on each day of a period where there was anything."""
    counted = union_all(
        _made(organization_id, period), _built(organization_id, period, now), _saved(organization_id, period)
    ).subquery()
    query = select(
        counted.c.day,
        func.sum(counted.c.builds).label("builds"),
        func.sum(counted.c.built).label("built"),
        func.sum(counted.c.saved).label("saved"),
    ).group_by(counted.c.day)
    found: dict[date, DayUsage] = {}
    for row in await tx.scan(query):
        day = datetime.fromtimestamp(int(row.day) * _DAY // 1_000_000, UTC).date()
        built, saved = timedelta(microseconds=int(row.built)), timedelta(microseconds=int(row.saved))
        found[day] = DayUsage(day, int(row.builds), built, saved)
    return found


def _day_of(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    return type_coerce(moment, BigInteger) // literal(_DAY, BigInteger)


def _times(organization_id: str, period: Period, name: str) -> CTE:
    """Builds that lie in a period, at least with a part. Which go on and which have ended is looked up apart, as in
    `stoker.store.usage`.
    """
    base = select(builds.c.created_at, builds.c.started_at, builds.c.finished_at).where(
        builds.c.project_id.in_(_projects(organization_id)), builds.c.created_at < period.end
    )
    parts = (base.where(builds.c.finished_at >= period.start), base.where(builds.c.finished_at.is_(None)))
    return union_all(*parts).cte(name)


def _projects(organization_id: str) -> Select[tuple[str]]:
    return select(projects.c.id).where(projects.c.organization_id == organization_id)


def _made(organization_id: str, period: Period) -> Select[*tuple[Any, ...]]:
    times = _times(organization_id, period, "made")
    return select(
        _day_of(times.c.created_at).label("day"),
        literal(1, BigInteger).label("builds"),
        literal(0, BigInteger).label("built"),
        literal(0, BigInteger).label("saved"),
    ).where(times.c.created_at >= period.start)


def _built(organization_id: str, period: Period, now: datetime) -> Select[*tuple[Any, ...]]:
    """The time of each build, cut into days."""
    times, until = _times(organization_id, period, "built"), period.until(now)
    first = case(
        (times.c.started_at < period.start, literal(microseconds(period.start), BigInteger)),
        else_=type_coerce(times.c.started_at, BigInteger),
    )
    last = case(
        (
            or_(times.c.finished_at.is_(None), times.c.finished_at > until),
            literal(microseconds(until), BigInteger),
        ),
        else_=type_coerce(times.c.finished_at, BigInteger),
    )
    pieces = (
        select(_day_of(first).label("day"), first.label("began"), last.label("ended"))
        .where(times.c.started_at.is_not(None), last > first)
        .cte("pieces", recursive=True)
    )
    midnight = (pieces.c.day + 1) * literal(_DAY, BigInteger)
    pieces = pieces.union_all(select(pieces.c.day + 1, midnight, pieces.c.ended).where(midnight < pieces.c.ended))
    midnight = (pieces.c.day + 1) * literal(_DAY, BigInteger)
    return select(
        pieces.c.day,
        literal(0, BigInteger),
        case((pieces.c.ended < midnight, pieces.c.ended), else_=midnight) - pieces.c.began,
        literal(0, BigInteger),
    )


def _saved(organization_id: str, period: Period) -> Select[*tuple[Any, ...]]:
    return select(
        _day_of(builds.c.created_at),
        literal(0, BigInteger),
        literal(0, BigInteger),
        builds.c.saved_microseconds,
    ).where(
        builds.c.project_id.in_(_projects(organization_id)),
        builds.c.created_at >= period.start,
        builds.c.created_at < period.end,
        builds.c.saved_microseconds > 0,
    )
