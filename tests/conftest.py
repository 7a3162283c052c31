"""Fixtures for all tests: a real engine, and real servers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.depot import Depot
from tests.harness.server import Server


class _Quiet:
    def report(self, phase: object, done: int, total: int | None) -> None: ...


@pytest.fixture(scope="session")
def cache() -> Path:
    """The user's cache folder with the engine in it; `make test` has put it there."""
    folder = Path(os.environ.get("STOKER_CACHE", Path.home() / ".cache" / "stoker"))
    if "STOKER_ENGINE_FOLDER" not in os.environ:
        from stoker.engine import ensure_engine

        asyncio.run(ensure_engine(folder, _Quiet()))
    return folder


@pytest.fixture(scope="session")
def make_server(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Makes servers, each with a data folder of its own, and stops them at the end."""
    servers: list[Server] = []

    def make(*flags: str, **settings: str) -> Server:
        server = Server(tmp_path_factory.mktemp("server") / "data", cache, flags, settings)
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(make_server: Callable[..., Server]) -> Server:
    """A server that tests share; they leave it running and use projects of their own where it matters."""
    return make_server()


@pytest.fixture
def depot(server: Server, tmp_path: Path) -> Depot:
    """The depot CLI, pointed at the shared server."""
    return Depot(server, tmp_path)
