"""Work that goes on by itself in a server process, from its start to its end."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_RESTART_PAUSE = 1.0

_log = logging.getLogger(__name__)


class Where(StrEnum):
    """Which servers do a piece of work when several of them share a database."""

    EVERY_SERVER = "every server"
    ONE_SERVER = "one server"


@dataclass(frozen=True, slots=True)
class Work:
    """Something that goes on by itself. ``run`` works until it is cancelled; when it fails, it is called again."""

    name: str
    run: Callable[[], Awaitable[None]]
    where: Where


class Background:
    """Runs all such work of a process."""

    def __init__(self, work: Sequence[Work]) -> None:
        self._work = work
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start all of it."""
        self._tasks = [asyncio.create_task(_keep_going(one), name=one.name) for one in self._work]

    async def stop(self) -> None:
        """Cancel all of it, and wait for its end. It can be started again."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_going(work: Work) -> None:
    while True:
        try:
            await work.run()
        except Exception:
            _log.exception("%s failed; it restarts", work.name)
        await asyncio.sleep(_RESTART_PAUSE)
