"""Endpoints: a build's hold on a machine, from the request to the release."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.builds import require_running
from stoker.domain.errors import FailedPrecondition, NotFound
from stoker.domain.leases import Endpoint
from stoker.pki.certificates import Certificates, endpoint_server_name
from stoker.services.build_completion import end_lease
from stoker.services.lookup import require_build
from stoker.services.queue import lease_or_wait
from stoker.services.tracing import build_cause
from stoker.services.wakeups import FLEET, LEASES, QUEUE, build_topic, machine_topic
from stoker.store import builds as build_store
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import projects as project_store
from stoker.store import waiting as waiting_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime, timedelta

    from stoker.domain.builds import Build
    from stoker.domain.leases import Lease
    from stoker.domain.platforms import Platform
    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.services.signs_of_life import SignsOfLife
    from stoker.store.database import Transaction

_REMEMBERED_QUESTIONS = 10_000


@dataclass(frozen=True, slots=True)
class Pending:
    """The build is in the queue, or its machine isn't ready."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is waited for: first a lease, which may take a turn in the queue, then its machine."""

    build_id: str
    platform: Platform


@dataclass(frozen=True, slots=True)
class Health:
    """The answer to a health report: ``cancels_at`` is set when the build has ended and the client should let go."""

    cancels_at: datetime | None


