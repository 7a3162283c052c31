"""Deletes expired sessions, invitations and logins, old audit events, and old deliveries of webhooks."""

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


class RetentionService:
    """Deletes old rows."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def run(self, pause: timedelta) -> None:
        """Delete what has expired, again and again, until cancelled."""
        while True:
            await self.delete_expired()
            await asyncio.sleep(pause.total_seconds())

    async def delete_expired(self) -> int:
        """Delete all that has expired, in pieces, so that others can write in between. Returns the number of rows."""
        now = self._core.now()
        old_deliveries = now - self._core.limits.retention.webhook_history
        return (
            await self._delete_events(now)
            + await self._delete_all(lambda tx: session_store.delete_expired_sessions(tx, now))
            + await self._delete_all(lambda tx: invitation_store.delete_expired_invitations(tx, now))
            + await self._delete_all(lambda tx: login_store.delete_expired_logins(tx, now))
            + await self._delete_all(lambda tx: webhook_store.delete_old_deliveries(tx, old_deliveries))
        )

    async def _delete_events(self, now: datetime) -> int:
        limits, deleted = self._core.limits.retention, 0
        if limits.audit_lifetime is not None:
            before = now - limits.audit_lifetime
            deleted = await self._delete_all(lambda tx: audit_store.delete_old_events(tx, before))
        async with self._core.database.read() as tx:
            counts = await audit_store.count_events(tx)
        surplus = surplus_events(
            counts,
            limits.max_audit_events_per_actor,
            limits.max_audit_events_per_organization,
            limits.max_audit_events,
        )
        for owner, too_many in surplus.items():
            deleted += await self._delete_surplus(owner, too_many)
        return deleted

    async def _delete_surplus(self, owner: Owner, too_many: int) -> int:
        left = too_many
        while left > 0:
            async with self._core.database.write() as tx:
                removed = await audit_store.delete_surplus_events(tx, owner, left)
            if not removed:
                break
            left -= removed
        return too_many - left

    async def _delete_all(self, delete_some: Callable[[Transaction], Awaitable[int]]) -> int:
        total = 0
        while True:
            async with self._core.database.write() as tx:
                removed = await delete_some(tx)
            total += removed
            if not removed:
                return total
