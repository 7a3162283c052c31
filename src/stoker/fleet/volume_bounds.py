"""Adjusts the caps of untrusted builds' volumes at intervals, because free disk space changes while they run."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.volumes import Caps
from stoker.store import volumes as volume_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stoker.domain.volume_caps import UntrustedVolume
    from stoker.runtimes.sites import Sites
    from stoker.services.core import Core

_PAUSE_SECONDS = 5.0

_log = logging.getLogger(__name__)


class VolumeBounds:
    """Tells each site which of its volumes belong to untrusted builds."""

    def __init__(self, core: Core, sites: Sites) -> None:
        self._core = core
        self._sites = sites

    async def run(self) -> None:
        """Do so until cancelled."""
        were_some = True
        while True:
            async with self._core.database.read() as tx:
                volumes = await volume_store.untrusted_volumes(tx)
            if volumes or were_some:
                await self._bound(volumes)
            were_some = bool(volumes)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _bound(self, found: Mapping[str, Sequence[UntrustedVolume]]) -> None:
        for site in self._sites:
            if not isinstance(site.volumes, Caps):
                continue
            volumes = [one for region_id, here in found.items() if self._sites.find(region_id) is site for one in here]
            try:
                await site.volumes.bound(volumes)
            except RuntimeFailed as error:
                _log.warning("the volumes of untrusted builds can't be bounded: %s", error)
