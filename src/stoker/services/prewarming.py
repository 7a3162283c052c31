"""Starts machines for builds that were just created, while their clients still prepare what to send."""

from __future__ import annotations

import logging
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.prewarming import Load, may_prewarm
from stoker.services.wakeups import FLEET, PREWARM
from stoker.store import machines as machine_store
from stoker.store import waiting as waiting_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.domain.builds import Build
    from stoker.services.core import Core
    from stoker.settings.fleet import FleetSettings
    from stoker.store.database import Transaction

# How long a start may wait for its turn and still be worth it.
_WORTH_IT = timedelta(seconds=30)
_MOST_EXPECTED = 1000

_log = logging.getLogger(__name__)


class PrewarmService:
    """Guesses which machine a new build will ask for: the one that its project used last."""

    def __init__(self, core: Core, options: FleetSettings) -> None:
        self._core = core
        self._options = options
        self._expected: OrderedDict[str, Build] = OrderedDict()

    def expect(self, build: Build) -> None:
        """Say that a build was created. Its caller doesn't wait for what follows from that.

        An untrusted build has a machine and a cache of its own, which its first request makes.
        """
        if self._options.prewarm and not build.untrusted and len(self._expected) < _MOST_EXPECTED:
            self._expected[build.project_id] = build
            self._core.wakeups.wake(PREWARM)

    async def run(self) -> None:
        """Start machines for the builds that are expected, one after the other, until cancelled."""
        with self._core.wakeups.subscribe(PREWARM) as subscription:
            while True:
                while self._expected:
                    _, build = self._expected.popitem(last=False)
                    await self._prewarm(build)
                await subscription.wait(None)

    async def _prewarm(self, build: Build) -> None:
        # Most machines run already, which is found out without a transaction that writes.
        async with self._core.database.read() as tx:
            if await self._machine_for(tx, build) is None:
                return
        async with self._core.database.write() as tx:
            await tx.lock(Lock.QUEUE)
            await tx.lock(Lock.PROJECT, build.project_id)
            machine_id = await self._machine_for(tx, build)
            if machine_id is None:
                return
            now = self._core.now()
            await machine_store.prewarm_machine(tx, machine_id, now, now + _WORTH_IT)
        self._core.wakeups.wake(FLEET)
        _log.info("machine %s of project %s is kept ready for build %s", machine_id, build.project_id, build.id)

    async def _machine_for(self, tx: Transaction, build: Build) -> str | None:
        machine = await machine_store.machine_used_last(tx, build.project_id)
        if machine is None:
            return None
        of_organization, on_server = await machine_store.count_running_machines(tx, build.organization_id)
        queue = await waiting_store.is_anybody_waiting(tx)
        load = Load(of_organization, on_server, queue)
        stops_before = self._core.now() + _WORTH_IT - self._options.idle_timeout
        return machine.id if may_prewarm(machine, load, self._core.limits.builds.at_once, stops_before) else None
