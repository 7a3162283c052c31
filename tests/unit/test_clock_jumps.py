"""A clock that is set, or a host that slept, costs no build its machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stoker.domain.builds import Build
from stoker.domain.platforms import Platform
from stoker.domain.principals import CredentialKind, Principal
from stoker.services.admission import Admission
from stoker.services.bootstrap import BootstrapService
from stoker.services.builds import BuildService
from stoker.services.core import Core, Limits
from stoker.services.expiry import ExpiryService
from stoker.services.leasing import add_lease
from stoker.services.wakeups import Wakeups
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store.database import open_sqlite
from stoker.store.migrate import migrate
from stoker.system import SystemRandomness

LIFETIME = Limits().lease_lifetime


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

    async def lives_until(self) -> datetime:
        async with self.core.database.read() as tx:
            lease = await lease_store.live_lease(tx, self.build.id, Platform.AMD64)
        assert lease is not None
        return lease.expires_at


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    migrate(tmp_path / "stoker.db")
    database, times = open_sqlite(tmp_path / "stoker.db"), Times()
    core = Core(database, times, SystemRandomness(), Wakeups(), Limits(), Admission())
    first = await BootstrapService(core).first_steps(lambda _: None)
    assert first is not None
    owner = Principal(CredentialKind.ORGANIZATION, "token", (first.organization_id,))
    created = await BuildService(core).create(owner, first.project_id)
    async with database.write() as tx:
        await add_lease(core, tx, created.build, Platform.AMD64)
    yield World(core, times, ExpiryService(core, times.monotonic), created.build)
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
