"""Duties, and which server holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, bindparam, select, update

from stoker.domain.duties import Duty, DutyState
from stoker.store.inserts import insert_or_ignore
from stoker.store.tables.duties import duties

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.store.database import Transaction

_CLAIMED = select(duties.c.name).where(duties.c.name == bindparam("duty"), duties.c.claim == bindparam("token"))
# On PostgreSQL, a take-over waits for the transactions that hold their claim, and renewals don't
# (https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS).
_HELD = _CLAIMED.with_for_update(read=True, key_share=True)


def _state(row: Row[Any]) -> DutyState:
    return DutyState(Duty(row.name), row.holder, row.claim, row.until)


async def add_duties(tx: Transaction) -> None:
    """Store the duties that are not there yet. Nobody holds them."""
    for duty in Duty:
        await tx.execute(insert_or_ignore(tx, duties).values(name=duty.value))


async def list_duties(tx: Transaction) -> list[DutyState]:
    """All duties that this version knows."""
    names = [duty.value for duty in Duty]
    return [_state(row) for row in await tx.execute(select(duties).where(duties.c.name.in_(names)))]


async def take_duty(tx: Transaction, seen: DutyState, holder: str, claim: str, until: datetime) -> bool:
    """Hold a duty from now on; False if it isn't as it was seen any more."""
    row = (await tx.execute(select(duties).where(duties.c.name == seen.duty.value).with_for_update())).one()
    if _state(row) != seen:
        return False
    await tx.execute(
        update(duties).where(duties.c.name == seen.duty.value).values(holder=holder, claim=claim, until=until)
    )
    return True


async def renew_duty(tx: Transaction, duty: Duty, claim: str, until: datetime) -> bool:
    """Say that a holder is there; False if it holds the duty no longer."""
    query = update(duties).where(duties.c.name == duty.value, duties.c.claim == claim)
    return (await tx.execute(query.values(until=until))).rowcount == 1


async def release_duty(tx: Transaction, duty: Duty, claim: str) -> None:
    """Let others take a duty at once, if it is still held under this claim."""
    query = update(duties).where(duties.c.name == duty.value, duties.c.claim == claim)
    await tx.execute(query.values(holder=None, claim=None, until=None))


async def release_all_duties(tx: Transaction) -> None:
    """Let others take all duties at once, because those who held them are elsewhere."""
    await tx.execute(update(duties).values(holder=None, claim=None, until=None))


async def is_claimed(tx: Transaction, duty: Duty, claim: str) -> bool:
    """Whether a claim is the one under which a duty is held."""
    return (await tx.execute(_CLAIMED, {"duty": duty.value, "token": claim})).first() is not None


async def hold_claim(tx: Transaction, duty: Duty, claim: str) -> bool:
    """Whether a claim is the one under which a duty is held. It stays so until the transaction ends."""
    return (await tx.execute(_HELD, {"duty": duty.value, "token": claim})).first() is not None
