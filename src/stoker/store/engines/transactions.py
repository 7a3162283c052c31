"""What transactions of all databases have in common."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stoker.domain.pacing import paced
from stoker.store.locks import HeldLocks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy import Row

Item = TypeVar("Item")


class EngineTransaction:
    """The locks that a transaction holds, and what is to be done after its commit."""

    def __init__(self) -> None:
        self._locks = HeldLocks()
        self._afterwards: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], None]) -> None:
        """Keep it until the commit."""
        self._afterwards.append(action)

    def committed(self) -> None:
        """Do what was to be done afterwards."""
        for action in self._afterwards:
            action()


class MadeItems(Generic[Item]):
    """What is made of rows, up to a bound of memory: see `stoker.store.database.Transaction.scan_into`."""

    def __init__(self, make: Callable[[Row[Any]], Item], cost_of: Callable[[Item], int] | None, most: int) -> None:
        self.items: list[Item] = []
        self._make = make
        self._cost_of = cost_of
        self._room = most

    @property
    def has_room(self) -> bool:
        """Whether more may be made."""
        return self._cost_of is None or self._room > 0

    async def add(self, rows: Sequence[Row[Any]]) -> None:
        """Make something of each row, as long as there is room."""
        for item in await paced(map(self._make, rows)):
            self.items.append(item)
            self._room -= 0 if self._cost_of is None else self._cost_of(item)
            if not self.has_room:
                break


async def to_its_end(work: Awaitable[object]) -> None:
    """Wait for what uses a connection. A caller that is cancelled waits for its end, too."""
    running = asyncio.ensure_future(work)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(Exception):
            await running
        raise
