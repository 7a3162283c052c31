"""A clock that is set, or a host that slept, costs no build its machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from stoker.auth.tokens import hash_secret
from stoker.domain.builds import Build, BuildResult, BuildStatus
from stoker.domain.platforms import Platform
from stoker.domain.principals import CredentialKind, Principal
from stoker.domain.queue import places
from stoker.services.admission import Admission
from stoker.services.bootstrap import BootstrapService
from stoker.services.build_completion import end_build
from stoker.services.builds import BuildService
from stoker.services.clock_watch import ClockWatch
from stoker.services.core import Core, Limits
from stoker.services.expiry import ExpiryService
from stoker.services.leasing import add_lease
from stoker.services.prewarming import PrewarmService
from stoker.services.queue import lease_or_wait
from stoker.services.signs_of_life import SignsOfLife
from stoker.services.wakeups import Wakeups
from stoker.settings.builds import BuildSettings
from stoker.settings.fleet import FleetSettings
from stoker.store import builds as build_store
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import tokens as token_store
from stoker.store import waiting as waiting_store
from stoker.system import SystemRandomness
from tests.harness.databases import DatabasePlace

LIFETIME = Limits().builds.lease_lifetime


@dataclass
class Times:
    """A clock that can be set, and time that goes on evenly beside it."""

    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    steady: float = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.steady

    def go_on(self, duration: timedelta) -> None:
        self.time += duration
        self.steady += duration.total_seconds()


@dataclass
class World:
    """A build that holds a machine."""

    core: Core
    times: Times
    expiry: ExpiryService
    build: Build
    token: str

    async def lives_until(self) -> datetime:
        async with self.core.database.read() as tx:
            lease = await lease_store.live_lease(tx, self.build.id, Platform.AMD64)
        assert lease is not None
        return lease.expires_at

    async def new_build(self) -> Build:
        owner = Principal(CredentialKind.ORGANIZATION, "token", (self.build.organization_id,))
        return (
            await BuildService(self.core, PrewarmService(self.core, FleetSettings())).create(
                owner, self.build.project_id
            )
        ).build

    async def wait(self, build: Build) -> None:
        """Put a build into the queue."""
        core = replace(self.core, limits=replace(self.core.limits, builds=BuildSettings(max_builds_per_project=1)))
        async with core.database.write() as tx:
            assert await lease_or_wait(core, tx, build, Platform.AMD64) is None

    async def end(self) -> Build:
        async with self.core.database.write() as tx:
            assert await end_build(self.core, tx, self.build.id, BuildResult(BuildStatus.SUCCEEDED))
            ended = await build_store.find_build(tx, self.build.id)
        assert ended is not None
        return ended


@pytest.fixture
async def world(place: DatabasePlace) -> AsyncIterator[World]:
    database, times = place.open(), Times()
    core = Core(database, times, SystemRandomness(), Wakeups(), Limits(), Admission())
    first = await BootstrapService(core).first_steps(lambda _: None)
    assert first is not None
    owner = Principal(CredentialKind.ORGANIZATION, "token", (first.organization_id,))
    created = await BuildService(core, PrewarmService(core, FleetSettings())).create(owner, first.project_id)
    async with database.write() as tx:
        await add_lease(core, tx, created.build, Platform.AMD64)
    yield World(core, times, ExpiryService(core, ClockWatch(core), SignsOfLife()), created.build, created.token)
    await database.close()


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)], ids=["forward", "back"])
async def test_a_jump_gives_everybody_time_anew(world: World, jump: timedelta) -> None:
    world.times.time += jump

    assert await world.expiry.expire() == []

    assert await world.lives_until() == world.times.now() + LIFETIME
    world.times.go_on(LIFETIME - timedelta(seconds=1))
    assert await world.expiry.expire() == []
    world.times.go_on(timedelta(seconds=2))
    assert await world.expiry.expire() == [world.build.id], "and no more than that"


async def test_an_idle_machine_is_kept_no_longer_after_a_jump_back(world: World) -> None:
    async with world.core.database.write() as tx:
        machine = await machine_store.machine_of(tx, world.build.project_id, Platform.AMD64)
        assert machine is not None
        await machine_store.set_idle_since(tx, machine.id, world.times.now())
    world.times.time -= timedelta(hours=1)

    await world.expiry.expire()

    async with world.core.database.read() as tx:
        machine = await machine_store.find_machine(tx, machine.id)
    assert machine is not None
    assert machine.idle_since == world.times.now()


async def test_time_that_goes_by_is_no_jump(world: World) -> None:
    until = await world.lives_until()
    world.times.go_on(timedelta(minutes=2))
    await world.expiry.expire()
    assert await world.lives_until() == until


@pytest.mark.parametrize("jump", [timedelta(days=2), timedelta(hours=-1)], ids=["forward", "back"])
async def test_a_build_lasts_as_long_as_it_lasts(world: World, jump: timedelta) -> None:
    world.times.go_on(timedelta(minutes=1))
    world.times.time += jump
    assert await world.expiry.expire() == [], "nothing is overdue"
    world.times.go_on(timedelta(minutes=1))
    async with world.core.database.read() as tx:
        token = await token_store.find_token(tx, hash_secret(world.token))
    assert token is not None
    assert token.expires_at == world.times.now() - timedelta(minutes=2) + Limits().builds.build_lifetime

    ended = await world.end()

    assert ended.duration_seconds == 120
    assert ended.finished_at == world.times.now()
    assert ended.created_at == ended.finished_at - timedelta(minutes=2)


async def test_what_comes_between_a_jump_and_its_discovery_keeps_its_time(world: World) -> None:
    world.times.time += timedelta(hours=1)
    created_at = world.times.now()
    other = await world.new_build()
    world.times.go_on(timedelta(seconds=1))
    await world.expiry.expire()
    async with world.core.database.read() as tx:
        found = await build_store.find_build(tx, other.id)
    assert found is not None
    assert found.created_at == created_at


async def test_no_build_ends_before_it_began(world: World) -> None:
    world.times.time -= timedelta(hours=1)
    assert (await world.end()).duration_seconds == 0


async def test_a_start_gives_everybody_time_to_report(world: World) -> None:
    world.times.go_on(2 * LIFETIME)
    again = ClockWatch(world.core)
    await again.begin()
    assert await ExpiryService(world.core, again, SignsOfLife()).expire() == []
    world.times.go_on(LIFETIME)
    assert await ExpiryService(world.core, again, SignsOfLife()).expire() == [world.build.id]


async def test_who_waits_keeps_the_place_when_the_clock_is_set_back(world: World) -> None:
    first = await world.new_build()
    await world.wait(first)
    world.times.time -= timedelta(hours=1)
    await world.expiry.expire()
    world.times.go_on(timedelta(seconds=1))
    second = await world.new_build()
    await world.wait(second)

    async with world.core.database.read() as tx:
        queue = await waiting_store.whole_queue(tx)
    assert [place.waiting.build_id for place in places(queue)] == [first.id, second.id]
    assert [one.build_id for one in queue] == [first.id, second.id]
