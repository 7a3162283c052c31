"""Keeps leases from expiring because the clock was set or the host slept."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stoker.domain.clock import jump_between, read
from stoker.services.wakeups import FLEET, WEBHOOKS
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import waiting as waiting_store
from stoker.store.clock_jumps import move_times

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.clock import Jump
    from stoker.services.core import Core

_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class ClockWatch:
    """Use cases of a clock that jumps."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._looked = read(core.clock)
        self._looking = asyncio.Lock()

    async def begin(self) -> None:
        """At the start: extend all leases and waiting builds, as nobody could report health before."""
        until = self._core.now() + self._core.limits.builds.lease_lifetime
        async with self._core.database.write() as tx:
            await lease_store.renew_all_leases(tx, until)
            await waiting_store.renew_all_waiting(tx, until)

    async def run(self) -> None:
        """Check the clock once a second until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> datetime:
        """The time, by which nothing is over that would not be if the clock had gone on evenly."""
        async with self._looking:
            reading = read(self._core.clock)
            jump = jump_between(self._looked, reading)
            if jump is not None:
                await self._outlive(jump)
            # Only now: had it failed, the next look would have to see the jump again.
            self._looked = reading
            return reading.now

    async def _outlive(self, jump: Jump) -> None:
        _log.warning(
            "the clock jumped by %.0f s; those who hold a machine or wait for one get their full time again",
            jump.by.total_seconds(),
        )
        until = jump.now + self._core.limits.builds.lease_lifetime
        async with self._core.database.write() as tx:
            await lease_store.renew_all_leases(tx, until)
            await waiting_store.renew_all_waiting(tx, until)
            await machine_store.restart_idle_times(tx, jump.now)
            await move_times(tx, jump)
        self._core.wakeups.wake(FLEET, WEBHOOKS)
