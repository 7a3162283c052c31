"""Refuses transactions of the former holder of a duty.

A server that was asleep may go on where it was, after another one has taken its duties over. So every transaction for a
duty begins with a look whether the duty is still held under the claim that its task works under. Tasks inherit the
claim of the task that starts them, so nothing that a duty does can leave it out.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.store.duties import hold_claim, is_claimed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from contextlib import AbstractAsyncContextManager

    from stoker.domain.duties import Duty
    from stoker.store.database import Database, Transaction


class DutyLost(Exception):
    """The duty is held by another process now."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One tenure of a duty."""

    duty: Duty
    token: str


_claim: ContextVar[Claim | None] = ContextVar("claim", default=None)


@contextmanager
def under(claim: Claim) -> Generator[None]:
    """Work under a claim for the time of the block; so do all tasks that are started in it, to their end."""
    before = _claim.set(claim)
    try:
        yield
    finally:
        _claim.reset(before)


class FencedDatabase:
    """A database that keeps those who work under a claim to it. Others, such as calls, are not affected."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, *, durable: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that writes.

        Raises:
            DutyLost: the task's claim is not valid any more; nothing was changed.
        """
        claim = _claim.get()
        return self._database.write(durable=durable) if claim is None else self._write_under(claim, durable=durable)

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that only reads. What is read leads to something that is done, such as sending a webhook.

        Raises:
            DutyLost: the task's claim is not valid any more.
        """
        claim = _claim.get()
        return self._database.read() if claim is None else self._read_under(claim)

    def version(self) -> object:
        """Another value after each commit."""
        return self._database.version()

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()

    @asynccontextmanager
    async def _write_under(self, claim: Claim, *, durable: bool) -> AsyncGenerator[Transaction]:
        async with self._database.write(durable=durable) as tx:
            if not await hold_claim(tx, claim.duty, claim.token):
                raise DutyLost(claim.duty.value)
            yield tx

    @asynccontextmanager
    async def _read_under(self, claim: Claim) -> AsyncGenerator[Transaction]:
        async with self._database.read() as tx:
            if not await is_claimed(tx, claim.duty, claim.token):
                raise DutyLost(claim.duty.value)
            yield tx
