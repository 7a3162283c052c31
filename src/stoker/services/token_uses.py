"""When tokens were last used, without a write for each request.

Uses are noted in memory and stored together now and then. Those that were not stored when the process is killed are
lost: a token was used when it says so or later, never earlier.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stoker.store import tokens as token_store

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from stoker.services.core import Core

MOST_NOTED = 10_000


class TokenUses:
    """Notes of uses that are not stored yet: the last one of each token, for as many tokens as there is room for."""

    def __init__(self, most: int = MOST_NOTED) -> None:
        self._most = most
        self._last: dict[str, datetime] = {}

    def note(self, token_id: str, now: datetime) -> None:
        """Remember that a token was used just now. When there is no room for one more token, its use goes unnoted."""
        if token_id in self._last or len(self._last) < self._most:
            self._last[token_id] = now

    def noted(self) -> dict[str, datetime]:
        """When each token was last used, as far as that is not stored yet."""
        return dict(self._last)

    def discard(self, stored: dict[str, datetime]) -> None:
        """Drop what is stored now, but not what was noted since."""
        for token_id, moment in stored.items():
            if self._last.get(token_id) == moment:
                del self._last[token_id]


class TokenUseService:
    """Notes the uses of tokens, and stores them together."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._uses = TokenUses()

    def note(self, token_id: str, now: datetime) -> None:
        """Note that a token was used just now."""
        self._uses.note(token_id, now)

    async def run(self, pause: timedelta) -> None:
        """Store uses again and again, until cancelled. What is noted then is left to a last `store`."""
        while True:
            await asyncio.sleep(pause.total_seconds())
            await self.store()

    async def store(self) -> int:
        """Store all uses that are noted, in one transaction; of how many tokens. What can't be stored stays noted."""
        noted = self._uses.noted()
        if noted:
            async with self._core.database.write() as tx:
                await token_store.note_uses(tx, noted)
            self._uses.discard(noted)
        return len(noted)
