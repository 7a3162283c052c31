"""Which build a solve's ref belongs to (the first one that solves under it), and how far its record is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, Select, func, or_, select, update

from stoker.domain.steps import CLIENT_REF, RecordState, Solve
from stoker.store.inserts import insert_or_ignore
from stoker.store.tables.builds import builds
from stoker.store.tables.machines import machines
from stoker.store.tables.records import solves, steps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from stoker.domain.machines import Machine
    from stoker.store.database import Transaction


async def add_solve(tx: Transaction, ref: str, build_id: str, machine: Machine, now: datetime, *, follow: bool) -> bool:
    """Tie a ref to a build, in this run of its machine with its cache; False when the ref is tied already.

    Args:
        tx: the transaction.
        ref: the solve's.
        build_id: whose solve it is.
        machine: where it runs.
        now: when it begins.
        follow: whether it is recorded from now on.
    """
    values = {
        "ref": ref,
        "build_id": build_id,
        "machine_id": machine.id,
        "created_at": now,
        "machine_run": machine.run,
        "volume_id": machine.volume_id,
        "record": RecordState.FOLLOWING.value if follow else None,
    }
    done = await tx.execute(insert_or_ignore(tx, solves).values(values))
    return done.rowcount == 1


async def count_solves(tx: Transaction, build_id: str) -> int:
    """How many solves a build has begun."""
    return (await tx.execute(select(func.count()).where(solves.c.build_id == build_id))).scalar_one()


async def refs_on_machine(tx: Transaction, build_id: str, machine_id: str, limit: int) -> list[str]:
    """The refs of a build's last solves on a machine, the latest first."""
    query = (
        select(solves.c.ref)
        .where(solves.c.build_id == build_id, solves.c.machine_id == machine_id)
        .order_by(solves.c.created_at.desc())
        .limit(limit)
    )
    return list((await tx.execute(query)).scalars())


async def end_record(tx: Transaction, ref: str, error: str | None) -> None:
    """The record of a solve has all that there is; with an error, not all that there was."""
    state = RecordState.COMPLETE if error is None else RecordState.INCOMPLETE
    await tx.execute(
        update(solves)
        .where(solves.c.ref == ref, solves.c.record == RecordState.FOLLOWING.value)
        .values(record=state.value, record_error=error)
    )


async def save_dropped_steps(tx: Transaction, ref: str, number: int) -> None:
    """Store how many steps of a solve were more than are kept."""
    await tx.execute(update(solves).where(solves.c.ref == ref).values(dropped_steps=number))


def _solves() -> Select[*tuple[Any, ...]]:
    return (
        select(solves, machines.c.platform, builds.c.project_id, builds.c.untrusted)
        .join(builds, builds.c.id == solves.c.build_id)
        .join(machines, machines.c.id == solves.c.machine_id)
        .order_by(solves.c.created_at, solves.c.ref)
    )


def _solve(row: Row[Any]) -> Solve:
    return Solve(
        ref=row.ref,
        build_id=row.build_id,
        project_id=row.project_id,
        machine_id=row.machine_id,
        machine_run=row.machine_run,
        platform=row.platform,
        created_at=row.created_at,
        record=None if row.record is None else RecordState(row.record),
        record_error=row.record_error,
        dropped_steps=row.dropped_steps,
        is_untrusted=row.untrusted,
    )


async def all_ended_well(tx: Transaction, build_id: str) -> bool:
    """Whether a build had solves, and each of their steps that is known began, ended, and has no error."""
    records = (await tx.execute(select(solves.c.record).where(solves.c.build_id == build_id))).scalars().all()
    if not records or any(record != RecordState.COMPLETE.value for record in records):
        return False
    others = or_(steps.c.error.is_not(None), steps.c.completed_at.is_(None))
    query = select(steps.c.number).where(steps.c.build_id == build_id, steps.c.solve_ref != CLIENT_REF, others).limit(1)
    return (await tx.execute(query)).one_or_none() is None


async def followed_solves(tx: Transaction) -> list[Solve]:
    """All solves whose record isn't at its end."""
    query = _solves().where(solves.c.record == RecordState.FOLLOWING.value)
    return [_solve(row) for row in await tx.execute(query)]


async def find_solve(tx: Transaction, ref: str) -> Solve | None:
    """The solve of that ref."""
    row = (await tx.execute(_solves().where(solves.c.ref == ref))).one_or_none()
    return None if row is None else _solve(row)


async def solves_of_builds(tx: Transaction, build_ids: Sequence[str]) -> dict[str, list[Solve]]:
    """The solves of builds by the builds' ids, the oldest first. Builds without any are left out."""
    found: dict[str, list[Solve]] = {}
    for row in await tx.execute(_solves().where(solves.c.build_id.in_(build_ids))):
        found.setdefault(row.build_id, []).append(_solve(row))
    return found
