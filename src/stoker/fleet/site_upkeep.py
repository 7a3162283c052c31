"""Looks after the sites of a server: their logs and their volumes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stoker.runtimes.errors import RuntimeFailed

if TYPE_CHECKING:
    from stoker.runtimes.sites import Sites

_PAUSE_SECONDS = 30.0

_log = logging.getLogger(__name__)


class SiteUpkeep:
    """Looks after all sites, again and again."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites

    async def run(self) -> None:
        """Look after them until cancelled."""
        while True:
            for site in self._sites:
                try:
                    await site.tend()
                except RuntimeFailed as error:
                    _log.warning("a site could not be looked after: %s", error)
            await asyncio.sleep(_PAUSE_SECONDS)
