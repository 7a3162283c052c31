"""Duties: one of several servers holds each, another takes it over in time, and a former holder changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from stoker.background import Background, Work
from stoker.domain.duties import Duty, DutyState, Sighting, is_held, may_take, see
from stoker.services.admission import Admission
from stoker.services.core import Core, Limits
from stoker.services.duties import DutyService
from stoker.services.wakeups import Wakeups
from stoker.store import facts as fact_store
from stoker.store.database import Database
from stoker.store.engines.sqlite import open_sqlite
from stoker.store.fencing import DutyLost, FencedDatabase, under
from stoker.store.migrate import migrate
from stoker.system import SystemRandomness
from tests.harness.clocks import SteppedClock

ALL = set(Duty)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HELD = DutyState(Duty.FLEET, "a", "claim", NOW)
FREE = DutyState(Duty.FLEET, None, None, None)


class Broken(Exception):
    pass


@dataclass
class FaultyDatabase:
    """A database that can be made to fail, or to hang."""

    database: Database
    fails: bool = False
    goes_on: asyncio.Event | None = None

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[Any]:
        if self.goes_on is not None:
            await self.goes_on.wait()
        if self.fails:
            raise Broken
        async with self.database.write(durable=durable) as tx:
            yield tx

    def read(self) -> AbstractAsyncContextManager[Any]:
        return self.database.read()


@dataclass
class Process:
    """A process of a server, with clocks of its own."""

    core: Core
    clock: SteppedClock
    database: FaultyDatabase
    duties: DutyService

    @property
    def held(self) -> set[Duty]:
        return set(self.duties.held())


Begin = Callable[..., Process]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """Makes processes of servers on one database."""
    migrate(tmp_path / "stoker.db")
    opened: list[Database] = []

    def make(server: str, *, is_shared: bool = True, ahead: timedelta = timedelta(0)) -> Process:
        opened.append(open_sqlite(tmp_path / "stoker.db"))
        faulty = FaultyDatabase(opened[-1])
        fenced = cast("Database", FencedDatabase(cast("Database", faulty)))
        clock = SteppedClock(NOW + ahead)
        core = Core(fenced, clock, SystemRandomness(), Wakeups(), Limits(), Admission())
        return Process(core, clock, faulty, DutyService(core, server, is_shared=is_shared))

    yield make
    for database in opened:
        await database.close()


async def add(core: Core, name: str) -> None:
    """Write something."""
    async with core.database.write() as tx:
        await fact_store.add_fact(tx, name, "x")


async def read(core: Core, name: str) -> str | None:
    async with core.database.read() as tx:
        return await fact_store.find_fact(tx, name)


async def go_on(seconds: float, *processes: Process) -> None:
    """Let time pass for processes, and have each renew its duties."""
    for process in processes:
        process.clock.go_on(timedelta(seconds=seconds))
        await process.duties.renew()


@pytest.mark.parametrize(
    ("state", "seconds", "is_shared", "at_start", "may"),
    [
        pytest.param(FREE, 0, True, False, True, id="nobody holds it"),
        pytest.param(HELD, 9.9, True, False, False, id="its holder may be there"),
        pytest.param(HELD, 10, True, False, True, id="its holder was silent for too long"),
        pytest.param(HELD, 0, True, True, False, id="another server holds it"),
        pytest.param(HELD, 0, False, True, True, id="there is no other server"),
        pytest.param(HELD, 0, False, False, False, id="a successor of this process holds it"),
    ],
)
def test_when_a_duty_may_be_taken(state: DutyState, seconds: float, is_shared: bool, at_start: bool, may: bool) -> None:
    assert may_take(Sighting(state, 100), "b", 100 + seconds, is_shared=is_shared, at_start=at_start) is may


@pytest.mark.parametrize(("at_start", "may"), [(True, True), (False, False)])
def test_a_server_takes_its_own_duties_back_only_when_it_starts(at_start: bool, may: bool) -> None:
    assert may_take(Sighting(HELD, 100), "a", 100, is_shared=True, at_start=at_start) is may


def test_a_duty_that_changes_is_seen_anew() -> None:
    first = see(None, HELD, 1)
    assert see(first, HELD, 5) == first
    renewed = DutyState(Duty.FLEET, "a", "claim", NOW + timedelta(seconds=2))
    assert see(first, renewed, 5) == Sighting(renewed, 5)


def test_a_holder_ends_its_work_before_another_one_begins() -> None:
    assert is_held(100, 107.9, is_shared=True)
    assert not is_held(100, 108, is_shared=True)
    assert is_held(100, 1000, is_shared=False)


async def test_one_server_holds_all_duties_while_it_renews_them(begin: Begin) -> None:
    first, second = begin("a"), begin("b")
    await first.duties.begin()
    await second.duties.begin()
    for _ in range(20):
        await go_on(2, first, second)
        assert (first.held, second.held) == (ALL, set())


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=1), timedelta(hours=-1)])
async def test_duties_are_taken_over_when_their_holder_is_silent_whatever_its_clock_says(
    begin: Begin, ahead: timedelta
) -> None:
    first, second = begin("a", ahead=ahead), begin("b")
    await first.duties.begin()
    await second.duties.begin()
    await go_on(2, first, second)
    for _ in range(4):
        await go_on(2, second)
        assert second.held == set()
    await go_on(2, second)
    assert second.held == ALL


async def test_a_holder_that_was_asleep_changes_nothing(begin: Begin) -> None:
    first, second = begin("a"), begin("b")
    await first.duties.begin()
    await second.duties.begin()
    claim = first.duties.held()[Duty.FLEET]
    with under(claim):
        await add(first.core, "before")
    await go_on(10, second)
    assert second.held == ALL

    # By its own clock no time has passed.
    assert first.held == ALL
    with under(claim), pytest.raises(DutyLost):
        await add(first.core, "late")
    with under(claim), pytest.raises(DutyLost):
        await read(first.core, "before")
    assert await read(second.core, "before") == "x"
    assert await read(second.core, "late") is None
    await first.duties.renew()
    assert first.held == set()
    for _ in range(20):
        await go_on(2, first, second)
        assert (first.held, second.held) == (set(), ALL)


async def test_tasks_write_under_the_claim_of_the_task_that_started_them(begin: Begin) -> None:
    first, second = begin("a"), begin("b")
    await first.duties.begin()

    taken_over = asyncio.Event()

    async def write() -> None:
        await taken_over.wait()
        await add(first.core, "late")

    async def start() -> asyncio.Task[None]:
        return asyncio.create_task(write())

    with under(first.duties.held()[Duty.FLEET]):
        starting = asyncio.create_task(start())
    await second.duties.begin()
    await go_on(10, second)
    taken_over.set()
    writing = await starting
    with pytest.raises(DutyLost):
        await writing
    # Calls belong to no duty.
    await add(first.core, "late")


async def test_what_is_released_is_taken_at_the_next_look(begin: Begin) -> None:
    first, second = begin("a"), begin("b")
    await first.duties.begin()
    await second.duties.begin()
    await first.duties.release()
    assert first.held == set()
    await go_on(0, second)
    assert second.held == ALL


@pytest.mark.parametrize("is_shared", [True, False])
async def test_a_restart_takes_its_duties_back_at_once_and_keeps_them(begin: Begin, is_shared: bool) -> None:
    before, after = (begin("a", is_shared=is_shared) for _ in range(2))
    await before.duties.begin()
    claim = before.duties.held()[Duty.FLEET]
    await after.duties.begin()
    assert after.held == ALL
    with under(claim), pytest.raises(DutyLost):
        await add(before.core, "late")
    for _ in range(20):
        await go_on(2, before, after)
        assert (before.held, after.held) == (set(), ALL)


async def test_a_release_by_a_former_holder_releases_nothing(begin: Begin) -> None:
    before, after = begin("a"), begin("a")
    await before.duties.begin()
    await after.duties.begin()
    await before.duties.release()
    await go_on(2, after)
    assert after.held == ALL


@pytest.mark.parametrize(("is_shared", "still_held"), [(True, set[Duty]()), (False, ALL)])
async def test_without_its_database_a_server_relies_on_its_duties_only_if_it_is_alone(
    begin: Begin, is_shared: bool, still_held: set[Duty]
) -> None:
    own = begin("a", is_shared=is_shared)
    await own.duties.begin()
    own.database.fails = True
    for _ in range(3):
        with pytest.raises(Broken):
            await go_on(2, own)
    assert own.held == ALL
    with pytest.raises(Broken):
        await go_on(2, own)
    assert own.held == still_held
    own.database.fails = False
    await go_on(2, own)
    assert own.held == ALL


class Ledger:
    """Work that says when it runs."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.changed = asyncio.Event()

    def work(self, name: str, duty: Duty | None) -> Work:
        async def run() -> None:
            self.running.add(name)
            self.changed.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.running.discard(name)
                self.changed.set()

        async def first() -> None:
            assert name not in self.running

        return Work(name, run, duty, first)

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(10):
            while self.running != set(names):
                self.changed.clear()
                await self.changed.wait()


