"""Measures the sizes of volumes, and stores them.

A volume is measured after its machine has stopped, and at intervals while it runs. The database says which volumes
are due, so a restart loses none.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stoker.runtimes.errors import RuntimeFailed
from stoker.services.wakeups import VOLUMES
from stoker.store import volumes as volume_store

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from stoker.runtimes.sites import Sites
    from stoker.services.core import Core

_BATCH = 100

_log = logging.getLogger(__name__)


class VolumeMeasurer:
    """Asks the runtime for the sizes of volumes, which can take long, and stores them."""

    def __init__(self, core: Core, sites: Sites, interval: timedelta) -> None:
        self._core = core
        self._sites = sites
        self._interval = interval
        self._failed_at: dict[str, datetime] = {}

    async def run(self) -> None:
        """Measure volumes when they are due, until cancelled."""
        with self._core.wakeups.subscribe(VOLUMES) as subscription:
            while True:
                await self.measure_due()
                await subscription.wait(self._interval.total_seconds())

    async def measure_due(self) -> None:
        """Measure all volumes that are due now."""
        while due := await self._due():
            await asyncio.gather(*(self._measure(volume_id, region_id) for volume_id, region_id in due))

    async def _due(self) -> list[tuple[str, str]]:
        """Some of the volumes that are due, with their regions.

        A volume that could not be measured is tried again after the interval. While the server stops there are none,
        so that the stop doesn't wait. They are due at the next start.
        """
        if not self._core.admission.is_open:
            return []
        long_ago = self._core.now() - self._interval
        self._failed_at = {volume: failed for volume, failed in self._failed_at.items() if failed > long_ago}
        async with self._core.database.read() as tx:
            limit = _BATCH + len(self._failed_at)
            due = await volume_store.volumes_to_measure(tx, measured_before=long_ago, limit=limit)
        return [one for one in due if one[0] not in self._failed_at][:_BATCH]

    async def _measure(self, volume_id: str, region_id: str) -> None:
        began = self._core.now()
        try:
            size = await self._sites.volumes_of(region_id).size(volume_id)
        except RuntimeFailed as error:
            self._failed_at[volume_id] = began
            _log.warning("volume %s could not be measured: %s", volume_id, error)
            return
        async with self._core.database.write() as tx:
            await volume_store.set_volume_size(tx, volume_id, size, began)
