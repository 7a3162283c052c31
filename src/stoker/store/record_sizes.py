"""The sizes of builds' records, counted with each write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from stoker.domain.record_limits import RecordSize
from stoker.domain.steps import CLIENT_REF
from stoker.store.inserts import insert_or_ignore
from stoker.store.tables.records import log_chunks, record_sizes, steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.store.database import Transaction


async def size_of_record(tx: Transaction, build_id: str, *, is_reported: bool) -> RecordSize:
    """How much is kept of what a build's client reported, or else of what machines did."""
    query = select(record_sizes).where(record_sizes.c.build_id == build_id, record_sizes.c.is_reported == is_reported)
    row = (await tx.execute(query)).one_or_none()
    if row is not None:
        return RecordSize(row.steps, row.log_bytes, row.kept_bytes, row.left_out)
    # Nothing, but for builds that were recorded before anything was counted.
    is_of_side = (steps.c.solve_ref == CLIENT_REF) == is_reported
    count = select(func.count()).select_from(steps).where(steps.c.build_id == build_id, is_of_side)
    found = int((await tx.execute(count)).scalar_one())
    if not found:
        return RecordSize()
    logs = select(func.coalesce(func.sum(log_chunks.c.size_bytes), 0)).where(log_chunks.c.build_id == build_id)
    return RecordSize(found, int((await tx.execute(logs)).scalar_one()))


async def grow_record(tx: Transaction, build_id: str, growth: RecordSize, *, is_reported: bool) -> None:
    """Count what is stored in the same transaction."""
    if growth == RecordSize():
        return
    key = {"build_id": build_id, "is_reported": is_reported}
    await tx.execute(insert_or_ignore(tx, record_sizes).values(key))
    await tx.execute(
        update(record_sizes)
        .where(record_sizes.c.build_id == build_id, record_sizes.c.is_reported == is_reported)
        .values(
            steps=record_sizes.c.steps + growth.steps,
            log_bytes=record_sizes.c.log_bytes + growth.log_bytes,
            kept_bytes=record_sizes.c.kept_bytes + growth.kept_bytes,
            left_out=record_sizes.c.left_out + growth.left_out,
        )
    )


async def left_out_of_builds(tx: Transaction, build_ids: Sequence[str]) -> dict[str, int]:
    """By build: how much of its record was left out. Builds with complete records aren't listed."""
    query = (
        select(record_sizes.c.build_id, func.sum(record_sizes.c.left_out).label("left_out"))
        .where(record_sizes.c.build_id.in_(build_ids), record_sizes.c.left_out > 0)
        .group_by(record_sizes.c.build_id)
    )
    return {row.build_id: int(row.left_out) for row in await tx.execute(query)}


async def delete_sizes(tx: Transaction, build_ids: Sequence[str]) -> int:
    """Remove the rows of builds; returns how many."""
    return (await tx.execute(delete(record_sizes).where(record_sizes.c.build_id.in_(build_ids)))).rowcount
