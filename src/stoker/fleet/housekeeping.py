"""Keeps caches to their projects' policies.

BuildKit prunes by itself only once a minute. In that time a few builds can write more than a volume's headroom. So
we prune a machine's cache each time that a build releases the machine, and before it is ready when its volume is over
the policy at its start.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stoker.buildkit.control import ControlFailed, prune
from stoker.domain.machines import MachineState
from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.volumes import Caps
from stoker.store import projects as project_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.buildkit.control import ControlCredentials
    from stoker.domain.cache_policy import CachePolicy
    from stoker.domain.machines import Machine
    from stoker.runtimes.sites import Sites
    from stoker.services.core import Core
    from stoker.settings.fleet import FleetSettings

_MEGABYTE = 1000**2

_log = logging.getLogger(__name__)


class Housekeeping:
    """Prunes machines' caches to their projects' cache policies."""

    def __init__(self, core: Core, sites: Sites, credentials: ControlCredentials, options: FleetSettings) -> None:
        self._core = core
        self._sites = sites
        self._credentials = credentials
        self._options = options
        self._held: Mapping[str, frozenset[str]] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, tuple[Machine, bool]] = {}

    def prune_released(self, machines: list[Machine], leases: Mapping[str, frozenset[str]]) -> None:
        """Begin to prune the machines that a build has released since the last call.

        Args:
            machines: all machines that aren't stopped.
            leases: the ids of each machine's live leases.
        """
        for machine in machines:
            held = leases.get(machine.id, frozenset())
            is_let_go = bool(self._held.get(machine.id, frozenset()) - held)
            if is_let_go and machine.build_id is None and machine.state is MachineState.READY:
                self._begin(machine, is_idle=not held)
        self._held = leases

    async def shrink(self, machine: Machine) -> None:
        """Prune the cache of a machine that no build uses to its policy, and lower its volume's cap."""
        policy = await self._policy(machine)
        if machine.volume_id is None or policy is None:
            return
        try:
            async with asyncio.timeout(self._options.housekeeping_timeout_seconds):
                await self._prune(machine, policy)
                await self._settle(machine, machine.volume_id, policy, fresh=True)
        except (ControlFailed, RuntimeFailed, TimeoutError) as error:
            # Most often it has been stopped since, and its next start looks at the volume. BuildKit goes on with it
            # too, and the cap holds.
            _log.info("machine %s was not kept to its cache policy: %s", machine.id, error)

    async def stop(self) -> None:
        """End the work here. Machines finish the prunes that they have begun."""
        for task in self._work.values():
            task.cancel()
        await asyncio.gather(*self._work.values(), return_exceptions=True)

    def _begin(self, machine: Machine, *, is_idle: bool) -> None:
        if machine.id in self._work:
            self._again[machine.id] = (machine, is_idle)
        else:
            work = self._keep(machine, is_idle=is_idle)
            self._work[machine.id] = asyncio.create_task(work, name=f"housekeeping {machine.id}")

    async def _keep(self, machine: Machine, *, is_idle: bool) -> None:
        try:
            following: tuple[Machine, bool] | None = (machine, is_idle)
            while following is not None:
                await self._keep_once(*following)
                await asyncio.sleep(self._options.housekeeping_seconds)
                following = self._again.pop(machine.id, None)
        finally:
            self._work.pop(machine.id, None)

    async def _keep_once(self, machine: Machine, is_idle: bool) -> None:  # noqa: FBT001
        policy = await self._policy(machine)
        if policy is None or machine.volume_id is None:
            return
        try:
            if is_idle and await self._settle(machine, machine.volume_id, policy, fresh=False):
                await self.shrink(machine)
                return
            async with asyncio.timeout(self._options.housekeeping_timeout_seconds):
                await self._prune(machine, policy)
        except (ControlFailed, RuntimeFailed, TimeoutError) as error:
            _log.info("machine %s was not kept to its cache policy: %s", machine.id, error)

    async def _settle(self, machine: Machine, volume_id: str, policy: CachePolicy, *, fresh: bool) -> bool:
        """Set the volume's cap, where volumes have caps. Returns whether the volume is nearly full."""
        volumes = self._sites.volumes_of(machine.region_id)
        return isinstance(volumes, Caps) and await volumes.settle(volume_id, policy, fresh=fresh)

    async def _policy(self, machine: Machine) -> CachePolicy | None:
        async with self._core.database.read() as tx:
            project = await project_store.find_project(tx, machine.project_id)
        return None if project is None else project.cache_policy

    async def _prune(self, machine: Machine, policy: CachePolicy) -> None:
        if machine.placement is None:
            return
        dropped = await prune(machine.placement, machine.server_name, self._credentials, policy.keep_bytes)
        if dropped:
            self._core.meter.cache_dropped(dropped)
            _log.info("machine %s dropped %.1f MB of cache", machine.id, dropped / _MEGABYTE)
