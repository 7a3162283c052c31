"""Follow every solve from the moment that the gateway sees it; those that were left over at the start, too."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stoker.recorder.follower import Follower
from stoker.recorder.slots import FollowerSlots
from stoker.services.wakeups import SOLVES

if TYPE_CHECKING:
    from collections.abc import Callable

    from stoker.buildkit.control import ControlCredentials
    from stoker.domain.steps import Solve
    from stoker.services.core import Core
    from stoker.services.record_writer import RecordWriter
    from stoker.settings.recorder import RecorderSettings

_CLEAN_SECONDS = 600.0
_CLEAN_PAUSE = 0.2

_log = logging.getLogger(__name__)


class Recorder:
    """Keeps one follower for each solve whose record isn't at its end."""

    def __init__(
        self,
        core: Core,
        record_writer: RecordWriter,
        credentials: ControlCredentials,
        options: RecorderSettings,
        monotonic: Callable[[], float],
    ) -> None:
        self._core = core
        self._record_writer = record_writer
        self._follower = Follower(core, record_writer, credentials, options, monotonic)
        self._slots = FollowerSlots(options)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow, until cancelled. What is being followed then is followed by the next to run."""
        try:
            with self._core.wakeups.subscribe(SOLVES) as subscription:
                while True:
                    for solve in await self._record_writer.followed_solves():
                        self._begin(solve)
                    await subscription.wait(None)
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def clean(self) -> None:
        """Remove records that are older than they are kept, a few at a time, until cancelled."""
        while True:
            removed = await self._record_writer.delete_old()
            await asyncio.sleep(_CLEAN_PAUSE if removed else _CLEAN_SECONDS)

    def _begin(self, solve: Solve) -> None:
        if solve.ref not in self._tasks:
            self._tasks[solve.ref] = asyncio.create_task(self._follow(solve), name=f"record {solve.ref}")

    async def _follow(self, solve: Solve) -> None:
        try:
            is_over = False
            while not is_over:
                async with self._slots.slot(solve):
                    is_over = await self._follower.follow(solve, self._slots.wanted)
        except Exception:
            _log.exception("solve %s of build %s can't be recorded", solve.ref, solve.build_id)
            await self._record_writer.end(solve, "the server failed to record it; its log says why")
        finally:
            self._tasks.pop(solve.ref, None)
