"""Shared builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from stoker.store.tables.builds import build_shares

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.store.database import Transaction


async def find_share(tx: Transaction, build_id: str) -> str | None:
    """The id under which a build is shared."""
    query = select(build_shares.c.share_id).where(build_shares.c.build_id == build_id)
    return (await tx.execute(query)).scalar_one_or_none()


async def find_shared_build_id(tx: Transaction, share_id: str) -> str | None:
    """The build that is shared under an id."""
    query = select(build_shares.c.build_id).where(build_shares.c.share_id == share_id)
    return (await tx.execute(query)).scalar_one_or_none()


async def add_share(tx: Transaction, build_id: str, share_id: str, now: datetime) -> None:
    """Share a build that isn't shared."""
    await tx.execute(insert(build_shares).values(build_id=build_id, share_id=share_id, created_at=now))


async def remove_share(tx: Transaction, build_id: str) -> None:
    """Stop sharing a build."""
    await tx.execute(delete(build_shares).where(build_shares.c.build_id == build_id))
