"""Ends builds and leases that nobody keeps alive."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.builds import BuildResult, BuildStatus
from stoker.services.build_completion import end_build, end_lease, fail_builds, wake_ended
from stoker.services.wakeups import LEASES
from stoker.store import builds as build_store
from stoker.store import leases as lease_store
from stoker.store import solves as solve_store
from stoker.store import waiting as waiting_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.services.clock_watch import ClockWatch
    from stoker.services.core import Core
    from stoker.services.signs_of_life import SignsOfLife
    from stoker.store.builds import UnheldBuild

_BATCH = 100
# How often builds without a machine are looked for, at most.
_LOOK_SECONDS = 5.0
_LONGEST_WAIT = 30.0


class ExpiryService:
    """Use cases of expiry."""

    def __init__(self, core: Core, clock_watch: ClockWatch, signs: SignsOfLife) -> None:
        self._core = core
        self._clock_watch = clock_watch
        self._signs = signs
        # As nobody could be heard before.
        self._began = core.monotonic()
        self._look_at = self._began
        self._look_again = False

    async def run(self) -> None:
        """Expire builds and leases when their time is over, until cancelled."""
        with self._core.wakeups.subscribe(LEASES) as subscription:
            while True:
                await self.expire()
                next_expiry = await self.next_expiry()
                wait = _LONGEST_WAIT
                if next_expiry is not None:
                    wait = min(wait, max(0.0, (next_expiry - self._core.now()).total_seconds()))
                await subscription.wait(wait)

    async def expire(self) -> list[str]:
        """Fail builds without a sign of life from their clients, and those that last too long; their ids."""
        now = await self._clock_watch.look()
        forsaken = await self._forsaken(now)
        if not forsaken and not await self._is_due(now):
            return []
        silence = spelled(self._core.limits.builds.lease_lifetime)
        ended: list[str] = []
        async with self._core.database.write() as tx:
            # Builds of many projects may end here.
            await tx.lock(Lock.QUEUE)
            for lease in await lease_store.expired_leases(tx, now, _BATCH):
                await tx.lock(Lock.PROJECT, lease.project_id)
                if not await lease_store.has_expired(tx, lease.id, now):
                    continue  # it was released or extended a moment ago
                reason = f"no health report for {silence}: the client is gone"
                if await solve_store.all_ended_well(tx, lease.build_id):
                    reason += "; all that it built until then ended well, but it didn't say that this was all"
                if await end_build(self._core, tx, lease.build_id, BuildResult(BuildStatus.FAILED, reason)):
                    ended.append(lease.build_id)
                else:
                    await end_lease(self._core, tx, lease, reason)
            for one in await waiting_store.expired_waiting(tx, now, _BATCH):
                await tx.lock(Lock.PROJECT, one.project_id)
                if not await waiting_store.has_expired(tx, one.id, now):
                    continue
                reason = f"it waited for its turn, and nobody asked for {silence}: the client is gone"
                ended += await fail_builds(self._core, tx, [one.build_id], reason)
                await waiting_store.leave_queue(tx, one.build_id)
            lifetime = self._core.limits.builds.build_lifetime
            overdue = [build.id for build in await build_store.overdue_builds(tx, now - lifetime, _BATCH)]
            ended += await fail_builds(self._core, tx, overdue, f"the build did not end within {spelled(lifetime)}")
            # Some may hold a machine by now.
            unheld = {build.id for build in await build_store.unheld_builds(tx)} if forsaken else set[str]()
            reason = f"it held no machine, and no health report came for {silence}: the client is gone"
            ended += await fail_builds(self._core, tx, [one for one in forsaken if one in unheld][:_BATCH], reason)
        wake_ended(self._core, ended)
        return ended

    async def _forsaken(self, now: datetime) -> list[str]:
        """Builds without a machine whose clients weren't heard of in time; looked for now and again."""
        moment = self._core.monotonic()
        self._look_again = moment < self._look_at
        if self._look_again:
            return []
        lifetime = self._core.limits.builds.lease_lifetime.total_seconds()
        async with self._core.database.read() as tx:
            unheld = await build_store.unheld_builds(tx)
        self._signs.keep_only({build.id for build in unheld})
        ends: dict[str, float] = {}
        for build in unheld:
            sign = self._last_sign(build, now, moment)
            self._signs.hear(build.id, sign)
            ends[build.id] = sign + lifetime
        self._look_at = moment + min(_LOOK_SECONDS, lifetime / 4)
        return [build_id for build_id, end in ends.items() if end <= moment]

    def _last_sign(self, build: UnheldBuild, now: datetime, moment: float) -> float:
        """When a build's client was last there: unless it was heard of, it made the build, or gave its machine back."""
        known = self._signs.last(build.id)
        if known is not None:
            return known
        if build.had_machine:
            return moment
        return max(self._began, moment - max(0.0, (now - build.created_at).total_seconds()))

    async def _is_due(self, now: datetime) -> bool:
        """Check without the write lock."""
        async with self._core.database.read() as tx:
            overdue = await build_store.overdue_builds(tx, now - self._core.limits.builds.build_lifetime, 1)
            if overdue or await lease_store.expired_leases(tx, now, 1):
                return True
            return bool(await waiting_store.expired_waiting(tx, now, 1))

    async def next_expiry(self) -> datetime | None:
        """When the next lease, or place in the queue, ends if nobody reports health, or builds are looked for again."""
        async with self._core.database.read() as tx:
            moments = [await lease_store.next_lease_expiry(tx), await waiting_store.next_waiting_expiry(tx)]
        if self._signs or self._look_again:
            moments.append(self._core.now() + timedelta(seconds=max(0.0, self._look_at - self._core.monotonic())))
        return min((moment for moment in moments if moment is not None), default=None)


def spelled(duration: timedelta) -> str:
    """A duration in the largest unit in which it is whole, such as "1 minute"."""
    seconds = duration.total_seconds()
    units = ((3600, "hour"), (60, "minute"), (1, "second"))
    length, unit = next((one for one in units if seconds >= one[0] and seconds % one[0] == 0), units[-1])
    number = seconds / length
    return f"{number:g} {unit}{'' if number == 1 else 's'}"
