"""A build whose client never got as far as a machine ends when nothing is heard of the client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from stoker.domain.builds import Build, BuildStatus
from stoker.domain.platforms import Platform
from stoker.domain.principals import CredentialKind, Principal
from stoker.services.admission import Admission
from stoker.services.bootstrap import BootstrapService
from stoker.services.build_completion import end_lease
from stoker.services.builds import BuildService
from stoker.services.clock_watch import ClockWatch
from stoker.services.core import Core, Limits
from stoker.services.expiry import ExpiryService, spelled
from stoker.services.leasing import add_lease
from stoker.services.prewarming import PrewarmService
from stoker.services.signs_of_life import SignsOfLife
from stoker.services.wakeups import Wakeups
from stoker.settings.fleet import FleetSettings
from stoker.store import builds as build_store
from stoker.store import leases as lease_store
from stoker.system import SystemRandomness
from tests.harness.databases import DatabasePlace
from tests.unit.test_clock_jumps import Times

LIFETIME = Limits().builds.lease_lifetime
ALMOST = LIFETIME - timedelta(seconds=10)
ENOUGH = timedelta(seconds=20)


@dataclass
class World:
    """A server whose builds have no machines."""

    core: Core
    times: Times
    signs: SignsOfLife
    expiry: ExpiryService
    owner: Principal
    project: str

    async def new_build(self) -> Build:
        return (
            await BuildService(self.core, PrewarmService(self.core, FleetSettings())).create(self.owner, self.project)
        ).build

    async def after(self, duration: timedelta) -> list[str]:
        """What has ended by then."""
        self.times.go_on(duration)
        return await self.expiry.expire()


@pytest.fixture
async def world(place: DatabasePlace) -> AsyncIterator[World]:
    database, times, signs = place.open(), Times(), SignsOfLife()
    core = Core(database, times, SystemRandomness(), Wakeups(), Limits(), Admission())
    first = await BootstrapService(core).first_steps(lambda _: None)
    assert first is not None
    owner = Principal(CredentialKind.ORGANIZATION, "token", (first.organization_id,))
    yield World(core, times, signs, ExpiryService(core, ClockWatch(core), signs), owner, first.project_id)
    await database.close()


async def test_a_build_without_a_machine_ends_after_the_time_of_a_lease(world: World) -> None:
    build = await world.new_build()
    assert await world.after(ALMOST) == []
    assert await world.after(ENOUGH) == [build.id]
    ended = await BuildService(world.core, PrewarmService(world.core, FleetSettings())).get(world.owner, build.id)
    assert ended.status is BuildStatus.FAILED
    assert ended.error == "it held no machine, and no health report came for 5 minutes: the client is gone"


async def test_health_reports_keep_it(world: World) -> None:
    build = await world.new_build()
    for _ in range(3):
        assert await world.after(ALMOST) == []
        world.signs.hear(build.id, world.times.monotonic())
    assert await world.after(ALMOST) == []
    assert await world.after(ENOUGH) == [build.id]


async def test_a_machine_keeps_it_and_one_that_is_given_back_leaves_it_time(world: World) -> None:
    build = await world.new_build()
    async with world.core.database.write() as tx:
        lease = await add_lease(world.core, tx, build, Platform.AMD64)
        await build_store.mark_build_started(tx, build.id, world.core.now())
    for _ in range(3):
        async with world.core.database.write() as tx:
            await lease_store.extend_lease(tx, lease.id, world.core.now() + LIFETIME)
        assert await world.after(ALMOST) == []
    async with world.core.database.write() as tx:
        await end_lease(world.core, tx, lease, "released")
    assert await world.after(timedelta(seconds=5)) == []
    assert await world.after(ALMOST) == []
    assert await world.after(ENOUGH) == [build.id]


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1)], ids=["forward", "back"])
async def test_a_jump_of_the_clock_ends_none(world: World, jump: timedelta) -> None:
    build = await world.new_build()
    assert await world.after(timedelta(seconds=10)) == []
    world.times.time += jump
    assert await world.after(ALMOST - timedelta(seconds=10)) == []
    assert await world.after(ENOUGH) == [build.id]


async def test_a_restart_gives_time_anew(world: World) -> None:
    build = await world.new_build()
    assert await world.after(ALMOST) == []
    world.expiry = ExpiryService(world.core, ClockWatch(world.core), SignsOfLife())
    assert await world.after(ALMOST) == []
    assert await world.after(ENOUGH) == [build.id]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (300, "5 minutes"),
        (60, "1 minute"),
        (90, "90 seconds"),
        (6, "6 seconds"),
        (86400, "24 hours"),
        (0.5, "0.5 seconds"),
    ],
)
def test_durations_are_spelled(seconds: float, words: str) -> None:
    assert spelled(timedelta(seconds=seconds)) == words
