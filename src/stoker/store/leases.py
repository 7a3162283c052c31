"""Leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, func, insert, select, update

from stoker.domain.leases import Lease
from stoker.domain.platforms import Platform
from stoker.store.tables.builds import leases

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.store.database import Transaction


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        id=row.id,
        build_id=row.build_id,
        project_id=row.project_id,
        platform=Platform(row.platform),
        machine_id=row.machine_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
    )


async def add_lease(tx: Transaction, lease: Lease) -> None:
    """Store a new lease."""
    await tx.execute(
        insert(leases).values(
            id=lease.id,
            build_id=lease.build_id,
            project_id=lease.project_id,
            platform=lease.platform.value,
            machine_id=lease.machine_id,
            created_at=lease.created_at,
            expires_at=lease.expires_at,
        )
    )


async def live_lease(tx: Transaction, build_id: str, platform: Platform) -> Lease | None:
    """A build's live lease for a platform."""
    query = select(leases).where(
        leases.c.build_id == build_id, leases.c.platform == platform.value, leases.c.ended_at.is_(None)
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _lease(row)


async def had_lease(tx: Transaction, build_id: str, platform: Platform) -> bool:
    """Whether a build has or had a lease for a platform."""
    query = select(leases.c.id).where(leases.c.build_id == build_id, leases.c.platform == platform.value).limit(1)
    return (await tx.execute(query)).one_or_none() is not None


async def live_leases_of_build(tx: Transaction, build_id: str) -> list[Lease]:
    """All live leases of a build."""
    query = select(leases).where(leases.c.build_id == build_id, leases.c.ended_at.is_(None))
    return [_lease(row) for row in await tx.execute(query)]


async def live_leases_of_machine(tx: Transaction, machine_id: str) -> list[Lease]:
    """All live leases on a machine."""
    query = select(leases).where(leases.c.machine_id == machine_id, leases.c.ended_at.is_(None))
    return [_lease(row) for row in await tx.execute(query)]


async def count_live_leases(tx: Transaction, machine_id: str) -> int:
    """How many live leases a machine has."""
    query = (
        select(func.count()).select_from(leases).where(leases.c.machine_id == machine_id, leases.c.ended_at.is_(None))
    )
    return (await tx.execute(query)).scalar_one()


async def live_leases_by_machine(tx: Transaction) -> dict[str, frozenset[str]]:
    """The ids of each machine's live leases, where it has any."""
    found: dict[str, set[str]] = {}
    for row in await tx.execute(select(leases.c.machine_id, leases.c.id).where(leases.c.ended_at.is_(None))):
        found.setdefault(row.machine_id, set()).add(row.id)
    return {machine_id: frozenset(ids) for machine_id, ids in found.items()}


async def count_builds_on_machines(tx: Transaction) -> int:
    """How many builds hold a machine."""
    query = select(func.count(leases.c.build_id.distinct())).where(leases.c.ended_at.is_(None))
    return (await tx.execute(query)).scalar_one()


async def extend_lease(tx: Transaction, lease_id: str, expires_at: datetime) -> None:
    """Extend a lease."""
    await tx.execute(
        update(leases).where(leases.c.id == lease_id, leases.c.ended_at.is_(None)).values(expires_at=expires_at)
    )


async def renew_all_leases(tx: Transaction, expires_at: datetime) -> None:
    """Extend all live leases."""
    await tx.execute(update(leases).where(leases.c.ended_at.is_(None)).values(expires_at=expires_at))


async def end_lease(tx: Transaction, lease_id: str, now: datetime, reason: str) -> None:
    """End a lease, unless it has ended before."""
    await tx.execute(
        update(leases)
        .where(leases.c.id == lease_id, leases.c.ended_at.is_(None))
        .values(ended_at=now, end_reason=reason)
    )


async def expired_leases(tx: Transaction, now: datetime, limit: int) -> list[Lease]:
    """Expired live leases, the oldest first."""
    query = (
        select(leases)
        .where(leases.c.ended_at.is_(None), leases.c.expires_at <= now)
        .order_by(leases.c.expires_at)
        .limit(limit)
    )
    return [_lease(row) for row in await tx.execute(query)]


async def has_expired(tx: Transaction, lease_id: str, now: datetime) -> bool:
    """Whether a lease is live, and over since then."""
    query = select(leases.c.id).where(leases.c.id == lease_id, leases.c.ended_at.is_(None), leases.c.expires_at <= now)
    return (await tx.execute(query)).one_or_none() is not None


async def next_lease_expiry(tx: Transaction) -> datetime | None:
    """When the next live lease ends if nobody reports health."""
    query = select(leases.c.expires_at).where(leases.c.ended_at.is_(None)).order_by(leases.c.expires_at).limit(1)
    return (await tx.execute(query)).scalar_one_or_none()
