"""A bound on how much is done at once, shared fairly among those for whom it is done."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Turns:
    """Like a semaphore, but a free place goes to the party that has the fewest, so that no crowd delays a single one.

    Within a party it is first come, first served.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, party: str) -> AsyncGenerator[None]:
        """Hold a place for the time of the block, once it is this party's turn."""
        await self._take(party)
        try:
            yield
        finally:
            self._give_back(party)

    async def _take(self, party: str) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            self._held[party] += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(party, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(party)
            else:
                self._leave(party, turn)
            raise

    def _give_back(self, party: str) -> None:
        self._held[party] -= 1
        if not self._held[party]:
            del self._held[party]
        self._free += 1
        self._serve()

    def _leave(self, party: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(party)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[party]

    def _serve(self) -> None:
        while self._free and self._waiting:
            party = min(self._waiting, key=lambda name: self._held[name])
            queue = self._waiting[party]
            turn = queue.popleft()
            if not queue:
                del self._waiting[party]
            if turn.done():
                continue
            self._free -= 1
            self._held[party] += 1
            turn.set_result(None)
