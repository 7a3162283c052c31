"""Forget what has served its time: sessions, invitations and logins that have expired, old audit events,
and deliveries of webhooks that are done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stoker.domain.retention import surplus_events
from stoker.store import audit as audit_store
from stoker.store import invitations as invitation_store
from stoker.store import logins as login_store
from stoker.store import sessions as session_store
from stoker.store import webhooks as webhook_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime, timedelta

    from stoker.domain.retention import Owner
    from stoker.services.core import Core
    from stoker.store.database import Transaction


class ForgettingService:
    """The use case of old rows."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def run(self, pause: timedelta) -> None:
        """Remove what has expired, again and again, until cancelled."""
        while True:
            await self.forget()
            await asyncio.sleep(pause.total_seconds())

    async def forget(self) -> int:
        """Remove all that has expired, in pieces between which others write; how many rows that were."""
        now = self._core.now()
        old_deliveries = now - self._core.limits.retention.webhook_history
        return (
            await self._forget_events(now)
            + await self._all(lambda tx: session_store.forget_old_sessions(tx, now))
            + await self._all(lambda tx: invitation_store.forget_old_invitations(tx, now))
            + await self._all(lambda tx: login_store.forget_old_logins(tx, now))
            + await self._all(lambda tx: webhook_store.forget_old_deliveries(tx, old_deliveries))
        )

    async def _forget_events(self, now: datetime) -> int:
        limits, forgotten = self._core.limits.retention, 0
        if limits.audit_lifetime is not None:
            before = now - limits.audit_lifetime
            forgotten = await self._all(lambda tx: audit_store.forget_old_events(tx, before))
        async with self._core.database.read() as tx:
            counts = await audit_store.count_events(tx)
        surplus = surplus_events(
            counts,
            limits.max_audit_events_per_actor,
            limits.max_audit_events_per_organization,
            limits.max_audit_events,
        )
        for owner, too_many in surplus.items():
            forgotten += await self._surplus(owner, too_many)
        return forgotten

    async def _surplus(self, owner: Owner, too_many: int) -> int:
        left = too_many
        while left > 0:
            async with self._core.database.write() as tx:
                removed = await audit_store.forget_surplus_events(tx, owner, left)
            if not removed:
                break
            left -= removed
        return too_many - left

    async def _all(self, forget_some: Callable[[Transaction], Awaitable[int]]) -> int:
        total = 0
        while True:
            async with self._core.database.write() as tx:
                removed = await forget_some(tx)
            total += removed
            if not removed:
                return total
