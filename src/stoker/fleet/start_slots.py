"""Slots for starts of machines, shared fairly among organizations."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class StartSlots:
    """Like a semaphore, but a free slot goes to the party that holds the fewest. So no crowd delays a single one.

    Within a party it is first come, first served.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, party: str) -> AsyncGenerator[None]:
        """Hold a slot for the time of the block. Waits until this party is the next in the queue."""
        await self._take(party)
        try:
            yield
        finally:
            self._release(party)

    async def _take(self, party: str) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            self._held[party] += 1
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(party, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._release(party)
            else:
                self._leave(party, granted)
            raise

    def _release(self, party: str) -> None:
        self._held[party] -= 1
        if not self._held[party]:
            del self._held[party]
        self._free += 1
        self._serve()

    def _leave(self, party: str, granted: asyncio.Future[None]) -> None:
        queue = self._waiting.get(party)
        if queue is not None and granted in queue:
            queue.remove(granted)
            if not queue:
                del self._waiting[party]

    def _serve(self) -> None:
        while self._free and self._waiting:
            party = min(self._waiting, key=lambda name: self._held[name])
            queue = self._waiting[party]
            granted = queue.popleft()
            if not queue:
                del self._waiting[party]
            if granted.done():
                continue
            self._free -= 1
            self._held[party] += 1
            granted.set_result(None)
