"""Overviews, summed up by the database: one statement for all organizations or all projects of a page.

The last builds of a project are those from the id on that its N-th newest build has, which the index of
(project, id) finds without reading the older ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, and_, case, exists, func, literal_column, or_, select, tuple_

from stoker.domain.builds import BuildStatus
from stoker.domain.ids import first_id_at
from stoker.domain.overviews import RATED_BUILDS, NamedBuild, OrganizationFigures, Outcomes, ProjectOverview
from stoker.domain.pagination import Page
from stoker.domain.volumes import VolumeState
from stoker.store.builds import build_of_row
from stoker.store.projects import project_of_row
from stoker.store.tables.builds import builds, leases, waiting
from stoker.store.tables.machines import volumes
from stoker.store.tables.organizations import projects

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import FromClause

    from stoker.domain.pagination import PageRequest
    from stoker.store.database import Transaction

# As a literal, or the index of running builds alone isn't used.
_RUNS = builds.c.status == literal_column(f"'{BuildStatus.RUNNING.value}'")
_IS_THERE = projects.c.deleted_at.is_(None)


async def organization_figures(
    tx: Transaction, organization_ids: Sequence[str], since: datetime, last: int
) -> dict[str, OrganizationFigures]:
    """The numbers of organizations by their ids, of builds since then, with so many of the last builds of each."""
    of_them = projects.c.organization_id.in_(organization_ids)
    counts = {
        row.organization_id: row.projects
        for row in await tx.scan(
            select(projects.c.organization_id, func.count().label("projects"))
            .where(of_them, _IS_THERE)
            .group_by(projects.c.organization_id)
        )
    }
    made = {
        row.organization_id: row
        for row in await tx.scan(
            select(projects.c.organization_id, func.count().label("builds"), *_outcomes(builds))
            .join(builds, and_(builds.c.project_id == projects.c.id, builds.c.id >= first_id_at(since)))
            .where(of_them, _IS_THERE)
            .group_by(projects.c.organization_id)
        )
    }
    queue = {
        row.organization_id: row.builds
        for row in await tx.scan(
            select(waiting.c.organization_id, func.count(waiting.c.build_id.distinct()).label("builds"))
            .where(waiting.c.organization_id.in_(organization_ids))
            .group_by(waiting.c.organization_id)
        )
    }
    running = {
        row.organization_id: row.builds
        for row in await tx.scan(
            select(builds.c.organization_id, func.count().label("builds"))
            .where(
                _RUNS,
                builds.c.organization_id.in_(organization_ids),
                ~exists().where(waiting.c.build_id == builds.c.id),
            )
            .group_by(builds.c.organization_id)
        )
    }
    newest = await _last_builds(tx, organization_ids, last)
    return {
        one: OrganizationFigures(
            projects=counts.get(one, 0),
            builds=made[one].builds if one in made else 0,
            outcomes=_outcomes_of(made.get(one)),
            running=running.get(one, 0),
            waiting=queue.get(one, 0),
            last_builds=tuple(newest.get(one, ())),
        )
        for one in organization_ids
    }


async def _last_builds(tx: Transaction, organization_ids: Sequence[str], last: int) -> dict[str, list[NamedBuild]]:
    """An organization's newest builds are in the projects that built last, and among the newest of each of these."""
    newest = (
        select(projects.c.organization_id, projects.c.id, projects.c.name, _from_newest(1).label("newest"))
        .where(projects.c.organization_id.in_(organization_ids), _IS_THERE)
        .subquery()
    )
    place = func.row_number().over(partition_by=newest.c.organization_id, order_by=newest.c.newest.desc())
    ranked = select(newest, place.label("place")).where(newest.c.newest.is_not(None)).subquery()
    query = (
        select(builds, projects.c.name.label("project_name"))
        .join(projects, projects.c.id == builds.c.project_id)
        .join(ranked, ranked.c.id == projects.c.id)
        .where(ranked.c.place <= last, builds.c.id >= func.coalesce(_from_newest(last), ""))
        .order_by(builds.c.id.desc())
    )
    found: dict[str, list[NamedBuild]] = {}
    for row in await tx.scan(query):
        of_organization = found.setdefault(row.organization_id, [])
        if len(of_organization) < last:
            of_organization.append(NamedBuild(build_of_row(row), row.project_name))
    return found


