"""Logins from the command line, found by the hash of their id or by their code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update

from stoker.domain.logins import Login
from stoker.store.tables.people import logins

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.store.database import Transaction


def _login(row: Row[Any]) -> Login:
    return Login(
        code=row.code,
        client=row.client,
        created_at=row.created_at,
        expires_at=row.expires_at,
        person_id=row.person_id,
        refused_at=row.refused_at,
        finished_at=row.finished_at,
    )


async def _find(tx: Transaction, which: ColumnElement[bool]) -> Login | None:
    row = (await tx.execute(select(logins).where(which))).one_or_none()
    return None if row is None else _login(row)


async def add_login(tx: Transaction, login: Login, secret_hash: bytes, address: str) -> None:
    """Store a new login, begun from an address, under the hash of its id."""
    await tx.execute(
        insert(logins).values(
            secret_hash=secret_hash,
            code=login.code,
            client=login.client,
            address=address,
            created_at=login.created_at,
            expires_at=login.expires_at,
        )
    )


async def find_login(tx: Transaction, secret_hash: bytes) -> Login | None:
    """The login whose id has that hash."""
    return await _find(tx, logins.c.secret_hash == secret_hash)


async def find_login_by_code(tx: Transaction, code: str) -> Login | None:
    """The login with that code."""
    return await _find(tx, logins.c.code == code)


async def count_open_logins(tx: Transaction, now: datetime, address: str | None = None) -> int:
    """How many logins, or those begun from an address, could still be approved, or be finished."""
    query = (
        select(func.count())
        .select_from(logins)
        .where(logins.c.expires_at > now, logins.c.finished_at.is_(None), logins.c.refused_at.is_(None))
    )
    if address is not None:
        query = query.where(logins.c.address == address)
    return (await tx.execute(query)).scalar_one()


async def approve_login(tx: Transaction, code: str, person_id: str) -> None:
    """Remember who approved a login."""
    await tx.execute(update(logins).where(logins.c.code == code).values(person_id=person_id))


async def refuse_login(tx: Transaction, code: str, now: datetime) -> None:
    """Remember that a login was refused."""
    await tx.execute(update(logins).where(logins.c.code == code).values(refused_at=now))


async def finish_login(tx: Transaction, code: str, now: datetime) -> None:
    """Remember that a login's token was handed out."""
    await tx.execute(update(logins).where(logins.c.code == code).values(finished_at=now))


async def delete_expired_logins(tx: Transaction, now: datetime) -> int:
    """Remove expired ones; returns how many."""
    return (await tx.execute(delete(logins).where(logins.c.expires_at <= now))).rowcount
