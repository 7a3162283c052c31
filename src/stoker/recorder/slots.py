"""Limits how many solves are followed at once: of a build, of a project, and in all."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from stoker.domain.steps import Solve
    from stoker.settings.recorder import RecorderSettings


class FollowerSlots:
    """Slots for followers. The next goes to the oldest waiting solve whose build and project are below their limits."""

    def __init__(self, settings: RecorderSettings) -> None:
        self._settings = settings
        self._taken = 0
        self._by_owner = Counter[str]()
        self._waiting: dict[asyncio.Future[None], Solve] = {}
        self._contended = asyncio.Event()

    @asynccontextmanager
    async def slot(self, solve: Solve) -> AsyncGenerator[None]:
        """A slot for the time of the block."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = solve
        self._give()
        try:
            await turn
            yield
        finally:
            self._waiting.pop(turn, None)
            if turn.done() and not turn.cancelled():
                self._count(solve, -1)
            self._give()

    async def wanted(self) -> None:
        """Return as soon as a solve waits that only the server's limit keeps out."""
        await self._contended.wait()

    def _give(self) -> None:
        for turn, solve in list(self._waiting.items()):
            if self._taken >= self._settings.max_followed_solves:
                break
            if not turn.done() and self._has_one_left(solve):
                self._count(solve, 1)
                del self._waiting[turn]
                turn.set_result(None)
        if any(self._has_one_left(solve) for solve in self._waiting.values()):
            self._contended.set()
        else:
            self._contended.clear()

    def _has_one_left(self, solve: Solve) -> bool:
        """Whether its build and its project are below their limits."""
        return (
            self._by_owner[solve.build_id] < self._settings.max_followed_solves_per_build
            and self._by_owner[solve.project_id] < self._settings.max_followed_solves_per_project
        )

    def _count(self, solve: Solve, change: int) -> None:
        self._taken += change
        for owner in (solve.build_id, solve.project_id):
            self._by_owner[owner] += change
            if not self._by_owner[owner]:
                del self._by_owner[owner]
