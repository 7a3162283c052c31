"""Fixtures of the runtime contract."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stoker.runtimes.process.config import ProcessRuntimeConfig, UserNamespaces
from stoker.runtimes.process.process_site import ProcessSite
from tests.contract.machine_host import Certificates, MachineHost
from tests.harness.databases import ENGINES
from tests.harness.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from stoker.engine import ContainerRuntime, Engine

# As a server takes it, so that the same tests can be run both ways.
_USER_NAMESPACES = UserNamespaces(os.environ.get("STOKER_USER_NAMESPACES", "auto"))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.issue(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def new_host(
    tmp_path: Path, engine: Engine, container_runtime: ContainerRuntime, certificates: Certificates
) -> AsyncIterator[Callable[..., MachineHost]]:
    """Makes servers on this host, unprepared; all that they leave is removed afterwards."""
    made: list[MachineHost] = []

    def make(**settings: Any) -> MachineHost:
        server_id = f"t{secrets.token_hex(4)}"
        programs = {"buildkitd": engine.buildkitd, "container_runtime": container_runtime.program}
        own = {"data": tmp_path / server_id, "user_namespaces": _USER_NAMESPACES}
        config = ProcessRuntimeConfig(server_id=server_id, **{**programs, **own, **settings})
        made.append(MachineHost(ProcessSite(config), config, certificates, engine))
        return made[-1]

    yield make
    for host in made:
        await host.runtime.release_host()


@pytest.fixture
async def host(new_host: Callable[..., MachineHost]) -> MachineHost:
    """One prepared server."""
    host = new_host()
    await host.runtime.prepare_host()
    return host


# Whose servers do more with their database than others' do already.
_OVER_EVERY_DATABASE = frozenset(
    {
        "test_audit",
        "test_bad_input",
        "test_build_lists",
        "test_credentials",
        "test_finish_build",
        "test_last_use",
        "test_new_fields",
        "test_oidc",
        "test_project_tokens",
        "test_random_requests",
        "test_reported_records",
        "test_sharing",
        "test_usage",
        "test_webhooks",
    }
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run files of this folder over every database."""
    is_chosen = metafunc.module.__name__.rpartition(".")[2] in _OVER_EVERY_DATABASE
    if "database_engine" in metafunc.fixturenames and is_chosen:
        metafunc.parametrize("database_engine", ENGINES, scope="module")


@pytest.fixture(scope="module")
def server(shared_server: Callable[[str], Server], database_engine: str) -> Server:
    """A server that tests share, with a database of each engine."""
    return shared_server(database_engine)
