"""The queue of builds that wait for their turn."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stoker.domain.builds import BuildStatus
from stoker.domain.errors import ResourceExhausted
from stoker.domain.queue import QueuePlace, Waiting, next_in_queue, places
from stoker.domain.wording import counted
from stoker.services.leasing import add_lease
from stoker.services.lookup import require_organization
from stoker.services.wakeups import FLEET, LEASES, QUEUE, build_topic, builds_topics
from stoker.store import builds as build_store
from stoker.store import waiting as waiting_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.domain.builds import Build
    from stoker.domain.leases import Lease
    from stoker.domain.platforms import Platform
    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.store.database import Transaction

_LONGEST_WAIT = 30.0

_log = logging.getLogger(__name__)


async def lease_or_wait(core: Core, tx: Transaction, build: Build, platform: Platform) -> Lease | None:
    """A lease when it is the build's turn, else None, with a place in the queue.

    The caller holds the lock of the queue, and that of the build's project.

    Raises:
        ResourceExhausted: the queue of the organization or of the project is full.
    """
    limits = core.limits.builds
    one = Waiting(
        id=core.new_id(),
        build_id=build.id,
        platform=platform,
        organization_id=build.organization_id,
        project_id=build.project_id,
        created_at=core.now(),
        expires_at=core.now() + core.limits.builds.lease_lifetime,
    )
    holding = await waiting_store.builds_with_machines(tx)
    # It alone first: when it has to wait whoever else does, no queue is to be read.
    if next_in_queue([one], holding, limits.at_once):
        organization_id = None if limits.at_once.on_server else build.organization_id
        queue: list[Waiting] = []
        if await waiting_store.is_anybody_waiting(tx, organization_id):
            queue = await waiting_store.front_of_queue(tx, holding, limits.at_once, organization_id)
        if one in next_in_queue([*queue, one], holding, limits.at_once):
            return await add_lease(core, tx, build, platform)
    length, of_projects = await waiting_store.count_waiting(tx, build.organization_id)
    for whose, count, most in (
        ("organization", length, limits.max_waiting_builds),
        ("project", of_projects.get(build.project_id, 0), limits.max_waiting_builds_per_project),
    ):
        if count >= most:
            raise ResourceExhausted(
                f"the {whose} has {counted(count, 'build')} waiting, which is the most; try again later"
            )
    await waiting_store.add_waiting(tx, one)
    tx.after_commit(lambda: core.wakeups.wake(*builds_topics(one.organization_id, one.project_id)))
    _log.info(
        "build %s of project %s waits for its turn at position %d of its organization",
        build.id,
        build.project_id,
        length + 1,
    )
    return None


class QueueService:
    """The use cases of the queue."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def run(self) -> None:
        """Serve those who wait, whenever something has changed, until cancelled."""
        with self._core.wakeups.subscribe(QUEUE) as subscription:
            while True:
                await self.serve()
                await subscription.wait(_LONGEST_WAIT)

    async def serve(self) -> list[str]:
        """Give leases to those whose turn it is; the ids of their builds."""
        async with self._core.database.read() as tx:
            if not await waiting_store.is_anybody_waiting(tx):
                return []
        served: list[str] = []
        async with self._core.database.write() as tx:
            await tx.lock(Lock.QUEUE)
            holding = await waiting_store.builds_with_machines(tx)
            queue = await waiting_store.front_of_queue(tx, holding, self._core.limits.builds.at_once)
            owners = await waiting_store.owners_in_queue(tx)
            for one in next_in_queue(queue, holding, self._core.limits.builds.at_once):
                await tx.lock(Lock.PROJECT, one.project_id)
                if not await waiting_store.leave_queue(tx, one.build_id, one.platform):
                    continue  # it was released or has ended a moment ago
                build = await build_store.find_build(tx, one.build_id)
                if build is not None and build.status is BuildStatus.RUNNING:
                    await add_lease(self._core, tx, build, one.platform)
                    waited = (self._core.now() - one.created_at).total_seconds()
                    _log.info("it is the turn of build %s after %.1f s", build.id, waited)
                    served.append(build.id)
        self._core.wakeups.wake(*(build_topic(build_id) for build_id in served))
        # The places of those behind whoever left are others now.
        self._core.wakeups.wake(*(topic for owner in owners for topic in builds_topics(*owner)))
        if served:
            self._core.wakeups.wake(FLEET, LEASES)
        return served

    async def list(self, principal: Principal, organization_id: str) -> list[QueuePlace]:
        """The waiting builds of an organization in order, as far as the caller may see their projects.

        Builds that have left the queue, but for whose machine there is no room yet, come first.

        Raises:
            NotFound: the organization isn't the caller's.
        """
        async with self._core.database.read() as tx:
            organization = await require_organization(tx, principal, organization_id)
            queue = await waiting_store.queue_of_organization(tx, organization.id)
            without_room = await waiting_store.builds_without_room(tx, organization.id)
        return [
            place
            for place in (*(QueuePlace(one, 0, reason) for one, reason in without_room), *places(queue))
            if principal.may_see_project(place.waiting.organization_id, place.waiting.project_id)
        ]
