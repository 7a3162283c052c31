"""Readiness: the database is asked once a second, however many ask, and one that hangs holds nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from stoker._gen.grpc.health.v1 import health_pb
from stoker.app import Application
from stoker.rpc.health import HealthHandlers
from stoker.services.admission import Admission
from stoker.services.core import Core, Limits
from stoker.services.readiness import ReadinessService
from stoker.services.shutdown import ShutdownService
from stoker.services.wakeups import Wakeups
from stoker.store.database import Database
from stoker.store.engines.sqlite import open_sqlite
from stoker.store.migrate import migrate
from stoker.system import SystemRandomness
from tests.harness.clocks import SetClock

SECOND = timedelta(seconds=1)
Status = health_pb.HealthCheckResponse.ServingStatus


class CountedDatabase:
    """A database that counts its reads, which wait while it hangs and fail while it is broken."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.is_broken = False

    def write(self, *, durable: bool = False) -> AbstractAsyncContextManager[Any]:
        return self._database.write(durable=durable)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        self.reads += 1
        await self.goes_on.wait()
        if self.is_broken:
            raise OSError
        async with self._database.read() as tx:
            yield tx


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[CountedDatabase]:
    migrate(tmp_path / "stoker.db")
    opened = open_sqlite(tmp_path / "stoker.db")
    yield CountedDatabase(opened)
    await opened.close()


@pytest.fixture
def core(database: CountedDatabase) -> Core:
    return Core(cast("Database", database), SetClock(), SystemRandomness(), Wakeups(), Limits(), Admission())


def go_on(core: Core) -> None:
    cast("SetClock", core.clock).time += SECOND


async def test_many_who_ask_cost_one_read_a_second(core: Core, database: CountedDatabase) -> None:
    readiness = ReadinessService(core)
    assert await asyncio.gather(*(readiness.is_ready() for _ in range(1000))) == [True] * 1000
    assert database.reads == 1
    assert await readiness.is_ready()
    assert database.reads == 1
    go_on(core)
    assert await readiness.is_ready()
    assert database.reads == 2


async def test_a_database_that_hangs_is_asked_once_and_is_not_ready(core: Core, database: CountedDatabase) -> None:
    readiness = ReadinessService(core, patience_seconds=0.01)
    database.goes_on.clear()
    for _ in range(3):
        assert await asyncio.gather(*(readiness.is_ready() for _ in range(100))) == [False] * 100
        go_on(core)
    assert database.reads == 1

    database.goes_on.set()
    patient = ReadinessService(core)
    assert await patient.is_ready()


async def test_a_database_that_fails_is_not_ready_until_it_answers(core: Core, database: CountedDatabase) -> None:
    readiness = ReadinessService(core)
    database.is_broken = True
    assert not await readiness.is_ready()
    database.is_broken = False
    go_on(core)
    assert await readiness.is_ready()


async def test_a_server_that_takes_no_new_work_is_not_ready(core: Core, database: CountedDatabase) -> None:
    core.admission.close()
    assert not await ReadinessService(core).is_ready()
    assert database.reads == 0


async def test_who_watches_is_told_when_the_server_stops(core: Core) -> None:
    health = HealthHandlers(frozenset({"some.Service"}), ReadinessService(core), core.wakeups)
    watched = health.watch(health_pb.HealthCheckRequest(service="some.Service"), cast("Any", None))
    assert (await anext(watched)).status == Status.SERVING
    following = asyncio.ensure_future(anext(watched))
    shutdown = ShutdownService(core)
    async for _ in shutdown.close(timedelta(0), timedelta(0)):
        pass
    async with asyncio.timeout(10):
        assert (await following).status == Status.NOT_SERVING


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 503)])
async def test_a_server_that_starts_is_live_and_not_ready(path: str, status: int) -> None:
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    await Application()({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send)
    assert sent[0]["status"] == status
