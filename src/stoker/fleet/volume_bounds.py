"""Has the runtime bound what untrusted builds write, now and again: what is free changes while they run."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stoker.runtimes.errors import RuntimeFailed
from stoker.store import volumes as volume_store

if TYPE_CHECKING:
    from stoker.runtimes.contract import Runtime
    from stoker.services.core import Core

_PAUSE_SECONDS = 5.0

_log = logging.getLogger(__name__)


class VolumeBounds:
    """Tells the runtime which volumes are those of untrusted builds."""

    def __init__(self, core: Core, runtime: Runtime) -> None:
        self._core = core
        self._runtime = runtime

    async def run(self) -> None:
        """Do so until cancelled."""
        were_some = True
        while True:
            async with self._core.database.read() as tx:
                volumes = await volume_store.untrusted_volumes(tx)
            if volumes or were_some:
                try:
                    await self._runtime.bound_volumes(volumes)
                except RuntimeFailed as error:
                    _log.warning("the volumes of untrusted builds can't be bounded: %s", error)
            were_some = bool(volumes)
            await asyncio.sleep(_PAUSE_SECONDS)
