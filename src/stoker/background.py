"""Work that goes on by itself in a server process, from its start to its end.

Some of it is done by every server. The rest belongs to duties: of several servers that share a database, one does it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stoker.domain.duties import RENEW_SECONDS
from stoker.store.fencing import Claim, DutyLost, under

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stoker.domain.duties import Duty
    from stoker.services.duties import DutyService

_RESTART_PAUSE = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """Something that goes on by itself.

    ``run`` works until it is cancelled; when it fails, it is called again. Only the holder of ``duty`` does it, or
    every server if that is None. ``first`` is what its holder does before calls are answered.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    duty: Duty | None = None
    first: Callable[[], Awaitable[None]] | None = None


@dataclass(slots=True)
class _Tenure:
    """The work of a duty under one claim."""

    claim: Claim
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Cancel all of it, once: what cleans up must not be cancelled again."""
        if not self.is_cancelled:
            self.is_cancelled = True
            for task in self.tasks:
                task.cancel()

    @property
    def has_ended(self) -> bool:
        """Whether all of it is over."""
        return self.is_cancelled and all(task.done() for task in self.tasks)


class Background:
    """Runs all such work of a process."""

    def __init__(
        self, work: Sequence[Work], duties: DutyService, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._work = work
        self._duties = duties
        self._pause = pause
        self._keeping: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._tenures: dict[Duty, _Tenure] = {}
        self._renewal_failed = False

    async def start(self) -> None:
        """Take the duties that are free, do what comes first in them, and start all work."""
        await self._duties.begin()
        held = self._duties.held()
        for one in self._work:
            claim = None if one.duty is None else held.get(one.duty)
            if one.first is not None and claim is not None:
                with under(claim):
                    await one.first()
        self._tasks = [self._begin(one) for one in self._work if one.duty is None]
        self._follow_duties()
        self._keeping = asyncio.create_task(self._keep_duties(), name="duties")

    async def stop(self) -> None:
        """Cancel all of it, wait for its end, and release the duties. It can be started again."""
        await _cancelled(self._keeping)
        tasks = [*self._tasks, *(task for tenure in self._tenures.values() for task in tenure.tasks)]
        for task in self._tasks:
            task.cancel()
        for tenure in self._tenures.values():
            tenure.cancel()
        self._keeping, self._tasks, self._tenures = None, [], {}
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._duties.release()
        except Exception:
            _log.exception("the duties could not be released; another server takes them later")

    async def _keep_duties(self) -> None:
        """Renew duties, and let their work follow. Work ends in time even when a renewal hangs."""
        renewing: asyncio.Task[None] | None = None
        try:
            while True:
                await self._pause(RENEW_SECONDS)
                if renewing is None or renewing.done():
                    renewing = asyncio.create_task(self._renew_duties(), name="renewal of duties")
                self._follow_duties()
        finally:
            await _cancelled(renewing)

    async def _renew_duties(self) -> None:
        try:
            await self._duties.renew()
        except Exception:
            if not self._renewal_failed:
                _log.exception("the duties can't be renewed; trying again every %g s", RENEW_SECONDS)
            self._renewal_failed = True
        else:
            self._renewal_failed = False
            self._follow_duties()

    def _follow_duties(self) -> None:
        """Start the work of duties that are held, and cancel that of those that aren't."""
        held = self._duties.held()
        for duty, tenure in list(self._tenures.items()):
            if held.get(duty) != tenure.claim:
                tenure.cancel()
            if tenure.has_ended:
                del self._tenures[duty]
        for duty, claim in held.items():
            # Work under an earlier claim has to end first.
            if duty not in self._tenures:
                with under(claim):
                    tasks = [self._begin(one) for one in self._work if one.duty is duty]
                self._tenures[duty] = _Tenure(claim, tasks)

    def _begin(self, work: Work) -> asyncio.Task[None]:
        return asyncio.create_task(self._keep_going(work), name=work.name)

    async def _keep_going(self, work: Work) -> None:
        while True:
            try:
                await work.run()
            except DutyLost:
                _log.info("%s: another process does it now", work.name)
            except Exception:
                _log.exception("%s failed; it restarts", work.name)
            await self._pause(_RESTART_PAUSE)


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
