"""Every lock of docs/database.md: what goes wrong on PostgreSQL when two decide at once without it.

Each race runs twice. With the locks, what must hold holds. Without them it is broken, or the test would prove nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest
from sqlalchemy import select

from stoker.auth.passwords import Passwords
from stoker.domain.builds import Build, BuildResult, BuildStatus
from stoker.domain.errors import AlreadyExists
from stoker.domain.machines import MachineState, Placement
from stoker.domain.people import Membership, Person, Role
from stoker.domain.platforms import Platform
from stoker.domain.principals import CredentialKind, Principal
from stoker.domain.rates import Rate
from stoker.pki.certificates import endpoint_server_name
from stoker.services.admission import Admission
from stoker.services.bootstrap import BootstrapService
from stoker.services.builds import BuildService
from stoker.services.core import Core, Limits
from stoker.services.endpoints import EndpointService
from stoker.services.gate import GateLimits, GateService, SolveRequested
from stoker.services.leasing import add_lease
from stoker.services.logins import LoginService
from stoker.services.organizations import OrganizationService
from stoker.services.prewarming import PrewarmService
from stoker.services.projects import NewProject, ProjectService
from stoker.services.sign_in import SignInService
from stoker.services.signs_of_life import SignsOfLife
from stoker.services.wakeups import Wakeups
from stoker.settings.builds import BuildSettings
from stoker.settings.fleet import FleetSettings
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import people as person_store
from stoker.store import solves as solve_store
from stoker.store.database import Database, Transaction
from stoker.store.tables.credentials import tokens
from stoker.system import SystemRandomness
from tests.harness.clocks import SetClock
from tests.harness.databases import DatabasePlace, new_place

RACERS = 2
MEET_SECONDS = 1
DEADLINE_SECONDS = 30


class Unlocked:
    """A database whose locks don't lock. Of transactions that race, each decides before any commits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._barrier: asyncio.Barrier | None = None

    def race(self) -> None:
        self._barrier = asyncio.Barrier(RACERS)

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[Transaction]:
        async with self._database.write(durable=durable) as tx:
            yield cast("Transaction", _UnlockedTransaction(tx))
            if self._barrier is not None:
                # One may have been refused, or wait for a row of the other: then there is nobody to meet.
                with suppress(TimeoutError, asyncio.BrokenBarrierError):
                    async with asyncio.timeout(MEET_SECONDS):
                        await self._barrier.wait()

    def read(self) -> Any:
        return self._database.read()

    def version(self) -> None:
        return None

    async def close(self) -> None:
        await self._database.close()


class _UnlockedTransaction:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def lock(self, *_: object) -> None:
        await asyncio.sleep(0)


@dataclass
class World:
    """A server's database, with an organization and a project."""

    core: Core
    owner: Principal
    project: str

    @property
    def database(self) -> Database:
        return self.core.database

    async def at_once(self, *calls: Awaitable[object]) -> list[object]:
        """The results of calls that race, or what they raised."""
        if isinstance(self.database, Unlocked):
            self.database.race()
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await asyncio.gather(*calls, return_exceptions=True)

    def builds(self) -> BuildService:
        return BuildService(self.core, PrewarmService(self.core, FleetSettings()))

    async def new_build(self, project: str | None = None) -> Build:
        return (await self.builds().create(self.owner, project or self.project)).build

    async def new_project(self) -> str:
        wanted = NewProject("another", self.core.limits.regions[0])
        return (await ProjectService(self.core, lambda *_: True).create(self.owner, wanted)).id

    async def leased_builds(self) -> tuple[Build, Build]:
        """Two builds on one machine."""
        builds = (await self.new_build(), await self.new_build())
        for build in builds:
            async with self.database.write() as tx:
                await add_lease(self.core, tx, build, Platform.AMD64)
        return builds

    async def new_person(self, email: str, role: Role | None) -> Person:
        person = Person(self.core.new_id(), email, email, is_operator=False, created_at=self.core.now())
        async with self.database.write() as tx:
            await person_store.add_person(tx, person)
            if role is not None:
                membership = Membership(self.owner.organization_id, person.id, role, self.core.now())
                await person_store.add_membership(tx, membership)
        return person


async def one_server_id(world: World) -> bool:
    """Two servers that start on a new database agree on its id."""
    found = await world.at_once(*(BootstrapService(world.core).server_id() for _ in range(RACERS)))
    return len(set(map(str, found))) == 1


async def one_token_of_a_login(world: World) -> bool:
    """A login's token is handed out once."""
    service = LoginService(world.core)
    started = await service.start("test")
    await service.approve(started.code, await world.new_person("ada@example.com", None))
    await world.at_once(*(service.finish(started.id) for _ in range(RACERS)))
    async with world.database.read() as tx:
        kind = tokens.c.kind == CredentialKind.USER.value
        return len((await tx.execute(select(tokens.c.id).where(kind))).all()) == 1


