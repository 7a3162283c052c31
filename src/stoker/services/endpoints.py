"""Endpoints: a build's hold on a machine, from asking for it to giving it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.builds import require_running
from stoker.domain.endpoints import Endpoint
from stoker.domain.errors import FailedPrecondition, NotFound
from stoker.domain.leases import Lease
from stoker.domain.machines import Desired, Machine, MachineState
from stoker.pki.certificates import Certificates, endpoint_server_name
from stoker.services.endings import end_lease
from stoker.services.lookup import require_build
from stoker.services.wakeups import FLEET, LEASES, build_topic, machine_topic
from stoker.store import builds as build_store
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime, timedelta

    from stoker.domain.builds import Build
    from stoker.domain.platforms import Platform
    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Pending:
    """The machine isn't ready yet."""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer to a health report: ``cancels_at`` is set when the build has ended and the client should let go."""

    cancels_at: datetime | None


class EndpointService:
    """The use cases around endpoints."""

    def __init__(
        self, core: Core, certificates: Certificates, gateway_address: str, platforms: frozenset[Platform]
    ) -> None:
        self._core = core
        self._certificates = certificates
        self._gateway_address = gateway_address
        self._platforms = platforms

    async def follow(
        self, principal: Principal, build_id: str, platform: Platform
    ) -> AsyncIterator[Pending | Endpoint]:
        """Yield Pending at once and then now and again, and the endpoint as soon as the machine is ready.

        Raises:
            FailedPrecondition: the build has ended, or ends while this waits, or the platform can't be had.
            NotFound: there is no such build, or it isn't the caller's.
        """
        lease = await self._acquire(principal, build_id, platform)
        yield Pending()
        while True:
            endpoint = await self._wait(lease, self._core.limits.pending_interval)
            if endpoint is not None:
                yield endpoint
                return
            yield Pending()

    async def get(self, principal: Principal, build_id: str, platform: Platform) -> Endpoint | None:
        """The endpoint, or None when the machine isn't ready after a few seconds; ask again then.

        Raises:
            FailedPrecondition: the build has ended, or ends while this waits, or the platform can't be had.
            NotFound: there is no such build, or it isn't the caller's.
        """
        lease = await self._acquire(principal, build_id, platform)
        return await self._wait(lease, self._core.limits.connection_hold)

    async def report_health(self, principal: Principal, build_id: str, platform: Platform) -> None:
        """Keep a build's endpoint alive. `depot-client` begins to report before it asks for the endpoint.

        Raises:
            FailedPrecondition: the build has ended, or its endpoint for that platform was given back.
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._core.database.write() as tx:
            build = await require_build(tx, principal, build_id)
            require_running(build)
            lease = await lease_store.live_lease(tx, build.id, platform)
            if lease is not None:
                await self._extend(tx, lease)
            elif await lease_store.had_lease(tx, build.id, platform):
                raise FailedPrecondition(
                    f"the endpoint of build {build.id} for {platform} was given back; get it again to go on"
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
            lease = await lease_store.live_lease(tx, build.id, platform)
            if lease is not None:
                await self._extend(tx, lease)
        return Health(cancels_at=None)

    async def release(self, principal: Principal, build_id: str, platform: Platform) -> None:
        """Give an endpoint back. One that was given back before is a success.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._core.database.write() as tx:
            build = await require_build(tx, principal, build_id)
            lease = await lease_store.live_lease(tx, build.id, platform)
            if lease is None:
                return
            await end_lease(self._core, tx, lease, "released")
        self._core.wakeups.wake(FLEET, build_topic(build_id))

    async def _acquire(self, principal: Principal, build_id: str, platform: Platform) -> Lease:
        if platform not in self._platforms:
            available = ", ".join(sorted(self._platforms))
            raise FailedPrecondition(f"this server has no machines for {platform}; it has: {available}")
        async with self._core.database.write() as tx:
            build = await require_build(tx, principal, build_id)
            require_running(build)
            lease = await lease_store.live_lease(tx, build.id, platform)
            if lease is not None:
                await self._extend(tx, lease)
                return lease
            self._core.admission.require_open()
            lease = await self._add_lease(tx, build, platform)
        self._core.wakeups.wake(FLEET, LEASES)
        return lease

    async def _add_lease(self, tx: Transaction, build: Build, platform: Platform) -> Lease:
        now = self._core.now()
        machine = await self._machine(tx, build, platform)
        lease = Lease(
            id=self._core.new_id(),
            build_id=build.id,
            project_id=build.project_id,
            platform=platform,
            machine_id=machine.id,
            created_at=now,
            expires_at=now + self._core.limits.lease_lifetime,
            ended_at=None,
            end_reason=None,
        )
        await lease_store.add_lease(tx, lease)
        if machine.idle_since is not None:
            await machine_store.set_idle_since(tx, machine.id, None)
        if machine.desired is not Desired.RUNNING:
            await machine_store.set_desired(tx, machine.id, Desired.RUNNING)
        if build.started_at is None:
            await build_store.mark_build_started(tx, build.id, now)
        return lease

    async def _machine(self, tx: Transaction, build: Build, platform: Platform) -> Machine:
        machine = await machine_store.machine_of(tx, build.project_id, platform)
        if machine is not None:
            if machine.state is MachineState.STOPPED:
                await machine_store.forget_failures(tx, machine.id)
            return machine
        machine = Machine(
            id=self._core.new_id(),
            organization_id=build.organization_id,
            project_id=build.project_id,
            platform=platform,
            region_id="",
            desired=Desired.RUNNING,
            state=MachineState.STOPPED,
            run=0,
            volume_id=None,
            placement=None,
            error=None,
            failures=0,
            retry_at=None,
            idle_since=None,
        )
        await machine_store.add_machine(tx, machine, self._core.now())
        return machine

    async def _extend(self, tx: Transaction, lease: Lease) -> None:
        await lease_store.extend_lease(tx, lease.id, self._core.now() + self._core.limits.lease_lifetime)

    async def _wait(self, lease: Lease, timeout: timedelta) -> Endpoint | None:
        topics = (build_topic(lease.build_id), machine_topic(lease.machine_id))
        deadline = self._core.now() + timeout
        with self._core.wakeups.subscribe(*topics) as subscription:
            while True:
                if await self._is_ready(lease):
                    return self._endpoint(lease)
                left = (deadline - self._core.now()).total_seconds()
                if left <= 0 or not await subscription.wait(left):
                    await self._keep(lease)
                    return None

    async def _is_ready(self, lease: Lease) -> bool:
        async with self._core.database.read() as tx:
            build = await build_store.find_build(tx, lease.build_id)
            live = await lease_store.live_lease(tx, lease.build_id, lease.platform)
            machine = await machine_store.find_machine(tx, lease.machine_id)
        if build is None:
            raise NotFound(f"build {lease.build_id} was not found; its project was deleted")
        require_running(build)
        if live is None or live.id != lease.id:
            raise FailedPrecondition(f"the endpoint of build {lease.build_id} was given back while it was waited for")
        return machine is not None and machine.usable

    async def _keep(self, lease: Lease) -> None:
        async with self._core.database.write() as tx:
            await self._extend(tx, lease)

    def _endpoint(self, lease: Lease) -> Endpoint:
        pair = self._certificates.issue_build(lease.build_id, lease.platform, self._core.limits.build_lifetime)
        return Endpoint(
            address=f"tcp://{self._gateway_address}",
            server_name=endpoint_server_name(lease.machine_id),
            certificate=pair.certificate,
            private_key=pair.private_key,
            ca_certificate=self._certificates.builds_ca,
        )
