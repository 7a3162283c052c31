"""Sessions of browsers, found by the hash of their secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from stoker.store.tables.people import sessions

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.store.database import Transaction


async def add_session(
    tx: Transaction, secret_hash: bytes, person_id: str, created_at: datetime, expires_at: datetime
) -> None:
    """Store a new session."""
    await tx.execute(
        insert(sessions).values(
            secret_hash=secret_hash, person_id=person_id, created_at=created_at, expires_at=expires_at
        )
    )


async def find_session(tx: Transaction, secret_hash: bytes, now: datetime) -> str | None:
    """The id of a session's person, unless it has expired."""
    query = select(sessions.c.person_id).where(sessions.c.secret_hash == secret_hash, sessions.c.expires_at > now)
    return (await tx.execute(query)).scalar_one_or_none()


async def remove_session(tx: Transaction, secret_hash: bytes) -> None:
    """End a session."""
    await tx.execute(delete(sessions).where(sessions.c.secret_hash == secret_hash))


async def remove_sessions_of(tx: Transaction, person_id: str) -> None:
    """End all sessions of a person."""
    await tx.execute(delete(sessions).where(sessions.c.person_id == person_id))


async def end_oldest_sessions(tx: Transaction, person_id: str, most: int) -> None:
    """End the oldest sessions of a person beyond so many."""
    newest = select(sessions.c.created_at).where(sessions.c.person_id == person_id)
    oldest = newest.order_by(sessions.c.created_at.desc()).offset(most).limit(1).scalar_subquery()
    await tx.execute(delete(sessions).where(sessions.c.person_id == person_id, sessions.c.created_at <= oldest))


async def delete_expired_sessions(tx: Transaction, now: datetime) -> int:
    """Remove expired ones; returns how many."""
    return (await tx.execute(delete(sessions).where(sessions.c.expires_at <= now))).rowcount
