"""Builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, exists, func, insert, literal, or_, select, update

from stoker.domain.audit import Party
from stoker.domain.builds import ALL_BUILDS, Build, BuildFilter, BuildResult, BuildStatus
from stoker.domain.ids import first_id_at
from stoker.domain.pagination import Page, PageRequest
from stoker.store.build_origins import written_name
from stoker.store.tables.builds import builds, leases, waiting
from stoker.store.tables.organizations import projects
from stoker.store.tables.origins import build_origins

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from stoker.domain.machines import Machine
    from stoker.store.database import Transaction


# Not as a parameter: then SQLite and PostgreSQL don't know beforehand that the index of running builds fits.
IS_RUNNING = builds.c.status == literal(BuildStatus.RUNNING.value, literal_execute=True)


@dataclass(frozen=True, slots=True)
class UnheldBuild:
    """A running build without a machine."""

    id: str
    created_at: datetime
    had_machine: bool


def build_of_row(row: Row[Any]) -> Build:
    """A build from what was selected of its table."""
    by = None if row.begun_by_kind is None else Party(row.begun_by_kind, row.begun_by_id, row.begun_by_name)
    return Build(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        status=BuildStatus(row.status),
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        untrusted=row.untrusted,
        begun_by=by,
        title=row.title,
    )


async def count_open_builds(tx: Transaction, project_id: str, most: int) -> int:
    """How many builds of a project have not ended; ``most`` where it is more."""
    some = select(builds.c.id).where(builds.c.project_id == project_id, builds.c.finished_at.is_(None)).limit(most)
    return (await tx.execute(select(func.count()).select_from(some.subquery()))).scalar_one()


async def add_build(tx: Transaction, build: Build) -> None:
    """Store a new build."""
    by = build.begun_by
    await tx.execute(
        insert(builds).values(
            id=build.id,
            organization_id=build.organization_id,
            project_id=build.project_id,
            status=build.status.value,
            created_at=build.created_at,
            untrusted=build.untrusted,
            begun_by_kind=None if by is None else by.kind,
            begun_by_id=None if by is None else by.id,
            begun_by_name=None if by is None else by.name,
            title=build.title,
        )
    )


_BY_ID = (
    select(builds)
    .join(projects, projects.c.id == builds.c.project_id)
    .where(builds.c.id == bindparam("wanted"), projects.c.deleted_at.is_(None))
)


async def find_build(tx: Transaction, build_id: str) -> Build | None:
    """The build of that id, unless its project is deleted."""
    row = (await tx.execute(_BY_ID, {"wanted": build_id})).one_or_none()
    return None if row is None else build_of_row(row)


async def find_any_build(tx: Transaction, build_id: str) -> Build | None:
    """The build of that id, of a deleted project too."""
    row = (await tx.execute(select(builds).where(builds.c.id == build_id))).one_or_none()
    return None if row is None else build_of_row(row)


async def set_title(tx: Transaction, build_id: str, title: str) -> None:
    """Give a build another title."""
    await tx.execute(update(builds).where(builds.c.id == build_id).values(title=title))


async def list_builds(
    tx: Transaction, project_id: str, page: PageRequest, wanted: BuildFilter = ALL_BUILDS, *, sees_people: bool = False
) -> Page[Build]:
    """A page of a project's builds that are wanted, the newest first.

    Args:
        tx: the transaction.
        project_id: of the project.
        page: which part of them.
        wanted: which of them.
        sees_people: whether a search looks through the names of people too.
    """
    query = select(builds).where(builds.c.project_id == project_id, *_conditions(wanted, sees_people=sees_people))
    if wanted.begun_by or wanted.search or wanted.branch or wanted.target:
        query = query.outerjoin(build_origins, build_origins.c.build_id == builds.c.id)
    if page.after is not None:
        query = query.where(builds.c.id < page.after)
    query = query.order_by(builds.c.id.desc()).limit(page.size + 1)
    # What is rare may be looked for among a great many builds.
    rows = (await tx.execute(query)).all() if wanted == ALL_BUILDS else await tx.scan(query)
    items = tuple(build_of_row(row) for row in rows[: page.size])
    return Page(items, items[-1].id if len(rows) > page.size else None)


def _conditions(wanted: BuildFilter, *, sees_people: bool) -> Iterator[ColumnElement[bool]]:
    if wanted.status is not None:
        yield builds.c.status == wanted.status.value
    if wanted.since is not None:
        # The id, which begins with the time, has the index.
        yield and_(builds.c.id >= first_id_at(wanted.since), builds.c.created_at >= wanted.since)
    if wanted.begun_by:
        yield or_(builds.c.begun_by_id == wanted.begun_by, *_people_named(wanted.begun_by))
    if wanted.branch:
        yield build_origins.c.branch == wanted.branch
    if wanted.target:
        yield build_origins.c.targets.contains(written_name(wanted.target), autoescape=True)
    if wanted.platform is not None:
        yield or_(
            *(
                exists().where(table.c.build_id == builds.c.id, table.c.platform == wanted.platform.value)
                for table in (leases, waiting)
            )
        )
    for word in wanted.search.split():
        people = _people_named(word) if sees_people else ()
        yield or_(build_origins.c.search.icontains(word, autoescape=True), builds.c.id == word, *people)


def _people_named(text: str) -> tuple[ColumnElement[bool], ...]:
    named = (builds.c.begun_by_name, build_origins.c.ci_actor)
    return tuple(one.icontains(text, autoescape=True) for one in named)


async def running_builds_of(tx: Transaction, project_id: str) -> list[Build]:
    """A project's builds that have not ended."""
    query = select(builds).where(builds.c.project_id == project_id, IS_RUNNING)
    return [build_of_row(row) for row in await tx.execute(query)]


