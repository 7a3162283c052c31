"""Facts about this server, such as its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from stoker.store.tables.facts import facts

if TYPE_CHECKING:
    from stoker.store.database import Transaction


async def find_fact(tx: Transaction, name: str) -> str | None:
    """A fact's value."""
    return (await tx.execute(select(facts.c.value).where(facts.c.name == name))).scalar_one_or_none()


async def add_fact(tx: Transaction, name: str, value: str) -> None:
    """Store a new fact."""
    await tx.execute(insert(facts).values(name=name, value=value))


async def remove_fact(tx: Transaction, name: str) -> None:
    """Delete a fact, if it is there."""
    await tx.execute(delete(facts).where(facts.c.name == name))
