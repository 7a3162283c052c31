"""Follows each solve from the moment that the gateway admits it. After a restart it follows those that still run."""

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
    from stoker.recorder.solve_records import SolveRecords
    from stoker.services.core import Core
    from stoker.settings.recorder import RecorderSettings

_log = logging.getLogger(__name__)


class Recorder:
    """Runs one follower for each solve whose record is not complete."""

    def __init__(
        self,
        core: Core,
        records: SolveRecords,
        credentials: ControlCredentials,
        options: RecorderSettings,
        monotonic: Callable[[], float],
    ) -> None:
        self._core = core
        self._records = records
        self._follower = Follower(core, records, credentials, options, monotonic)
        self._slots = FollowerSlots(options)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow solves until cancelled. The next run resumes those that are not complete."""
        try:
            with self._core.wakeups.subscribe(SOLVES) as subscription:
                while True:
                    for solve in await self._records.followed_solves():
                        self._begin(solve)
                    await subscription.wait(None)
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

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
            await self._records.end(solve, "the server failed to record it; its log says why")
        finally:
            self._tasks.pop(solve.ref, None)
