"""Fixtures for all tests: a real engine, and real servers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from stoker.engine import (
    ContainerRuntime,
    Engine,
    NotBuiltYet,
    build_runc,
    ensure_engine,
    find_container_runtime,
    given_engine,
)
from tests.attack.framework.table import ROW, table
from tests.harness.databases import DEFAULT_ENGINE, ENGINES, DatabasePlace, new_place
from tests.harness.depot import Depot
from tests.harness.postgresql import Postgresql, started_when_needed
from tests.harness.server import Server
from tests.harness.signals import give_children_default_signals

give_children_default_signals()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of attacks. Their tests may have run in other processes, so the rows come with the reports."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    rows = [text for report in reports for name, text in report.user_properties if name == ROW]
    if rows:
        terminalreporter.section("attacks, and what neighbours noticed")
        terminalreporter.write_line(table(rows))


class _Quiet:
    def report(self, phase: object, done: int, total: int | None) -> None: ...


@pytest.fixture(scope="session")
def cache() -> Path:
    """The user's cache folder."""
    return Path(os.environ.get("STOKER_CACHE", Path.home() / ".cache" / "stoker"))


@pytest.fixture(scope="session")
def engine(cache: Path) -> Engine:
    """The real engine, got now if `make run` has not done it."""
    given = os.environ.get("STOKER_ENGINE_FOLDER")
    return asyncio.run(given_engine(Path(given)) if given else ensure_engine(cache, _Quiet()))


@pytest.fixture(scope="session")
def container_runtime(cache: Path) -> ContainerRuntime:
    """The runc or crun that servers use, built now if `make run` has not done it."""
    try:
        return find_container_runtime(cache)
    except NotBuiltYet:
        return asyncio.run(build_runc(cache, _Quiet()))


@pytest.fixture(scope="session")
def start_postgresql() -> Iterator[Callable[[], Postgresql]]:
    """Returns the PostgreSQL of this process, which starts when a test first needs it."""
    with started_when_needed() as start:
        yield start


@pytest.fixture
def postgresql(start_postgresql: Callable[[], Postgresql]) -> Postgresql:
    """The PostgreSQL of this process."""
    return start_postgresql()


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path, start_postgresql: Callable[[], Postgresql]) -> DatabasePlace:
    """A new database of each engine."""
    return new_place(request.param, tmp_path, start_postgresql)


@pytest.fixture(scope="session")
def settings_of_database(start_postgresql: Callable[[], Postgresql]) -> Callable[[str], dict[str, str]]:
    """The settings with which a server has a new database of an engine."""
    return lambda engine: {"database": start_postgresql().new_database()} if engine == "postgresql" else {}


@pytest.fixture(scope="module")
def database_engine() -> str:
    """What the servers of a file keep their data in."""
    return DEFAULT_ENGINE


@contextmanager
def making_servers(
    cache: Path, engine: Engine, folders: pytest.TempPathFactory, database: Callable[[], dict[str, str]]
) -> Iterator[Callable[..., Server]]:
    """Makes servers, each with a data folder of its own, and stops them at the end."""
    servers: list[Server] = []

    def make(*flags: str, launcher: tuple[str, ...] = (), **settings: str) -> Server:
        everything = {**database(), **settings}
        server = Server(folders.mktemp("server") / "data", cache, engine, flags, everything, launcher)
        servers.append(server)
        return server.start()

    try:
        yield make
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(scope="module")
def make_server(
    cache: Path,
    engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
    settings_of_database: Callable[[str], dict[str, str]],
    database_engine: str,
) -> Iterator[Callable[..., Server]]:
    """Makes servers for the tests of one file."""
    with making_servers(cache, engine, tmp_path_factory, lambda: settings_of_database(database_engine)) as make:
        yield make


@pytest.fixture(scope="session")
def make_shared_server(
    cache: Path,
    engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
    settings_of_database: Callable[[str], dict[str, str]],
) -> Iterator[Callable[..., Server]]:
    """Makes servers for all tests. Each costs the host something to the end: these are few."""
    with making_servers(cache, engine, tmp_path_factory, lambda: settings_of_database(DEFAULT_ENGINE)) as make:
        yield make


@pytest.fixture(scope="session")
def shared_server(
    cache: Path,
    engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
    settings_of_database: Callable[[str], dict[str, str]],
) -> Iterator[Callable[[str], Server]]:
    """Returns the server that tests share, one for each engine of databases."""
    servers: dict[str, Server] = {}
    with ExitStack() as stack:

        def shared(name: str) -> Server:
            if name not in servers:
                making = making_servers(cache, engine, tmp_path_factory, lambda: settings_of_database(name))
                servers[name] = stack.enter_context(making)()
            return servers[name]

        yield shared


@pytest.fixture(scope="session")
def server(shared_server: Callable[[str], Server]) -> Server:
    """A server that tests share; they leave it running and use projects of their own where it matters."""
    return shared_server(DEFAULT_ENGINE)


@pytest.fixture
def depot(server: Server, tmp_path: Path) -> Depot:
    """The depot CLI, pointed at the shared server."""
    return Depot(server, tmp_path)
