"""Builds that are shown to whoever has their address."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from stoker.domain.builds import Build
from stoker.services.admission import Admission
from stoker.services.core import Core, Limits
from stoker.services.sharing import SharingService
from stoker.services.wakeups import Wakeups
from stoker.system import SystemClock, SystemRandomness
from tests.harness.server import Server

CORE = "depot.core.v1.BuildService"


@pytest.fixture
def project(server: Server) -> str:
    return server.new_project("shared")


@pytest.fixture
def build(server: Server, project: str) -> str:
    return server.new_build(project)[0]


def share(server: Server, build: str) -> str:
    """The id under which a build is shared."""
    url = server.call(f"{CORE}/ShareBuild", {"buildId": build}).body["shareUrl"]
    found = re.fullmatch(re.escape(server.url) + r"/share/([a-z2-7]{32})", url)
    assert found is not None, url
    return found[1]


def stop_sharing(server: Server, build: str) -> None:
    assert server.call(f"{CORE}/StopSharingBuild", {"buildId": build}).body == {}


def shared(server: Server, share_id: str) -> Build | None:
    """What the page of a shared build shows."""

    async def find() -> Build | None:
        database = server.open_database()
        core = Core(database, SystemClock(), SystemRandomness(), Wakeups(), Limits(), Admission())
        try:
            return await SharingService(core).shared_build(share_id)
        finally:
            await database.close()

    return asyncio.run(find())


def test_a_shared_builds_address_stays_the_same(server: Server, build: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(lambda _: share(server, build), range(8)))
    assert len(ids) == 1
    assert ids == {share(server, build)}
    found = shared(server, ids.pop())
    assert found is not None
    assert found.id == build


def test_what_is_shared_no_more_is_gone_and_comes_back_elsewhere(server: Server, build: str) -> None:
    stop_sharing(server, build)
    first = share(server, build)
    stop_sharing(server, build)
    assert shared(server, first) is None
    stop_sharing(server, build)
    second = share(server, build)
    assert second != first
    assert shared(server, first) is None
    assert shared(server, second) is not None


def test_each_build_has_an_address_of_its_own(server: Server, project: str, build: str) -> None:
    other = server.new_build(project)[0]
    mine, theirs = share(server, build), share(server, other)
    stop_sharing(server, other)
    assert mine != theirs
    assert shared(server, mine) is not None
    assert shared(server, theirs) is None


def test_a_build_of_a_deleted_project_is_not_shared(server: Server, project: str, build: str) -> None:
    address = share(server, build)
    server.call("depot.core.v1.ProjectService/DeleteProject", {"projectId": project})
    assert shared(server, address) is None
    assert server.call(f"{CORE}/ShareBuild", {"buildId": build}).code == "not_found"


@pytest.mark.parametrize("share_id", ["", "nonsense", "a" * 32, "%", "\x00", "x" * 10_000])
def test_what_nobody_shared_is_not_there(server: Server, share_id: str) -> None:
    assert shared(server, share_id) is None


@pytest.mark.parametrize("method", ["ShareBuild", "StopSharingBuild"])
def test_only_ones_own_builds_can_be_shared(server: Server, build: str, method: str) -> None:
    other = server.new_project("other")
    token = server.call("depot.core.v1.ProjectService/CreateToken", {"projectId": other}).body["secret"]
    assert server.call(f"{CORE}/{method}", {"buildId": build}, token=token).code == "not_found"
    assert server.call(f"{CORE}/{method}", {"buildId": "0000000000000000"}).code == "not_found"
    assert server.call(f"{CORE}/{method}", {"buildId": "nonsense"}).code == "invalid_argument"


def test_addresses_are_not_logged(server: Server, build: str) -> None:
    address = share(server, build)
    server.call(f"share/{address}")
    logs = [file.read_text(errors="replace") for file in (server.data / "logs").glob("*.log")]
    assert logs
    assert not any(address in text for text in [*logs, server.output])
