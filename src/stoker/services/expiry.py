"""End what nobody keeps alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.builds import BuildResult, BuildStatus
from stoker.domain.wording import spelled_out
from stoker.services.endings import end_build, end_lease, fail_builds, wake_ended
from stoker.store import builds as build_store
from stoker.store import leases as lease_store
from stoker.store import solves as solve_store
from stoker.store import waiting as waiting_store

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.services.clock_watch import ClockWatch
    from stoker.services.core import Core

_BATCH = 100


class ExpiryService:
    """The use cases of time going by."""

    def __init__(self, core: Core, clock_watch: ClockWatch) -> None:
        self._core = core
        self._clock_watch = clock_watch

    async def expire(self) -> list[str]:
        """Fail the builds whose endpoints got no health reports in time, and those that last too long; their ids."""
        now = await self._clock_watch.look()
        if not await self._is_due(now):
            return []
        silence = spelled_out(self._core.limits.lease_lifetime)
        ended: list[str] = []
        async with self._core.database.write() as tx:
            for lease in await lease_store.expired_leases(tx, now, _BATCH):
                reason = f"no health report for {silence}: the client is gone"
                if await solve_store.all_ended_well(tx, lease.build_id):
                    reason += "; all that it built until then ended well, but it didn't say that this was all"
                if await end_build(self._core, tx, lease.build_id, BuildResult(BuildStatus.FAILED, reason)):
                    ended.append(lease.build_id)
                else:
                    await end_lease(self._core, tx, lease, reason)
            for one in await waiting_store.expired_waiting(tx, now, _BATCH):
                reason = f"it waited for its turn, and nobody asked for {silence}: the client is gone"
                ended += await fail_builds(self._core, tx, [one.build_id], reason)
                await waiting_store.leave_queue(tx, one.build_id)
            lifetime = self._core.limits.build_lifetime
            overdue = [build.id for build in await build_store.overdue_builds(tx, now - lifetime, _BATCH)]
            reason = f"the build did not end within {spelled_out(lifetime)}"
            ended += await fail_builds(self._core, tx, overdue, reason)
        wake_ended(self._core, ended)
        return ended

    async def _is_due(self, now: datetime) -> bool:
        """A look without the lock that a write takes."""
        async with self._core.database.read() as tx:
            overdue = await build_store.overdue_builds(tx, now - self._core.limits.build_lifetime, 1)
            if overdue or await lease_store.expired_leases(tx, now, 1):
                return True
            return bool(await waiting_store.expired_waiting(tx, now, 1))

    async def next_expiry(self) -> datetime | None:
        """When the next lease, or place in the queue, ends if nobody reports health."""
        async with self._core.database.read() as tx:
            moments = (await lease_store.next_lease_expiry(tx), await waiting_store.next_waiting_expiry(tx))
        return min((moment for moment in moments if moment is not None), default=None)