def background(process: Process) -> tuple[Background, Ledger]:
    ledger = Ledger()
    work = [ledger.work("calls", None), ledger.work("fleet", Duty.FLEET), ledger.work("webhooks", Duty.WEBHOOKS)]
    return Background(work, process.duties, process.clock.pause), ledger


async def pass_time(seconds: float, *processes: Process) -> None:
    """Let the time go on, second by second, and let everybody do what is due."""
    for _ in range(int(seconds)):
        for process in processes:
            process.clock.go_on(timedelta(seconds=1))
        # Begin and commit of a transaction are on other threads.
        for _ in range(20):
            await asyncio.sleep(0.001)


async def test_work_follows_its_duty(begin: Begin) -> None:
    first, second = begin("a"), begin("b")
    (one, of_one), (other, of_other) = background(first), background(second)
    await one.start()
    await other.start()
    await of_one.until("calls", "fleet", "webhooks")
    await of_other.until("calls")

    await one.stop()
    await of_one.until()
    await pass_time(3, second)
    await of_other.until("calls", "fleet", "webhooks")
    await other.stop()
    await of_other.until()


async def test_work_ends_when_another_process_has_taken_over_and_not_before_that_begins(begin: Begin) -> None:
    first, second = begin("a"), begin("b")
    (one, of_one), (other, of_other) = background(first), background(second)
    await one.start()
    await other.start()
    first.database.goes_on = asyncio.Event()

    await pass_time(9, first, second)
    await of_one.until("calls")
    await of_other.until("calls")
    await pass_time(4, first, second)
    await of_other.until("calls", "fleet", "webhooks")

    first.database.goes_on.set()
    await pass_time(4, first, second)
    await of_one.until("calls")
    await of_other.until("calls", "fleet", "webhooks")
    await one.stop()
    await other.stop()


async def test_work_of_a_predecessor_ends_where_no_other_server_is(begin: Begin) -> None:
    before, after = (begin("a", is_shared=False) for _ in range(2))
    (one, of_one), (other, of_other) = background(before), background(after)
    await one.start()
    await other.start()
    await of_other.until("calls", "fleet", "webhooks")
    await pass_time(3, before)
    await of_one.until("calls")
    await one.stop()
    await other.stop()