class EndpointService:
    """Use cases of endpoints."""

    def __init__(
        self,
        core: Core,
        certificates: Certificates,
        gateway_address: str,
        platforms: Callable[[str], frozenset[Platform]],
        signs: SignsOfLife,
    ) -> None:
        self._core = core
        self._signs = signs
        self._certificates = certificates
        self._gateway_address = gateway_address
        self._platforms = platforms
        # When those asked whose endpoint was not given yet. Who asks again later is no longer waiting for the first.
        self._asked: OrderedDict[_Wanted, float] = OrderedDict()

    async def follow(
        self, principal: Principal, build_id: str, platform: Platform
    ) -> AsyncIterator[Pending | Endpoint]:
        """Yield Pending at once and every few seconds, then the endpoint as soon as the machine is ready.

        Raises:
            FailedPrecondition: the build has ended, or ends while this waits, or the platform can't be had.
            NotFound: there is no such build, or it isn't the caller's.
            ResourceExhausted: too many builds of the organization wait already.
        """
        wanted = await self._acquire(principal, build_id, platform)
        yield Pending()
        while True:
            endpoint = await self._wait(wanted, self._core.limits.builds.pending_interval)
            if endpoint is not None:
                yield endpoint
                return
            yield Pending()

    async def get(self, principal: Principal, build_id: str, platform: Platform) -> Endpoint | None:
        """The endpoint, or None if the machine isn't ready after a few seconds; then call again.

        Raises:
            FailedPrecondition: the build has ended, or ends while this waits, or the platform can't be had.
            NotFound: there is no such build, or it isn't the caller's.
            ResourceExhausted: too many builds of the organization wait already.
        """
        wanted = await self._acquire(principal, build_id, platform)
        return await self._wait(wanted, self._core.limits.builds.connection_hold)

    async def report_health(self, principal: Principal, build_id: str, platform: Platform) -> None:
        """Keep a build's endpoint alive. `depot-client` begins to report before it asks for the endpoint.

        Raises:
            FailedPrecondition: the build has ended, or its endpoint for that platform was released.
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._core.database.write() as tx:
            build = await require_build(tx, principal, build_id)
            require_running(build)
            is_held = await self._extend(tx, _Wanted(build.id, platform))
            if not is_held and await lease_store.had_lease(tx, build.id, platform):
                raise FailedPrecondition(
                    f"the endpoint of build {build.id} for {platform} was released; get it again to go on"
                )

    async def report_cli_health(self, principal: Principal, build_id: str, platform: Platform) -> Health:
        """Keep a build's endpoint alive, for the depot CLI: it reports before it has an endpoint, and learns the end.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._core.database.write() as tx:
            build = await require_build(tx, principal, build_id)
            if build.status.finished:
                return Health(cancels_at=build.finished_at)
            await self._extend(tx, _Wanted(build.id, platform))
        return Health(cancels_at=None)

    async def release(self, principal: Principal, build_id: str, platform: Platform) -> None:
        """Release an endpoint. Succeeds if it was released before.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._core.database.write() as tx:
            build = await require_build(tx, principal, build_id)
            await tx.lock(Lock.PROJECT, build.project_id)
            lease = await lease_store.live_lease(tx, build.id, platform)
            if lease is not None:
                await end_lease(self._core, tx, lease, "released")
            elif not await waiting_store.leave_queue(tx, build.id, platform):
                return
        self._signs.hear(build_id, self._core.monotonic())
        self._core.wakeups.wake(FLEET, LEASES, QUEUE, build_topic(build_id))

    async def _acquire(self, principal: Principal, build_id: str, platform: Platform) -> _Wanted:
        wanted = _Wanted(build_id, platform)
        async with self._core.database.write() as tx:
            build = await require_build(tx, principal, build_id)
            require_running(build)
            if await self._extend(tx, wanted):
                return wanted
            await tx.lock(Lock.QUEUE)
            await tx.lock(Lock.PROJECT, build.project_id)
            # It may have ended, or another call have got it a lease, while this one waited for the locks.
            build = await require_build(tx, principal, build_id)
            require_running(build)
            if await self._extend(tx, wanted):
                return wanted
            region_id = await project_store.region_of(tx, build.project_id)
            self._core.admission.require_open_to(build, region_id)
            platforms = self._platforms(region_id)
            if platform not in platforms:
                available = ", ".join(sorted(platforms))
                raise FailedPrecondition(f"this server has no machines for {platform}; it has: {available}")
            self._core.tracer.note_cause(build_cause(build_id))
            await lease_or_wait(self._core, tx, build, platform)
        self._asked[wanted] = self._core.monotonic()
        while len(self._asked) > _REMEMBERED_QUESTIONS:
            self._asked.popitem(last=False)
        self._core.wakeups.wake(FLEET, LEASES)
        return wanted

    async def _extend(self, tx: Transaction, wanted: _Wanted) -> bool:
        """Extend a lease or a place in the queue; False if there is neither, but the client is alive."""
        until = self._core.now() + self._core.limits.builds.lease_lifetime
        lease = await lease_store.live_lease(tx, wanted.build_id, wanted.platform)
        if lease is None:
            if await waiting_store.extend_waiting(tx, wanted.build_id, wanted.platform, until):
                return True
            self._signs.hear(wanted.build_id, self._core.monotonic())
            return False
        await lease_store.extend_lease(tx, lease.id, until)
        return True

    async def _wait(self, wanted: _Wanted, timeout: timedelta) -> Endpoint | None:
        deadline = self._core.monotonic() + timeout.total_seconds()
        lease = await self._wait_for_turn(wanted, deadline)
        endpoint = None if lease is None else await self._wait_for_machine(lease, deadline)
        if endpoint is None:
            async with self._core.database.write() as tx:
                await self._extend(tx, wanted)
        elif (asked_at := self._asked.pop(wanted, None)) is not None:
            self._core.meter.endpoint_given(wanted.platform, self._core.monotonic() - asked_at)
        return endpoint

    async def _wait_for_turn(self, wanted: _Wanted, deadline: float) -> Lease | None:
        with self._core.wakeups.subscribe(build_topic(wanted.build_id)) as subscription:
            while True:
                lease = await self._lease(wanted)
                if lease is not None or not await subscription.wait(self._seconds_until(deadline)):
                    return lease

    async def _wait_for_machine(self, lease: Lease, deadline: float) -> Endpoint | None:
        topics = (build_topic(lease.build_id), machine_topic(lease.machine_id))
        with self._core.wakeups.subscribe(*topics) as subscription:
            while True:
                if await self._is_ready(lease):
                    return self._endpoint(lease)
                if not await subscription.wait(self._seconds_until(deadline)):
                    return None

    def _seconds_until(self, deadline: float) -> float:
        return max(0.0, deadline - self._core.monotonic())

    async def _lease(self, wanted: _Wanted) -> Lease | None:
        """The build's lease; None while it is in the queue."""
        async with self._core.database.read() as tx:
            build = await build_store.find_build(tx, wanted.build_id)
            lease = await lease_store.live_lease(tx, wanted.build_id, wanted.platform)
            waiting = await waiting_store.find_waiting(tx, wanted.build_id, wanted.platform)
        _require_found(build, wanted.build_id)
        if lease is None and waiting is None:
            raise _given_back(wanted.build_id)
        return lease

    async def _is_ready(self, lease: Lease) -> bool:
        async with self._core.database.read() as tx:
            build = await build_store.find_build(tx, lease.build_id)
            live = await lease_store.live_lease(tx, lease.build_id, lease.platform)
            machine = await machine_store.find_machine(tx, lease.machine_id)
        _require_found(build, lease.build_id)
        if live is None or live.id != lease.id:
            raise _given_back(lease.build_id)
        return machine is not None and machine.usable

    def _endpoint(self, lease: Lease) -> Endpoint:
        pair = self._certificates.issue_build(lease.build_id, lease.platform, self._core.limits.builds.build_lifetime)
        return Endpoint(
            address=f"tcp://{self._gateway_address}",
            server_name=endpoint_server_name(lease.machine_id),
            certificate=pair.certificate,
            private_key=pair.private_key,
            ca_certificate=self._certificates.builds_ca,
        )


def _require_found(build: Build | None, build_id: str) -> None:
    if build is None:
        raise NotFound(f"build {build_id} was not found; its project was deleted")
    require_running(build)


def _given_back(build_id: str) -> FailedPrecondition:
    return FailedPrecondition(f"the endpoint of build {build_id} was released while it was waited for")
