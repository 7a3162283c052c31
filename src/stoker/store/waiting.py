"""The queue: builds that wait for a machine, a row each. Who has a machine has a lease instead."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update

from stoker.domain.platforms import Platform
from stoker.domain.queue import Holding, Waiting
from stoker.store.tables.builds import builds, leases, waiting
from stoker.store.tables.machines import machines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from stoker.domain.queue import BuildLimits
    from stoker.store.database import Transaction

_FRONT = 500


def _waiting(row: Row[Any]) -> Waiting:
    return Waiting(
        id=row.id,
        build_id=row.build_id,
        platform=Platform(row.platform),
        organization_id=row.organization_id,
        project_id=row.project_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


async def add_waiting(tx: Transaction, one: Waiting) -> None:
    """Put a build at the end of the queue."""
    await tx.execute(
        insert(waiting).values(
            id=one.id,
            build_id=one.build_id,
            platform=one.platform.value,
            organization_id=one.organization_id,
            project_id=one.project_id,
            created_at=one.created_at,
            expires_at=one.expires_at,
        )
    )


async def find_waiting(tx: Transaction, build_id: str, platform: Platform) -> Waiting | None:
    """A build's place in the queue for a platform."""
    query = select(waiting).where(waiting.c.build_id == build_id, waiting.c.platform == platform.value)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _waiting(row)


async def front_of_queue(
    tx: Transaction, holding: Sequence[Holding], limits: BuildLimits, organization_id: str | None = None
) -> list[Waiting]:
    """Those who may be next, in order: of each project that has room, as many as it can have at most.

    A queue may be long, and what is behind its front is not looked at, so that nobody's length delays others.

    Args:
        tx: where to look.
        holding: all builds that hold machines.
        limits: how many may.
        organization_id: whose queue; None for all.
    """
    projects = Counter(build.project_id for build in holding)
    organizations = Counter(build.organization_id for build in holding)
    full_projects = [one for one, held in projects.items() if limits.per_project and held >= limits.per_project]
    full = [one for one, held in organizations.items() if limits.per_organization and held >= limits.per_organization]
    has_machine = waiting.c.build_id.in_([build.build_id for build in holding])
    place = func.row_number().over(partition_by=waiting.c.project_id, order_by=(waiting.c.created_at, waiting.c.id))
    ranked = select(waiting, place.label("place"), has_machine.label("has_machine")).where(
        or_(has_machine, and_(waiting.c.project_id.not_in(full_projects), waiting.c.organization_id.not_in(full)))
    )
    if organization_id is not None:
        ranked = ranked.where(waiting.c.organization_id == organization_id)
    front = ranked.subquery()
    most = min(limits.per_project or _FRONT, limits.per_organization or _FRONT, _FRONT)
    query = select(front).where(or_(front.c.has_machine, front.c.place <= most))
    return [_waiting(row) for row in await tx.scan(query.order_by(front.c.created_at, front.c.id))]


async def count_waiting(tx: Transaction, organization_id: str) -> tuple[int, dict[str, int]]:
    """How many of an organization wait, and of each of its projects."""
    query = (
        select(waiting.c.project_id, func.count().label("builds"))
        .where(waiting.c.organization_id == organization_id)
        .group_by(waiting.c.project_id)
    )
    counted = {row.project_id: row.builds for row in await tx.execute(query)}
    return sum(counted.values()), counted


async def owners_in_queue(tx: Transaction) -> list[tuple[str, str]]:
    """The organizations and projects of all that wait."""
    query = select(waiting.c.organization_id, waiting.c.project_id).distinct()
    return [(row.organization_id, row.project_id) for row in await tx.execute(query)]


async def whole_queue(tx: Transaction) -> list[Waiting]:
    """All that wait, in order."""
    return [_waiting(row) for row in await tx.execute(select(waiting).order_by(waiting.c.created_at, waiting.c.id))]


async def queue_of_organization(tx: Transaction, organization_id: str) -> list[Waiting]:
    """All of an organization that wait, in order."""
    query = (
        select(waiting).where(waiting.c.organization_id == organization_id).order_by(waiting.c.created_at, waiting.c.id)
    )
    return [_waiting(row) for row in await tx.execute(query)]


async def builds_without_room(tx: Transaction, organization_id: str) -> list[tuple[Waiting, str]]:
    """Builds of an organization for whose machine there is no room yet, and why.

    They are in the order in which machines get room: see `stoker.domain.machines.first_in_line`.
    """
    query = (
        select(leases, machines.c.organization_id, machines.c.waits_for, machines.c.waits_since)
        .join(machines, machines.c.id == leases.c.machine_id)
        .where(
            machines.c.organization_id == organization_id,
            machines.c.waits_for.is_not(None),
            leases.c.ended_at.is_(None),
        )
        .order_by(machines.c.waits_since, machines.c.id, leases.c.id)
    )
    return [(_waiting(row), row.waits_for) for row in await tx.execute(query)]


async def is_anybody_waiting(tx: Transaction, organization_id: str | None = None) -> bool:
    """Whether the queue has anybody in it, or anybody of an organization."""
    query = select(waiting.c.id).limit(1)
    if organization_id is not None:
        query = query.where(waiting.c.organization_id == organization_id)
    return (await tx.execute(query)).first() is not None


async def builds_with_machines(tx: Transaction) -> list[Holding]:
    """All builds that hold a machine."""
    query = (
        select(builds.c.id, builds.c.organization_id, builds.c.project_id)
        .join(leases, leases.c.build_id == builds.c.id)
        .where(leases.c.ended_at.is_(None))
        .distinct()
    )
    return [Holding(row.id, row.organization_id, row.project_id) for row in await tx.execute(query)]


async def extend_waiting(tx: Transaction, build_id: str, platform: Platform, expires_at: datetime) -> bool:
    """Let a build wait until then; False when it is not in the queue."""
    done = await tx.execute(
        update(waiting)
        .where(waiting.c.build_id == build_id, waiting.c.platform == platform.value)
        .values(expires_at=expires_at)
    )
    return done.rowcount > 0


async def renew_all_waiting(tx: Transaction, expires_at: datetime) -> None:
    """Let all that wait do so until then."""
    await tx.execute(update(waiting).values(expires_at=expires_at))


async def leave_queue(tx: Transaction, build_id: str, platform: Platform | None = None) -> bool:
    """Take a build out of the queue, for one platform or for all; False when it is not in it."""
    query = delete(waiting).where(waiting.c.build_id == build_id)
    if platform is not None:
        query = query.where(waiting.c.platform == platform.value)
    return (await tx.execute(query)).rowcount > 0


async def expired_waiting(tx: Transaction, now: datetime, limit: int) -> list[Waiting]:
    """Those for whom nobody asked in time, the oldest first."""
    query = select(waiting).where(waiting.c.expires_at <= now).order_by(waiting.c.expires_at).limit(limit)
    return [_waiting(row) for row in await tx.execute(query)]


async def has_expired(tx: Transaction, waiting_id: str, now: datetime) -> bool:
    """Whether one waits for whom nobody asked until then."""
    query = select(waiting.c.id).where(waiting.c.id == waiting_id, waiting.c.expires_at <= now)
    return (await tx.execute(query)).one_or_none() is not None


async def next_waiting_expiry(tx: Transaction) -> datetime | None:
    """When the next leaves the queue if nobody asks."""
    query = select(waiting.c.expires_at).order_by(waiting.c.expires_at).limit(1)
    return (await tx.execute(query)).scalar_one_or_none()
