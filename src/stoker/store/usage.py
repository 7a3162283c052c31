"""Usage, summed up by the database from builds, leases and the sizes of volumes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, Row, case, func, or_, select, type_coerce, union_all

from stoker.domain.pagination import Page
from stoker.domain.usage import ProjectUsage
from stoker.domain.volumes import VolumeState
from stoker.store.tables.builds import builds, leases
from stoker.store.tables.columns import microseconds
from stoker.store.tables.machines import volumes
from stoker.store.tables.organizations import projects

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import CTE, Column, Select, Subquery

    from stoker.domain.pagination import PageRequest
    from stoker.domain.usage import Period
    from stoker.store.database import Transaction


async def project_usage(tx: Transaction, project_id: str, period: Period, now: datetime) -> ProjectUsage:
    """What one project used. There must be such a project."""
    chosen = select(projects.c.id, projects.c.name).where(projects.c.id == project_id)
    (row,) = await tx.scan(_usage(chosen, period, now))
    return _project_usage(row)


async def list_project_usage(
    tx: Transaction, organization_id: str, period: Period, now: datetime, page: PageRequest
) -> Page[ProjectUsage]:
    """A page of what each project used that an organization had at any time of the period, the oldest first."""
    chosen = select(projects.c.id, projects.c.name).where(
        projects.c.organization_id == organization_id,
        projects.c.created_at < period.end,
        or_(projects.c.deleted_at.is_(None), projects.c.deleted_at > period.start),
    )
    if page.after is not None:
        chosen = chosen.where(projects.c.id > page.after)
    chosen = chosen.order_by(projects.c.id).limit(page.size + 1)
    rows = await tx.scan(_usage(chosen, period, now))
    items = tuple(_project_usage(row) for row in rows[: page.size])
    return Page(items, items[-1].project_id if len(rows) > page.size else None)


async def projects_with_builds(
    tx: Transaction, organization_id: str, period: Period, now: datetime
) -> list[ProjectUsage]:
    """What each project of an organization used, deleted ones too, where builds were created or ran in the period."""
    chosen = select(projects.c.id, projects.c.name).where(projects.c.organization_id == organization_id)
    return [_project_usage(row) for row in await tx.scan(_usage(chosen, period, now, only_with_builds=True))]


async def organization_cache_bytes(tx: Transaction, organization_id: str) -> int:
    """The size of all caches of an organization, as they were last measured."""
    of_organization = select(projects.c.id).where(projects.c.organization_id == organization_id)
    query = select(func.coalesce(func.sum(volumes.c.size_bytes), 0)).where(
        volumes.c.project_id.in_(of_organization), volumes.c.state == VolumeState.ACTIVE.value
    )
    ((total,),) = await tx.scan(query)
    return int(total)


def _project_usage(row: Row[Any]) -> ProjectUsage:
    return ProjectUsage(
        project_id=row.id,
        project_name=row.name,
        builds=int(row.builds),
        build_time=timedelta(microseconds=int(row.build_microseconds)),
        machine_time=timedelta(microseconds=int(row.machine_microseconds)),
        cache_bytes=int(row.cache_bytes),
        saved_time=timedelta(microseconds=int(row.saved_microseconds)),
    )


def _usage(
    chosen_projects: Select[*tuple[Any, ...]], period: Period, now: datetime, *, only_with_builds: bool = False
) -> Select[*tuple[Any, ...]]:
    chosen = chosen_projects.cte("chosen")
    built = _times(chosen, period, now, builds.c.project_id, builds.c.started_at, builds.c.finished_at)
    held = _times(chosen, period, now, leases.c.project_id, leases.c.created_at, leases.c.ended_at)
    kept = _volumes(chosen)
    saved = _savings(chosen, period)
    query = (
        select(
            chosen.c.id,
            chosen.c.name,
            func.coalesce(built.c.made, 0).label("builds"),
            func.coalesce(built.c.microseconds, 0).label("build_microseconds"),
            func.coalesce(held.c.microseconds, 0).label("machine_microseconds"),
            func.coalesce(kept.c.bytes, 0).label("cache_bytes"),
            func.coalesce(saved.c.microseconds, 0).label("saved_microseconds"),
        )
        .select_from(chosen)
        .outerjoin(built, built.c.project_id == chosen.c.id)
        .outerjoin(held, held.c.project_id == chosen.c.id)
        .outerjoin(kept, kept.c.project_id == chosen.c.id)
        .outerjoin(saved, saved.c.project_id == chosen.c.id)
        .order_by(chosen.c.id)
    )
    # A build holds its machine within its own time, so who has no build has no lease either.
    return query.where(built.c.project_id.is_not(None)) if only_with_builds else query


def _times(
    chosen: CTE, period: Period, now: datetime, of: Column[str], began: Column[datetime], ended: Column[datetime]
) -> Subquery:
    """By project: how many rows were made in the period, and how much of the time between two columns lies in it.

    What goes on and what has ended are looked up apart, as one index can't be searched for both at once.
    """
    table = of.table
    base = select(of.label("project_id"), table.c.created_at, began.label("began"), ended.label("ended")).where(
        of.in_(select(chosen.c.id)), table.c.created_at < period.end
    )
    times = union_all(base.where(ended >= period.start), base.where(ended.is_(None))).subquery()
    made = case((times.c.created_at >= period.start, 1), else_=0)
    return (
        select(
            times.c.project_id,
            func.sum(made).label("made"),
            func.sum(within(times.c.began, times.c.ended, period, now)).label("microseconds"),
        )
        .group_by(times.c.project_id)
        .subquery()
    )


def _volumes(chosen: CTE) -> Subquery:
    return (
        select(volumes.c.project_id, func.sum(volumes.c.size_bytes).label("bytes"))
        .where(volumes.c.project_id.in_(select(chosen.c.id)), volumes.c.state == VolumeState.ACTIVE.value)
        .group_by(volumes.c.project_id)
        .subquery("kept")
    )


def _savings(chosen: CTE, period: Period) -> Subquery:
    return (
        select(builds.c.project_id, func.sum(builds.c.saved_microseconds).label("microseconds"))
        .where(
            builds.c.project_id.in_(select(chosen.c.id)),
            builds.c.created_at >= period.start,
            builds.c.created_at < period.end,
            builds.c.saved_microseconds > 0,
        )
        .group_by(builds.c.project_id)
        .subquery("saved")
    )


def within(
    began: ColumnElement[datetime], ended: ColumnElement[datetime], period: Period, now: datetime
) -> ColumnElement[int]:
    """The microseconds of a time that lie in the period. One that goes on lasts until now; one that never began, none.

    Spelled with CASE, because the databases' own least and greatest differ in name and in what they make of NULL.
    """
    until = period.until(now)
    first = case((began < period.start, microseconds(period.start)), else_=type_coerce(began, BigInteger))
    last = case((or_(ended.is_(None), ended > until), microseconds(until)), else_=type_coerce(ended, BigInteger))
    return case((last > first, last - first), else_=0)