async def list_project_overviews(
    tx: Transaction, organization_id: str, search: str, page: PageRequest
) -> Page[ProjectOverview]:
    """A page of an organization's projects by name; with a search, those that have it in their name or as their id."""
    wanted = select(projects).where(projects.c.organization_id == organization_id, _IS_THERE)
    if search:
        wanted = wanted.where(or_(projects.c.name.icontains(search, autoescape=True), projects.c.id == search))
    place = (func.lower(projects.c.name), projects.c.id)
    if page.after is not None:
        before = select(*place).where(projects.c.id == page.after, projects.c.organization_id == organization_id)
        wanted = wanted.where(tuple_(*place) > before.scalar_subquery())
    rows = await tx.scan(wanted.order_by(*place).limit(page.size + 1))
    found = [project_of_row(row) for row in rows[: page.size]]
    ids = [project.id for project in found]
    sizes = await _cache_sizes(tx, ids)
    rated = await _rated(tx, ids)
    items = tuple(
        ProjectOverview(
            project=project,
            cache_bytes=sizes.get(project.id),
            last_build=None if project.id not in rated else build_of_row(rated[project.id]),
            outcomes=_outcomes_of(rated.get(project.id)),
        )
        for project in found
    )
    return Page(items, ids[-1] if len(rows) > page.size else None)


async def _cache_sizes(tx: Transaction, project_ids: Sequence[str]) -> dict[str, int]:
    """The sizes of projects' caches, without the ephemeral ones of untrusted builds."""
    query = (
        select(volumes.c.project_id, func.sum(volumes.c.size_bytes).label("bytes"))
        .where(
            volumes.c.project_id.in_(project_ids),
            volumes.c.state == VolumeState.ACTIVE.value,
            volumes.c.build_id.is_(None),
            volumes.c.size_bytes.is_not(None),
        )
        .group_by(volumes.c.project_id)
    )
    return {row.project_id: int(row.bytes) for row in await tx.scan(query)}


async def _rated(tx: Transaction, project_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """By project: its newest build, and how the last ones ended."""
    last = (
        select(builds.c.project_id, func.max(builds.c.id).label("newest"), *_outcomes(builds))
        .join(projects, projects.c.id == builds.c.project_id)
        .where(projects.c.id.in_(project_ids), builds.c.id >= func.coalesce(_from_newest(RATED_BUILDS), ""))
        .group_by(builds.c.project_id)
        .subquery()
    )
    query = select(builds, last.c.succeeded, last.c.failed).join(last, last.c.newest == builds.c.id)
    return {row.project_id: row for row in await tx.scan(query)}


def _from_newest(place: int) -> ColumnElement[Any]:
    """The id of the build that is so far from the newest of a project; NULL where it has fewer."""
    other = builds.alias()
    query = select(other.c.id).where(other.c.project_id == projects.c.id).order_by(other.c.id.desc())
    return query.limit(1).offset(place - 1).correlate(projects).scalar_subquery()


def _outcomes(table: FromClause) -> tuple[ColumnElement[int], ColumnElement[int]]:
    succeeded, failed = (
        func.sum(case((table.c.status == status.value, 1), else_=0)).label(status.value)
        for status in (BuildStatus.SUCCEEDED, BuildStatus.FAILED)
    )
    return succeeded, failed


def _outcomes_of(row: Row[Any] | None) -> Outcomes:
    return Outcomes() if row is None else Outcomes(int(row.succeeded), int(row.failed))


async def platforms_of_builds(tx: Transaction, build_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """By build: the platforms that it has or had machines for, or waits for."""
    found: dict[str, set[str]] = {}
    for table in (leases, waiting):
        query = select(table.c.build_id, table.c.platform).where(table.c.build_id.in_(build_ids)).distinct()
        for row in await tx.execute(query):
            found.setdefault(row.build_id, set()).add(row.platform)
    return {build_id: tuple(sorted(platforms)) for build_id, platforms in found.items()}


async def positions_of_builds(tx: Transaction, build_ids: Sequence[str]) -> dict[str, int]:
    """By build that waits for its turn: its place in its organization's queue; the first has 1."""
    other = waiting.alias()
    before = (
        select(func.count())
        .select_from(other)
        .where(other.c.organization_id == waiting.c.organization_id, other.c.id <= waiting.c.id)
        .correlate(waiting)
        .scalar_subquery()
    )
    query = select(waiting.c.build_id, before.label("position")).where(waiting.c.build_id.in_(build_ids))
    found: dict[str, int] = {}
    for row in await tx.scan(query):
        found[row.build_id] = min(row.position, found.get(row.build_id, row.position))
    return found


async def kept_step_counts(tx: Transaction, build_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By build that has ended: how many steps it has, and how many of them came from the cache."""
    query = select(builds.c.id, builds.c.steps, builds.c.cached_steps).where(
        builds.c.id.in_(build_ids), builds.c.steps.is_not(None), ~_RUNS
    )
    return {row.id: (row.steps, row.cached_steps or 0) for row in await tx.execute(query)}
