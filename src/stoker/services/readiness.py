"""Whether this server should be sent requests."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from stoker.services.bootstrap import SERVER_ID
from stoker.services.wakeups import READINESS
from stoker.store import facts as fact_store

if TYPE_CHECKING:
    from stoker.services.core import Core

_FRESH_SECONDS = 1.0

_log = logging.getLogger(__name__)


class ReadinessService:
    """Use cases of load balancers. They may ask as often as they like: the database is asked once a second."""

    def __init__(self, core: Core, patience_seconds: float = 1.0) -> None:
        """``patience_seconds`` is how long the database may take to answer."""
        self._core = core
        self._patience = patience_seconds
        self._asking: asyncio.Task[None] | None = None
        self._answers = True
        self._answered_at: float | None = None

    async def is_ready(self) -> bool:
        """Whether the server accepts new work, and its database answers."""
        if not self._core.admission.is_open:
            return False
        if self._asking is None and not self._is_fresh():
            self._asking = asyncio.create_task(self._ask(), name="readiness")
        if self._asking is not None:
            done, _ = await asyncio.wait({self._asking}, timeout=self._patience)
            if not done:
                return False
        return self._answers

    def _is_fresh(self) -> bool:
        return self._answered_at is not None and self._core.monotonic() - self._answered_at < _FRESH_SECONDS

    async def _ask(self) -> None:
        before = self._answers
        try:
            async with self._core.database.read() as tx:
                await fact_store.find_fact(tx, SERVER_ID)
            self._answers = True
        except Exception:
            self._answers = False
            if before:
                _log.exception("the database does not answer, so this server is not ready")
        finally:
            self._answered_at = self._core.monotonic()
            self._asking = None
        if self._answers and not before:
            _log.info("the database answers again")
        if self._answers is not before:
            self._core.wakeups.wake(READINESS)
