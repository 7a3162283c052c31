"""Machines that there is no room for wait, in order, and no failure is counted. Claims last as long as the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from stoker.domain.machines import Machine, MachineState
from stoker.domain.platforms import Platform
from stoker.domain.volumes import Volume, VolumeState
from stoker.runtimes.sites import Sites
from stoker.settings.fleet import FleetSettings
from stoker.store import builds as build_store
from stoker.store import machines as machine_store
from stoker.store import volumes as volume_store
from stoker.store.waiting import builds_without_room
from tests.contract.fake_runtime import FakeHost
from tests.contract.slow_runtime import FULL, SlowSite
from tests.harness.databases import DatabasePlace
from tests.harness.fleet import DEADLINE_SECONDS, Fleet, running_fleet


@dataclass
class World(Fleet):
    host: FakeHost
    site: SlowSite

    async def build(self) -> str:
        """A build with a machine of its own, which is to run."""
        return await self.begin_build(untrusted=True)

    async def machine(self, build_id: str) -> Machine:
        async with self.core.database.read() as tx:
            machine = await machine_store.machine_of_build(tx, build_id, Platform.AMD64)
        assert machine is not None
        return machine

    async def until(self, build_id: str, check: Callable[[Machine], bool]) -> Machine:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not check(machine := await self.machine(build_id)):
                self.clock.go_on(timedelta(seconds=0.05))
                await asyncio.sleep(0.01)
        return machine


def is_ready(machine: Machine) -> bool:
    return machine.state is MachineState.READY


def waits(machine: Machine) -> bool:
    return machine.state is MachineState.STOPPED and machine.waits_for is not None


@pytest.fixture
async def world(place: DatabasePlace) -> AsyncIterator[World]:
    host = FakeHost()
    site = SlowSite(host, "server")
    sites = Sites({"here": site}, otherwise=site)
    async with running_fleet(place, sites, FleetSettings(room_seconds=0.1)) as fleet:
        yield World(fleet.core, fleet.clock, fleet.organization, fleet.project, host, site)


async def test_machines_wait_for_room_in_order_and_without_failures(world: World) -> None:
    first = [await world.build(), await world.build()]
    for build_id in first:
        await world.until(build_id, is_ready)
    later = [await world.build() for _ in range(3)]
    waiting = [await world.until(build_id, waits) for build_id in later]
    assert [(machine.failures, machine.waits_for) for machine in waiting] == [(0, FULL)] * 3
    async with world.core.database.read() as tx:
        listed = [(one.build_id, reason) for one, reason in await builds_without_room(tx, world.organization)]
        hint = await build_store.hint_of(tx, later[0])
    assert sorted(listed) == sorted((build_id, FULL) for build_id in later)
    assert hint is not None
    assert FULL in hint
    for ended, (next_in_line, _) in zip([*first, listed[0][0]], listed, strict=True):
        behind = [build_id for build_id, _ in listed[[one for one, _ in listed].index(next_in_line) + 1 :]]
        await world.end_build(ended)
        ready = await world.until(next_in_line, is_ready)
        assert (ready.failures, ready.waits_for, ready.waits_since) == (0, None, None)
        for one in behind:
            assert not is_ready(await world.machine(one)), "it came before its turn"
    async with world.core.database.read() as tx:
        assert await build_store.hint_of(tx, listed[-1][0]) is None, "it explains nothing any more"


async def test_a_machine_that_is_not_wanted_any_more_leaves_the_line(world: World) -> None:
    for build_id in [await world.build(), await world.build()]:
        await world.until(build_id, is_ready)
    gone = await world.build()
    await world.until(gone, waits)
    await world.end_build(gone)
    await world.until(gone, lambda machine: machine.waits_for is None and machine.waits_since is None)


async def test_a_claim_outlives_ten_minutes_of_filling_a_volume(world: World) -> None:
    kept = Volume(world.core.new_id(), world.project, Platform.AMD64, "here", VolumeState.ACTIVE, 0, None)
    async with world.core.database.write() as tx:
        await volume_store.add_volume(tx, kept, world.clock.now())
    world.host.volumes["server", kept.id] = {"cache"}
    world.site.volumes.may_copy.clear()
    build_id = await world.build()
    await asyncio.wait_for(world.site.volumes.copying.wait(), DEADLINE_SECONDS)
    machine = await world.machine(build_id)
    began = world.clock.now()
    while world.clock.now() < began + timedelta(minutes=10):
        pauses = len(world.clock.pauses)
        world.clock.go_on(timedelta(seconds=100))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(world.clock.pauses) == pauses:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        async with world.core.database.write() as tx:
            until = world.clock.now() + timedelta(minutes=5)
            assert await machine_store.claim_machine(tx, machine.id, "other", world.clock.now(), until) is None
    world.site.volumes.may_copy.set()
    assert (await world.until(build_id, is_ready)).failures == 0