async def running_builds(tx: Transaction) -> list[Build]:
    """All builds that have not ended."""
    return [build_of_row(row) for row in await tx.execute(select(builds).where(IS_RUNNING))]


async def unheld_builds(tx: Transaction) -> list[UnheldBuild]:
    """Builds that have not ended, hold no machine and wait for none."""
    of_build = leases.c.build_id == builds.c.id
    query = select(builds.c.id, builds.c.created_at, builds.c.started_at).where(
        IS_RUNNING,
        ~exists().where(of_build, leases.c.ended_at.is_(None)),
        ~exists().where(waiting.c.build_id == builds.c.id),
    )
    return [UnheldBuild(row.id, row.created_at, had_machine=row.started_at is not None) for row in await tx.scan(query)]


async def overdue_builds(tx: Transaction, created_before: datetime, limit: int) -> list[Build]:
    """Builds that were created before then and have not ended."""
    query = (
        select(builds)
        .where(IS_RUNNING, builds.c.created_at < created_before)
        .order_by(builds.c.created_at)
        .limit(limit)
    )
    return [build_of_row(row) for row in await tx.execute(query)]


async def mark_build_started(tx: Transaction, build_id: str, now: datetime) -> None:
    """Remember when a build was first given an endpoint."""
    await tx.execute(
        update(builds).where(builds.c.id == build_id, builds.c.started_at.is_(None)).values(started_at=now)
    )


async def hint_builds(tx: Transaction, build_ids: list[str], hint: str) -> None:
    """Remember what may explain a failure of builds that run."""
    await tx.execute(
        update(builds).where(builds.c.id.in_(build_ids), builds.c.status == BuildStatus.RUNNING.value).values(hint=hint)
    )


async def unhint_builds(tx: Transaction, build_ids: list[str], hint: str) -> None:
    """Remove the hints of builds that begin with ``hint``."""
    begins = builds.c.hint.startswith(hint, autoescape=True)
    await tx.execute(update(builds).where(builds.c.id.in_(build_ids), begins).values(hint=None))


async def hint_of(tx: Transaction, build_id: str) -> str | None:
    """What may explain a build's failure, if anything is known."""
    return (await tx.execute(select(builds.c.hint).where(builds.c.id == build_id))).scalar_one_or_none()


async def unexplained_failures(tx: Transaction, machine: Machine, since: datetime) -> dict[str, str | None]:
    """Builds that held a machine and failed since then without a hint, and their errors."""
    query = (
        select(builds.c.id, builds.c.error)
        .join(leases, leases.c.build_id == builds.c.id)
        .where(
            # The project is what leases are found by.
            leases.c.project_id == machine.project_id,
            leases.c.ended_at >= since,
            leases.c.machine_id == machine.id,
            builds.c.status == BuildStatus.FAILED.value,
            builds.c.finished_at >= since,
            builds.c.hint.is_(None),
        )
    )
    return {row.id: row.error for row in await tx.execute(query)}


async def explain_failure(tx: Transaction, build_id: str, error: str, hint: str) -> None:
    """Replace a failed build's error by one with a hint, and store the hint."""
    await tx.execute(update(builds).where(builds.c.id == build_id).values(error=error, hint=hint))


async def end_build(tx: Transaction, build_id: str, result: BuildResult, now: datetime) -> bool:
    """Store how a build ended; False when it had ended before."""
    done = await tx.execute(
        update(builds)
        .where(builds.c.id == build_id, builds.c.status == BuildStatus.RUNNING.value)
        .values(status=result.status.value, error=result.error, finished_at=now)
    )
    return done.rowcount == 1