async def one_account_of_an_address(world: World) -> bool:
    """Of two who join with one address, the second learns that there is an account."""
    organizations = OrganizationService(world.core, "https://example.com")
    owner = replace(world.owner, roles={world.owner.organization_id: Role.OWNER})
    invite = partial(organizations.invite, owner, owner.organization_id, "ada@example.com", Role.MEMBER)
    links = [(await invite()).url.rpartition("#")[2] for _ in range(RACERS)]
    service = SignInService(world.core, Passwords(), None)
    found = await world.at_once(*(service.join(link, "", "Ada", "correct horse battery staple") for link in links))
    return sorted(isinstance(one, AlreadyExists) for one in found) == [False, True]


async def one_build_at_once(world: World) -> bool:
    """Where one build may have a machine at once, the second of two waits for its turn."""
    everywhere = frozenset(Platform)
    service = EndpointService(world.core, cast("Any", None), "", lambda _: everywhere, SignsOfLife())
    builds = [await world.new_build(), await world.new_build(await world.new_project())]

    async def ask(build: Build) -> None:
        following = service.follow(world.owner, build.id, Platform.AMD64)
        await anext(following)
        await following.aclose()  # pyright: ignore[reportAttributeAccessIssue]

    await world.at_once(*map(ask, builds))
    async with world.database.read() as tx:
        return await lease_store.count_builds_on_machines(tx) == 1


async def idle_after_the_last(world: World) -> bool:
    """When the last two builds of a machine end at once, it is idle."""
    service = world.builds()
    builds = await world.leased_builds()
    result = BuildResult(BuildStatus.SUCCEEDED)
    await world.at_once(*(service.finish(world.owner, build.id, result) for build in builds))
    async with world.database.read() as tx:
        machine = await machine_store.machine_of(tx, world.project, Platform.AMD64)
    return machine is not None and machine.idle_since is not None


async def an_owner_is_left(world: World) -> bool:
    """Of two owners who leave at once, one stays."""
    service = OrganizationService(world.core, "https://example.com")
    organization = world.owner.organization_id
    owners = [await world.new_person(f"{name}@example.com", Role.OWNER) for name in ("ada", "bob")]
    await world.at_once(*(service.remove_member(world.owner, organization, person.id) for person in owners))
    async with world.database.read() as tx:
        return len(await person_store.owners_of(tx, organization)) == 1


async def no_more_solves_than_allowed(world: World) -> bool:
    """A build that may begin one solve begins one of two."""
    limits = GateLimits(questions=10, solves=1, solve_rate=Rate(100, 100), solve_wait_seconds=1)
    service = GateService(world.core, {}, cast("Any", None), limits, records=True)
    build, _ = await world.leased_builds()
    async with world.database.write() as tx:
        machine = await machine_store.machine_of(tx, world.project, Platform.AMD64)
        assert machine is not None
        now = world.core.now()
        await machine_store.claim_machine(tx, machine.id, "test", now, now + timedelta(minutes=1))
        ready = replace(machine, state=MachineState.READY, placement=Placement("127.0.0.1", 4000))
        await machine_store.save_claimed(tx, ready, "test", now)
    name = endpoint_server_name(machine.id)
    refs = ("first", "second")
    await world.at_once(*(service.admit_solve(build.id, Platform.AMD64, name, ref, SolveRequested()) for ref in refs))
    async with world.database.read() as tx:
        return await solve_store.count_solves(tx, build.id) == 1


RACES: dict[str, Callable[[World], Awaitable[bool]]] = {
    "server": one_server_id,
    "logins": one_token_of_a_login,
    "people": one_account_of_an_address,
    "queue": one_build_at_once,
    "project": idle_after_the_last,
    "organization": an_owner_is_left,
    "build": no_more_solves_than_allowed,
}


@pytest.fixture
async def new_world(tmp_path: Any, start_postgresql: Any) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """Makes worlds on PostgreSQL, with locks or without them."""
    opened: list[Database] = []

    async def make(*, locked: bool) -> World:
        place: DatabasePlace = new_place("postgresql", tmp_path, start_postgresql)
        database: Any = place.open() if locked else Unlocked(place.open())
        opened.append(database)
        limits = Limits(builds=BuildSettings(max_builds=1))
        core = Core(database, SetClock(), SystemRandomness(), Wakeups(), limits, Admission())
        first = await BootstrapService(core).first_steps(lambda _: None)
        assert first is not None
        owner = Principal(CredentialKind.ORGANIZATION, "token", (first.organization_id,))
        return World(core, owner, first.project_id)

    yield make
    for database in opened:
        await database.close()


@pytest.mark.parametrize("lock", RACES)
async def test_what_a_lock_guards_holds(lock: str, new_world: Callable[..., Awaitable[World]]) -> None:
    assert await RACES[lock](await new_world(locked=True))


@pytest.mark.parametrize("lock", RACES)
async def test_without_a_lock_it_would_not(lock: str, new_world: Callable[..., Awaitable[World]]) -> None:
    assert not await RACES[lock](await new_world(locked=False))
