"""A project that moves to another site has an empty cache there, and its old one goes after a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from stoker.domain.machines import Machine, MachineState
from stoker.domain.platforms import Platform
from stoker.domain.principals import CredentialKind, Principal
from stoker.domain.projects import ProjectChange
from stoker.runtimes.sites import Sites
from stoker.services.core import Limits
from stoker.services.projects import ProjectService, UpdatedProject
from stoker.services.wakeups import FLEET
from stoker.store import machines as machine_store
from tests.contract.fake_runtime import FakeHost, FakeSite
from tests.harness.databases import DatabasePlace
from tests.harness.fleet import DEADLINE_SECONDS, Fleet, running_fleet

NORTH, SOUTH = "north-1", "south-1"
DAY = timedelta(hours=24)


@dataclass
class World(Fleet):
    host: FakeHost
    projects: ProjectService
    owner: Principal

    async def move(self, region: str) -> UpdatedProject:
        return await self.projects.update(self.owner, self.project, ProjectChange(region_id=region))

    async def machine(self, build_id: str | None) -> Machine | None:
        async with self.core.database.read() as tx:
            if build_id is not None:
                return await machine_store.machine_of_build(tx, build_id, Platform.AMD64)
            return await machine_store.machine_of(tx, self.project, Platform.AMD64)

    async def until(self, state: MachineState, build_id: str | None = None) -> Machine:
        """The project's machine, or that of an untrusted build, once it is in a state."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (machine := await self.machine(build_id)) is None or machine.state is not state:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return machine

    def volumes(self, region: str) -> set[str]:
        return {volume for server, volume in self.host.volumes if server == region}

    async def becomes(self, check: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not check():
                self.core.wakeups.wake(FLEET)
                await asyncio.sleep(0.01)

    async def fill_cache(self) -> str:
        """Build once, and let the machine stop; its volume."""
        build_id = await self.begin_build()
        volume = (await self.until(MachineState.READY)).volume_id
        await self.end_build(build_id)
        self.clock.go_on(timedelta(hours=1))
        self.core.wakeups.wake(FLEET)
        await self.until(MachineState.STOPPED)
        assert volume is not None
        return volume


@pytest.fixture
async def world(place: DatabasePlace) -> AsyncIterator[World]:
    host = FakeHost()
    sites = Sites({name: FakeSite(host, name) for name in (NORTH, SOUTH)})
    async with running_fleet(place, sites, limits=Limits(regions=(NORTH, SOUTH))) as fleet:
        owner = Principal(CredentialKind.ORGANIZATION, "token", (fleet.organization,))
        projects = ProjectService(fleet.core, sites.is_one_site)
        yield World(fleet.core, fleet.clock, fleet.organization, fleet.project, host, projects, owner)


async def test_the_old_cache_goes_after_its_time_and_no_sooner(world: World) -> None:
    old = await world.fill_cache()
    moved = await world.move(SOUTH)
    assert moved.move is not None
    assert not moved.move.has_cache
    new = await world.fill_cache()
    assert world.volumes(SOUTH) == {new}
    assert world.volumes(NORTH) == {old}
    world.clock.go_on(DAY)
    await world.becomes(lambda: world.volumes(NORTH) == set())
    assert world.volumes(SOUTH) == {new}


async def test_a_project_that_moves_back_in_time_has_its_cache_again(world: World) -> None:
    old = await world.fill_cache()
    await world.move(SOUTH)
    in_south = await world.fill_cache()
    back = await world.move(NORTH)
    assert back.move is not None
    assert back.move.has_cache
    assert await world.fill_cache() == old
    world.clock.go_on(DAY)
    await world.becomes(lambda: world.volumes(SOUTH) == set())
    assert (world.volumes(NORTH), in_south != old) == ({old}, True)


async def test_a_cache_that_a_project_is_back_at_stays_without_a_build(world: World) -> None:
    old = await world.fill_cache()
    await world.move(SOUTH)
    await world.move(NORTH)
    world.clock.go_on(DAY * 2)
    assert await world.fill_cache() == old


async def test_a_project_that_moves_back_too_late_begins_anew(world: World) -> None:
    old = await world.fill_cache()
    await world.move(SOUTH)
    world.clock.go_on(DAY - timedelta(seconds=30))
    back = await world.move(NORTH)
    assert back.move is not None
    assert not back.move.has_cache
    assert await world.fill_cache() != old


async def test_builds_that_run_end_where_they_are(world: World) -> None:
    build_id = await world.begin_build()
    before = await world.until(MachineState.READY)
    await world.move(SOUTH)
    world.clock.go_on(DAY * 2)
    during = await world.until(MachineState.READY)
    assert (during.region_id, during.volume_id, during.volume_given_up) == (NORTH, before.volume_id, False)
    await world.end_build(build_id)
    await world.until(MachineState.STOPPED)
    assert world.volumes(NORTH) == {before.volume_id}
    await world.begin_build()
    after = await world.until(MachineState.READY)
    assert (after.region_id, after.volume_id != before.volume_id) == (SOUTH, True)
    world.clock.go_on(DAY)
    await world.becomes(lambda: world.volumes(NORTH) == set())


async def test_a_project_that_moves_back_while_its_build_runs_keeps_machine_and_cache(world: World) -> None:
    build_id = await world.begin_build()
    before = await world.until(MachineState.READY)
    await world.move(SOUTH)
    back = await world.move(NORTH)
    assert back.move is not None
    assert back.move.has_cache
    await world.end_build(build_id)
    await world.until(MachineState.STOPPED)
    assert await world.fill_cache() == before.volume_id


async def test_an_untrusted_build_does_not_copy_a_cache_of_elsewhere(world: World) -> None:
    old = await world.fill_cache()
    await world.move(SOUTH)
    build_id = await world.begin_build(untrusted=True)
    machine = await world.until(MachineState.READY, build_id)
    assert machine.region_id == SOUTH
    assert world.volumes(SOUTH) == {machine.volume_id}
    assert world.volumes(NORTH) == {old}


async def test_a_reset_deletes_what_was_kept_of_a_move_too(world: World) -> None:
    await world.fill_cache()
    await world.move(SOUTH)
    await world.projects.reset(world.owner, world.project)
    await world.becomes(lambda: world.volumes(NORTH) == set())


async def test_a_region_at_the_same_site_keeps_the_cache(world: World) -> None:
    old = await world.fill_cache()
    service = ProjectService(world.core, lambda _one, _other: True)
    updated = await service.update(world.owner, world.project, ProjectChange(region_id=SOUTH))
    assert (updated.project.region_id, updated.move) == (SOUTH, None)
    assert world.volumes(NORTH) == {old}
