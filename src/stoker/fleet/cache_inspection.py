"""Inspects the caches of machines that run, and stores what was there when they stop.

Nothing changes in the volume of a stopped machine, so what was stored then stays true.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stoker.buildkit.control import ControlFailed, cache_records
from stoker.domain.cache_contents import CacheContents, folded
from stoker.domain.machines import MachineState
from stoker.store import cache_contents as contents_store

if TYPE_CHECKING:
    from stoker.buildkit.control import ControlCredentials
    from stoker.domain.machines import Machine
    from stoker.services.core import Core
    from stoker.settings.fleet import FleetSettings

_log = logging.getLogger(__name__)


class CacheInspection:
    """Asks machines what is in their caches."""

    def __init__(self, core: Core, credentials: ControlCredentials, options: FleetSettings) -> None:
        self._core = core
        self._credentials = credentials
        self._options = options

    async def inspect(self, machine: Machine) -> CacheContents | None:
        """What is in the cache of a machine now. None when it doesn't run, or doesn't answer."""
        if machine.placement is None or machine.state is not MachineState.READY:
            return None
        try:
            async with asyncio.timeout(self._options.cache_inspection_timeout_seconds):
                records = await cache_records(machine.placement, machine.server_name, self._credentials)
        except (ControlFailed, TimeoutError) as error:
            _log.info("machine %s did not say what is in its cache: %s", machine.id, error)
            return None
        return CacheContents(self._core.now(), folded(records, self._options.cache_records))

    async def store_contents(self, machine: Machine) -> None:
        """Store what is in the cache of a machine that is about to stop. A failure is logged only."""
        contents = await self.inspect(machine)
        if contents is not None and machine.volume_id is not None:
            async with self._core.database.write() as tx:
                await contents_store.keep_contents(tx, machine.volume_id, contents)
