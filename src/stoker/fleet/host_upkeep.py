"""Looks after the host of a runtime: its logs and its volumes."""

from __future__ import annotations

import asyncio
from typing import Protocol

_PAUSE_SECONDS = 30.0


class Host(Protocol):
    """What has to be looked after."""

    async def trim_logs(self) -> None:
        """Cut the logs of machines that are too long."""
        ...

    async def tend_volumes(self) -> None:
        """Do what volumes need now and again."""
        ...


class HostUpkeep:
    """Looks after a host, again and again."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def run(self) -> None:
        """Look after it until cancelled."""
        while True:
            await self._host.trim_logs()
            await self._host.tend_volumes()
            await asyncio.sleep(_PAUSE_SECONDS)
