"""Forget what has served its time: sessions, invitations and logins that have expired, old audit events,
and deliveries of webhooks that are done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.store import audit as audit_store
from stoker.store import invitations as invitation_store
from stoker.store import logins as login_store
from stoker.store import sessions as session_store
from stoker.store import webhooks as webhook_store

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.services.core import Core


class ForgettingService:
    """The use case of old rows."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def forget(self) -> int:
        """Remove all that has expired; how many rows that were."""
        now = self._core.now()
        forgotten = await self._forget_events(now)
        async with self._core.database.write() as tx:
            return (
                forgotten
                + await session_store.forget_old_sessions(tx, now)
                + await invitation_store.forget_old_invitations(tx, now)
                + await login_store.forget_old_logins(tx, now)
                + await webhook_store.forget_old_deliveries(tx, now - self._core.limits.webhook_history)
            )

    async def _forget_events(self, now: datetime) -> int:
        limits = self._core.limits
        before = None if limits.audit_lifetime is None else now - limits.audit_lifetime
        async with self._core.database.read() as tx:
            until = await audit_store.surplus_until(tx, limits.max_audit_events)
        total = 0
        while True:
            async with self._core.database.write() as tx:
                removed = await audit_store.forget_old_events(tx, before, until)
            total += removed
            if not removed:
                return total
