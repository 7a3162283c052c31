"""When volumes are measured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from stoker.domain.machines import Desired, Machine, MachineState
from stoker.domain.platforms import Platform
from stoker.domain.volumes import Volume, VolumeState
from stoker.fleet.measuring import VolumeMeasurer
from stoker.runtimes.sites import Sites
from stoker.services.admission import Admission
from stoker.services.bootstrap import BootstrapService
from stoker.services.core import Core, Limits
from stoker.services.wakeups import Wakeups
from stoker.store import machines as machine_store
from stoker.store import usage as usage_store
from stoker.store import volumes as volume_store
from stoker.system import SystemRandomness
from tests.contract.fake_runtime import FakeHost, FakeSite
from tests.harness.clocks import SetClock
from tests.harness.databases import DatabasePlace

INTERVAL = timedelta(minutes=15)


@dataclass
class World:
    """A project with a machine that runs, whose volume is new."""

    core: Core
    clock: SetClock
    host: FakeHost
    measurer: VolumeMeasurer
    organization: str
    project: str
    machine: Machine
    volume: str

    async def size_after(self, measured: int) -> int:
        """What is known of the volume's size once what is due was measured, while the runtime says that."""
        self.host.sizes["server", self.volume] = measured
        await self.measurer.measure_due()
        async with self.core.database.read() as tx:
            return await usage_store.organization_cache_bytes(tx, self.organization)

    async def move(self, state: MachineState) -> None:
        self.machine = replace(self.machine, state=state)
        async with self.core.database.write() as tx:
            now = self.clock.now()
            await machine_store.claim_machine(tx, self.machine.id, "claim", now, now + INTERVAL)
            await machine_store.save_claimed(tx, self.machine, "claim", now)


@pytest.fixture
async def world(place: DatabasePlace) -> AsyncIterator[World]:
    database, clock, host = place.open(), SetClock(), FakeHost()
    core = Core(database, clock, SystemRandomness(), Wakeups(), Limits(), Admission())
    first = await BootstrapService(core).first_steps(lambda _: None)
    assert first is not None
    machine = Machine(
        id=core.new_id(),
        organization_id=first.organization_id,
        project_id=first.project_id,
        platform=Platform.AMD64,
        region_id="us-east-1",
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
    volume = Volume(core.new_id(), first.project_id, Platform.AMD64, "", VolumeState.ACTIVE, 0, None)
    async with database.write() as tx:
        await machine_store.add_machine(tx, machine, clock.now())
        await volume_store.add_volume(tx, volume, clock.now())
    site = FakeSite(host, "server")
    measurer = VolumeMeasurer(core, Sites({"here": site}, otherwise=site), INTERVAL)
    made = World(core, clock, host, measurer, first.organization_id, first.project_id, machine, volume.id)
    await made.move(MachineState.READY)
    yield made
    await database.close()


async def test_a_volume_is_measured_once_after_its_machine_has_stopped(world: World) -> None:
    assert await world.size_after(5) == 0, "the machine runs"
    await world.move(MachineState.STOPPED)
    assert await world.size_after(5) == 5
    assert await world.size_after(6) == 5, "nothing can have changed since"
    await world.move(MachineState.READY)
    world.clock.time += timedelta(seconds=1)
    await world.move(MachineState.STOPPED)
    assert await world.size_after(7) == 7


async def test_a_volume_is_measured_now_and_then_while_its_machine_runs(world: World) -> None:
    for size in (1, 2):
        world.clock.time += INTERVAL - timedelta(seconds=1)
        assert await world.size_after(size) == size - 1
        world.clock.time += timedelta(seconds=2)
        assert await world.size_after(size) == size


async def test_one_that_could_not_be_measured_is_tried_again_after_the_interval(world: World) -> None:
    await world.move(MachineState.STOPPED)
    world.host.fail_measure = "no"
    assert await world.size_after(5) == 0
    world.host.fail_measure = None
    assert await world.size_after(5) == 0, "not at once"
    world.clock.time += INTERVAL
    assert await world.size_after(5) == 5


async def test_one_that_was_given_up_counts_no_more(world: World) -> None:
    await world.move(MachineState.STOPPED)
    assert await world.size_after(5) == 5
    async with world.core.database.write() as tx:
        await volume_store.give_up_volumes(tx, world.project)
    assert await world.size_after(5) == 0


async def test_a_server_that_is_being_stopped_measures_nothing(world: World) -> None:
    await world.move(MachineState.STOPPED)
    world.core.admission.close()
    assert await world.size_after(5) == 0
