"""What clients may ask of the history that machines keep: the same for everybody, and of their own build alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from connectrpc.errors import ConnectError

from stoker._gen.containerd.services.content.v1.content_connect import ContentClient
from stoker._gen.containerd.services.content.v1.content_pb import InfoRequest, ReadContentRequest
from stoker._gen.moby.buildkit.v1.control_connect import ControlClient
from stoker._gen.moby.buildkit.v1.control_pb import BuildHistoryRequest, StatusRequest
from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.endpoint import EndpointFiles, get_endpoint
from tests.harness.gateway import gateway_client
from tests.harness.go_tools import BUILDX, go_tool
from tests.harness.server import Server

HISTORY_TEST = "buildx-test-history-api-feature"

pytestmark = pytest.mark.timeout(900)  # the first run builds buildx


@pytest.fixture
def hold(server: Server, tmp_path: Path) -> Iterator[Callable[[str], EndpointFiles]]:
    """Makes builds with endpoints, and finishes them."""
    made: list[str] = []

    def make(project: str) -> EndpointFiles:
        build, token = server.new_build(project)
        made.append(build)
        return get_endpoint(server, build, token, tmp_path / f"endpoint-{build}")

    yield make
    for build in made:
        server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "success": {}})


async def has_history(endpoint: EndpointFiles) -> bool:
    """As buildx finds out."""
    request = BuildHistoryRequest(ActiveOnly=True, Ref=HISTORY_TEST, EarlyExit=True)
    async with gateway_client(endpoint, ControlClient) as client:
        return [event async for event in client.listen_build_history(request)] == []


async def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ConnectError) as caught:
        async with asyncio.timeout(30):
            await call()  # type: ignore[misc]
    return caught.value.message


def test_each_metadata_file_has_its_provenance(server: Server, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo made by a step >/made"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "buildx").symlink_to(go_tool(BUILDX, server.cache))
    path = f"{tmp_path / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
    for number, name in enumerate(("one", "two")):
        environment = {**server.first, "DEPOT_PROJECT_ID": server.new_project(name), "PATH": path}
        stoker = Command(tmp_path, environment | {"BUILDX_CONFIG": str(tmp_path / name)})
        for again in range(2):
            metadata = tmp_path / f"{number}{again}.json"
            build = ("buildx", "build", "--builder", "b", "--metadata-file", str(metadata), "-o", "type=cacheonly")
            result = stoker("buildx", "b", "--", *build, str(context))
            assert result.code == 0, result.output
            assert json.loads(metadata.read_text())["buildx.build.provenance"]["buildType"]


def test_every_build_is_told_the_same_and_nobody_owns_the_question(
    server: Server, hold: Callable[[str], EndpointFiles]
) -> None:
    endpoints = [hold(server.new_project(name)) for name in ("ours", "theirs")]
    assert [asyncio.run(has_history(endpoint)) for endpoint in (*endpoints, *endpoints)] == [True] * 4
    assert server.query("select ref from solves where ref = ?", HISTORY_TEST) == []


def test_a_build_reads_the_blobs_of_its_own_solves_alone(
    server: Server, hold: Callable[[str], EndpointFiles], tmp_path: Path
) -> None:
    ours, theirs = hold(server.project), hold(server.project)
    context = make_context(tmp_path / "context", HEADER + run("echo of a solve > /made"))
    assert ours.build(context).code == 0
    ((ref,),) = server.query("select ref from solves order by created_at desc limit 1")

    async def look() -> None:
        async with gateway_client(ours, ControlClient) as control, gateway_client(ours, ContentClient) as content:
            request = BuildHistoryRequest(Ref=ref, EarlyExit=True)
            records = [event.record async for event in control.listen_build_history(request)]
            (result,) = [one.Result for one in records if one is not None and one.Result is not None][:1]
            digest = result.Attestations[0].digest
            info = (await content.info(InfoRequest(digest=digest))).info
            assert info is not None
            read = [part.data async for part in content.read(ReadContentRequest(digest=digest))]
            assert sum(map(len, read)) == info.size

            async with gateway_client(theirs, ContentClient) as foreign:
                say = await refused(lambda: foreign.info(InfoRequest(digest=digest)))
                assert "not one of what this build's solves left" in say
            say = await refused(lambda: content.info(InfoRequest(digest="sha256:" + "0" * 64)))
            assert "not one of what this build's solves left" in say

    asyncio.run(look())


def test_naming_a_ref_does_not_take_it(server: Server, hold: Callable[[str], EndpointFiles], tmp_path: Path) -> None:
    endpoint = hold(server.project)

    async def ask() -> None:
        async with gateway_client(endpoint, ControlClient) as control:

            async def status() -> object:
                return [one async for one in control.status(StatusRequest(Ref="not-a-solve-yet"))]

            assert "that ref is not one of this build's" in await refused(status)

    asyncio.run(ask())
    assert server.query("select ref from solves where ref = 'not-a-solve-yet'") == []
