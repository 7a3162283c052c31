"""Deletes the records of builds that ended long ago."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stoker.store import attestations as attestation_store
from stoker.store import build_notes as note_store
from stoker.store import old_records
from stoker.store import record_sizes as size_store
from stoker.store import step_logs as log_store
from stoker.store import steps as step_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from stoker.services.core import Core

_BUILDS_AT_ONCE = 20
_PAUSE_SECONDS = 600.0
_PAUSE_BETWEEN_PARTS_SECONDS = 0.2


class RecordRetention:
    """Deletes records that are older than ``lifetime``."""

    def __init__(
        self, core: Core, lifetime: timedelta, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._core = core
        self._lifetime = lifetime
        self._pause = pause

    async def run(self) -> None:
        """Delete old records, a few at a time, until cancelled."""
        while True:
            deleted = await self._delete_some()
            await self._pause(_PAUSE_BETWEEN_PARTS_SECONDS if deleted else _PAUSE_SECONDS)

    async def _delete_some(self) -> int:
        """Delete the records of some builds. Returns of how many."""
        before = self._core.now() - self._lifetime
        async with self._core.database.read() as tx:
            old = await old_records.builds_with_old_records(tx, before, _BUILDS_AT_ONCE)
        if old:
            async with self._core.database.write() as tx:
                await log_store.delete_lines(tx, old)
                await step_store.delete_steps(tx, old)
                await note_store.delete_notes(tx, old)
                await attestation_store.delete_attestations(tx, old)
                await size_store.delete_sizes(tx, old)
        return len(old)
