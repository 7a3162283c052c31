"""Counts of the whole server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from stoker.domain.machines import MachineState
from stoker.domain.volumes import VolumeState
from stoker.store.builds import IS_RUNNING
from stoker.store.tables.builds import builds, leases, waiting
from stoker.store.tables.machines import machines, volumes

if TYPE_CHECKING:
    from stoker.store.database import Transaction


async def count_running_builds(tx: Transaction) -> int:
    """How many builds have not ended."""
    query = select(func.count()).select_from(builds).where(IS_RUNNING)
    return int((await tx.scan(query))[0][0])


async def count_queue(tx: Transaction) -> int:
    """How many endpoints are in the queue."""
    return int((await tx.scan(select(func.count()).select_from(waiting)))[0][0])


async def count_waiting_leases(tx: Transaction) -> int:
    """How many live leases are on machines that aren't ready."""
    query = (
        select(func.count())
        .select_from(leases.join(machines, machines.c.id == leases.c.machine_id))
        .where(leases.c.ended_at.is_(None), machines.c.state != MachineState.READY.value)
    )
    return int((await tx.scan(query))[0][0])


async def count_machines(tx: Transaction) -> dict[MachineState, int]:
    """How many machines there are in each state."""
    rows = await tx.scan(select(machines.c.state, func.count().label("number")).group_by(machines.c.state))
    found = {MachineState(row.state): int(row.number) for row in rows}
    return {state: found.get(state, 0) for state in MachineState}


async def count_caches(tx: Transaction) -> tuple[int, int]:
    """How many caches there are, and their size together in bytes, as each was last measured."""
    total = func.coalesce(func.sum(volumes.c.size_bytes), 0).label("size")
    query = select(func.count().label("number"), total).where(volumes.c.state == VolumeState.ACTIVE.value)
    row = (await tx.scan(query))[0]
    return int(row.number), int(row.size)
