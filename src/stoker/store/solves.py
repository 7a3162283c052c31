"""Which build a solve's ref belongs to: the first one that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from stoker.store.tables import solves

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.store.database import Transaction


async def find_solve_build(tx: Transaction, ref: str) -> str | None:
    """The id of the build that a ref belongs to."""
    return (await tx.execute(select(solves.c.build_id).where(solves.c.ref == ref))).scalar_one_or_none()


async def add_solve(tx: Transaction, ref: str, *, build_id: str, machine_id: str, now: datetime) -> bool:
    """Tie a ref to a build; False when it is tied already."""
    values = {"ref": ref, "build_id": build_id, "machine_id": machine_id, "created_at": now}
    done = await tx.execute(insert(solves).prefix_with("OR IGNORE", dialect="sqlite").values(values))
    return done.rowcount == 1
