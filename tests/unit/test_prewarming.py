"""A machine starts when a build is created, before its client asks for it; once, and within the limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from stoker.domain.machines import Machine, MachineState
from stoker.domain.platforms import Platform
from stoker.domain.prewarming import Load, may_prewarm
from stoker.domain.principals import CredentialKind, Principal
from stoker.domain.queue import BuildLimits
from stoker.runtimes.sites import Sites
from stoker.services.builds import BuildService
from stoker.services.prewarming import PrewarmService
from stoker.services.wakeups import FLEET
from stoker.settings.fleet import FleetSettings
from stoker.store import machines as machine_store
from tests.contract.fake_runtime import FakeHost, FakeSite
from tests.harness.databases import DatabasePlace
from tests.harness.fleet import DEADLINE_SECONDS, Fleet, running_fleet
from tests.unit.test_machine_decisions import MACHINE, NOW

STOPPED = replace(MACHINE, state=MachineState.STOPPED)
QUIET = Load(of_organization=0, on_server=0, queue=False)
NO_LIMITS = BuildLimits(per_project=0, per_organization=0, on_server=0)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("machine", "load", "limits", "expected"),
    [
        (STOPPED, QUIET, NO_LIMITS, True),
        (STOPPED, replace(QUIET, queue=True), NO_LIMITS, False),
        (STOPPED, replace(QUIET, of_organization=2), replace(NO_LIMITS, per_organization=2), False),
        (STOPPED, replace(QUIET, of_organization=1), replace(NO_LIMITS, per_organization=2), True),
        (STOPPED, replace(QUIET, on_server=2), replace(NO_LIMITS, on_server=2), False),
        (replace(STOPPED, failures=1), QUIET, NO_LIMITS, False),
        (replace(STOPPED, crashes=3), QUIET, NO_LIMITS, False),
        (replace(STOPPED, waits_for="a node"), QUIET, NO_LIMITS, False),
        (replace(MACHINE, state=MachineState.STARTING), QUIET, NO_LIMITS, False),
        (replace(MACHINE, state=MachineState.STOPPING), QUIET, NO_LIMITS, False),
        (replace(MACHINE, idle_since=NOW), QUIET, NO_LIMITS, False),
        (replace(MACHINE, idle_since=NOW - SECOND), QUIET, NO_LIMITS, True),
    ],
)
def test_a_machine_is_prewarmed_where_that_takes_nothing_from_others(
    machine: Machine, load: Load, limits: BuildLimits, expected: bool
) -> None:
    assert may_prewarm(machine, load, limits, NOW) is expected


class World:
    """A fleet with machines in memory, and a service that creates builds."""

    def __init__(self, fleet: Fleet, host: FakeHost, builds: BuildService) -> None:
        self.fleet = fleet
        self.host = host
        self._builds = builds

    async def create_build(self) -> None:
        owner = Principal(CredentialKind.ORGANIZATION, "token", (self.fleet.organization,))
        await self._builds.create(owner, self.fleet.project)

    async def until(self, check: Callable[[Machine], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not check(await self._machine()):
                self.fleet.clock.go_on(timedelta(seconds=0.05))
                await asyncio.sleep(0.01)

    async def stop_when_idle(self) -> None:
        self.fleet.clock.go_on(timedelta(hours=1))
        self.fleet.core.wakeups.wake(FLEET)
        await self.until(lambda machine: machine.state is MachineState.STOPPED)

    async def _machine(self) -> Machine:
        async with self.fleet.core.database.read() as tx:
            machine = await machine_store.machine_of(tx, self.fleet.project, Platform.AMD64)
        assert machine is not None
        return machine


@asynccontextmanager
async def a_project_whose_machine_is_stopped(place: DatabasePlace, settings: FleetSettings) -> AsyncIterator[World]:
    host = FakeHost()
    site = FakeSite(host, "server")
    async with running_fleet(place, Sites({"here": site}, otherwise=site), settings) as fleet:
        prewarming = PrewarmService(fleet.core, settings)
        running = asyncio.create_task(prewarming.run())
        world = World(fleet, host, BuildService(fleet.core, prewarming))
        build = await fleet.begin_build()
        await world.until(is_ready)
        await fleet.end_build(build)
        await world.stop_when_idle()
        yield world
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def is_ready(machine: Machine) -> bool:
    return machine.state is MachineState.READY


async def test_a_new_build_finds_its_machine_ready_and_an_unused_one_stops_again(place: DatabasePlace) -> None:
    async with a_project_whose_machine_is_stopped(place, FleetSettings()) as world:
        await world.create_build()
        await world.until(is_ready)
        await world.stop_when_idle()
        assert world.host.machines == {}


async def test_a_start_that_fails_is_not_repeated_for_a_build_that_never_asks(place: DatabasePlace) -> None:
    async with a_project_whose_machine_is_stopped(place, FleetSettings()) as world:
        world.host.fail_start = "no"
        await world.create_build()
        await world.until(lambda machine: machine.failures == 1 and machine.state is MachineState.STOPPED)
        world.host.fail_start = None
        world.fleet.clock.go_on(timedelta(hours=1))
        build = await world.fleet.begin_build()
        await world.until(lambda machine: is_ready(machine) and machine.run == 3)
        await world.fleet.end_build(build)
