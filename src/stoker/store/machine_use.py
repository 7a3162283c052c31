"""How builds use machines: which hold them, when the last let go, and for how long they were held."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, func, select, type_coerce, union_all

from stoker.store.tables.builds import leases
from stoker.store.tables.columns import moment_of
from stoker.store.tables.machines import machines
from stoker.store.usage import within

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from stoker.domain.usage import Period
    from stoker.store.database import Transaction


async def holders_of_machines(tx: Transaction, machine_ids: Collection[str], most: int) -> dict[str, tuple[str, ...]]:
    """The first builds that hold each of some machines, at most so many of each."""
    place = func.row_number().over(partition_by=leases.c.machine_id, order_by=leases.c.id).label("place")
    held = (
        select(leases.c.machine_id, leases.c.build_id, place)
        .where(leases.c.machine_id.in_(machine_ids), leases.c.ended_at.is_(None))
        .subquery()
    )
    query = select(held).where(held.c.place <= most).order_by(held.c.machine_id, held.c.place)
    found: dict[str, tuple[str, ...]] = {}
    for row in await tx.scan(query):
        found[row.machine_id] = (*found.get(row.machine_id, ()), row.build_id)
    return found


async def last_uses_of_machines(tx: Transaction, machine_ids: Collection[str]) -> dict[str, datetime]:
    """When a build last let go of each of some machines."""
    # The project is there for its index, which leads to the latest one of a machine, or to one soon after.
    last = (
        select(type_coerce(leases.c.ended_at, BigInteger))
        .where(
            leases.c.project_id == machines.c.project_id,
            leases.c.machine_id == machines.c.id,
            leases.c.ended_at.is_not(None),
        )
        .order_by(leases.c.ended_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(machines.c.id, last.label("last")).where(machines.c.id.in_(machine_ids))
    return {row.id: moment_of(row.last) for row in await tx.scan(query) if row.last is not None}


async def times_of_machines(
    tx: Transaction, machine_ids: Collection[str], period: Period, now: datetime
) -> dict[str, timedelta]:
    """For how long builds held each of some machines in a period, each hold by itself."""
    of_projects = select(machines.c.project_id).where(machines.c.id.in_(machine_ids))
    base = select(leases.c.machine_id, leases.c.created_at, leases.c.ended_at).where(
        leases.c.project_id.in_(of_projects),
        leases.c.machine_id.in_(machine_ids),
        leases.c.created_at < period.end,
    )
    holds = union_all(base.where(leases.c.ended_at >= period.start), base.where(leases.c.ended_at.is_(None))).subquery()
    held = func.sum(within(holds.c.created_at, holds.c.ended_at, period, now)).label("held")
    query = select(holds.c.machine_id, held).group_by(holds.c.machine_id)
    return {row.machine_id: timedelta(microseconds=int(row.held)) for row in await tx.scan(query)}
