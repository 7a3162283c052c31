"""Forget what has served its time: sessions, invitations and logins that have expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.store import invitations as invitation_store
from stoker.store import logins as login_store
from stoker.store import sessions as session_store

if TYPE_CHECKING:
    from stoker.services.core import Core


class ForgettingService:
    """The use case of old rows."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def forget(self) -> int:
        """Remove all that has expired; how many rows that were."""
        now = self._core.now()
        async with self._core.database.write() as tx:
            return (
                await session_store.forget_old_sessions(tx, now)
                + await invitation_store.forget_old_invitations(tx, now)
                + await login_store.forget_old_logins(tx, now)
            )
