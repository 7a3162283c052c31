"""No SDK at all: curl and JSON over HTTP/1.1 and h2c, and the gRPC family with its health and reflection services."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from protobuf import Oneof
from pyqwest import Client, HTTPTransport, HTTPVersion

from stoker._gen.depot.build.v1 import build_pb
from stoker._gen.depot.build.v1.build_connect import BuildServiceClient
from stoker._gen.depot.buildkit.v1 import buildkit_pb
from stoker._gen.depot.buildkit.v1.buildkit_connect import BuildKitServiceClient
from stoker._gen.grpc.health.v1 import health_pb
from stoker._gen.grpc.health.v1.health_connect import HealthClient
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.curl import H2C, HTTP_1, Curl
from tests.harness.depot import Depot
from tests.harness.endpoint import endpoint_files
from tests.harness.go_tools import GRPCURL, go_tool
from tests.harness.server import Server

PROJECTS = "depot.core.v1.ProjectService"
BUILDS = "depot.build.v1.BuildService"
BUILDKIT = "depot.buildkit.v1.BuildKitService"
FIRST_RUN = pytest.mark.timeout(900)  # builds grpcurl
VERSIONS = {HTTP_1: "1.1", H2C: "2"}


@pytest.fixture(params=VERSIONS)
def curl(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Curl:
    return Curl(server, request.param, tmp_path)


def test_curl_makes_changes_and_deletes_a_project(server: Server, curl: Curl) -> None:
    created = curl.unary(
        f"{PROJECTS}/CreateProject",
        {"name": "by curl", "regionId": "us-east-1", "cachePolicy": {"keepBytes": 1024**3, "keepDays": 5}},
    )
    assert (created.status, created.http_version) == (200, VERSIONS[curl.version])
    assert created.content_type == "application/json"
    project = created.json["project"]["projectId"]
    assert created.json["project"]["cachePolicy"]["keepDays"] == 5
    listed = curl.unary(f"{PROJECTS}/ListProjects", {})
    assert project in [one["projectId"] for one in listed.json["projects"]]
    # The protos' own names are as good as JSON's.
    updated = curl.unary(f"{PROJECTS}/UpdateProject", {"project_id": project, "hardware": "HARDWARE_16X32"})
    assert updated.json["project"]["hardware"] == "HARDWARE_16X32"
    assert updated.json["project"]["name"] == "by curl"
    assert curl.unary(f"{PROJECTS}/ResetProject", {"projectId": project}).json == {}
    assert curl.unary(f"{PROJECTS}/DeleteProject", {"projectId": project}).json == {}
    gone = curl.unary(f"{PROJECTS}/GetProject", {"projectId": project})
    assert (gone.status, gone.json["code"]) == (404, "not_found")


def test_curl_gets_an_endpoint_that_builds(server: Server, curl: Curl, tmp_path: Path) -> None:
    project = server.new_project("curl")
    build = curl.unary(f"{BUILDS}/CreateBuild", {"projectId": project}).json
    hold = {"buildId": build["buildId"], "platform": "PLATFORM_AMD64"}

    answer = curl.stream(f"{BUILDKIT}/GetEndpoint", hold, token=build["buildToken"])
    health = curl.stream(f"{BUILDKIT}/ReportHealth", hold, hold, token=build["buildToken"])

    assert (answer.status, answer.http_version) == (200, VERSIONS[curl.version])
    assert answer.content_type == "application/connect+json"
    *pending, active = answer.messages
    assert pending[0] == {"pending": {}}
    assert all(message == {"pending": {}} for message in pending)
    assert health.messages == [{}]
    context = make_context(tmp_path / "context", HEADER + run("echo built"))
    endpoint = endpoint_files(server, active["active"], tmp_path / "endpoint")
    built = endpoint.build(context)
    assert built.code == 0, built.output

    finished = curl.unary(f"{BUILDS}/FinishBuild", {"buildId": build["buildId"], "success": {}})

    assert (finished.status, finished.json) == (200, {})
    assert server.builds(project) == [(build["buildId"], "succeeded", None)]


def test_the_depot_cli_builds_what_curl_created(server: Server, curl: Curl, depot: Depot, tmp_path: Path) -> None:
    project = server.new_project("curl and the CLI")
    build = curl.unary(f"{BUILDS}/CreateBuild", {"projectId": project}).json
    token = {"DEPOT_BUILD_ID": build["buildId"], "DEPOT_TOKEN": build["buildToken"], "DEPOT_PROJECT_ID": project}

    result = depot.build(cwd=make_context(tmp_path / "context", HEADER + run("echo built")), **token)

    assert result.code == 0, result.output
    assert server.builds(project) == [(build["buildId"], "succeeded", None)]


def test_curl_gives_an_endpoint_back(server: Server, curl: Curl, tmp_path: Path) -> None:
    build = curl.unary(f"{BUILDS}/CreateBuild", {"projectId": server.project}).json
    hold = {"buildId": build["buildId"], "platform": "PLATFORM_AMD64"}
    active = curl.stream(f"{BUILDKIT}/GetEndpoint", hold, token=build["buildToken"]).messages[-1]["active"]
    endpoint = endpoint_files(server, active, tmp_path / "endpoint")
    assert endpoint.buildctl("debug", "workers").code == 0

    released = curl.unary(f"{BUILDKIT}/ReleaseEndpoint", hold, token=build["buildToken"])

    assert released.json == {}
    assert "has ended or gave it back" in endpoint.buildctl("debug", "workers").output
    curl.unary(f"{BUILDS}/FinishBuild", {"buildId": build["buildId"], "success": {}})


def test_an_error_of_a_stream_comes_with_its_end(server: Server, curl: Curl) -> None:
    _, token = server.new_build()
    other, _ = server.new_build()

    answer = curl.stream(f"{BUILDKIT}/GetEndpoint", {"buildId": other, "platform": "PLATFORM_AMD64"}, token=token)

    assert answer.status == 200
    assert answer.stream_error["code"] == "not_found"


@dataclass(frozen=True)
class Rpc:
    """A protocol of the gRPC family, or Connect with protobuf, and the version of HTTP that carries it."""

    protocol: ProtocolType
    version: HTTPVersion
    url: str
    http: Client

    def builds(self) -> BuildServiceClient:
        return BuildServiceClient(self.url, protocol=self.protocol, http_client=self.http)

    def buildkit(self) -> BuildKitServiceClient:
        return BuildKitServiceClient(self.url, protocol=self.protocol, http_client=self.http)

    def health(self) -> HealthClient:
        return HealthClient(self.url, protocol=self.protocol, http_client=self.http)


@pytest.fixture(
    params=[
        pytest.param((ProtocolType.GRPC, HTTPVersion.HTTP2), id="gRPC over h2c"),
        pytest.param((ProtocolType.GRPC_WEB, HTTPVersion.HTTP1), id="gRPC-Web over HTTP/1.1"),
        pytest.param((ProtocolType.GRPC_WEB, HTTPVersion.HTTP2), id="gRPC-Web over h2c"),
        pytest.param((ProtocolType.CONNECT, HTTPVersion.HTTP1), id="Connect over HTTP/1.1"),
        pytest.param((ProtocolType.CONNECT, HTTPVersion.HTTP2), id="Connect over h2c"),
    ]
)
async def rpc(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[Rpc]:
    protocol, version = request.param
    async with HTTPTransport(http_version=version) as transport:
        yield Rpc(protocol, version, server.url, Client(transport))


async def test_an_endpoint_comes_over_every_protocol(server: Server, rpc: Rpc, tmp_path: Path) -> None:
    organization = {"authorization": f"Bearer {server.token}"}
    created = await rpc.builds().create_build(
        build_pb.CreateBuildRequest(project_id=server.project), headers=organization
    )
    token = {"authorization": f"Bearer {created.build_token}"}
    platform = buildkit_pb.Platform.AMD64
    request = buildkit_pb.GetEndpointRequest(build_id=created.build_id, platform=platform)

    async def reports() -> AsyncIterator[buildkit_pb.ReportHealthRequest]:
        for _ in range(3):
            yield buildkit_pb.ReportHealthRequest(build_id=created.build_id, platform=platform)

    fields = [
        answer.connection.field
        async for answer in rpc.buildkit().get_endpoint(request, headers=token)
        if answer.connection is not None
    ]
    reported = await rpc.buildkit().report_health(reports(), headers=token)
    finish = build_pb.FinishBuildRequest(
        build_id=created.build_id,
        result=Oneof(field="error", value=build_pb.FinishBuildRequest.BuildError(error="it was a test")),
    )
    await rpc.builds().finish_build(finish, headers=token)

    assert fields[0] == "pending"
    assert fields[-1] == "active"
    assert reported == buildkit_pb.ReportHealthResponse()
    assert (created.build_id, "failed", "it was a test") in server.builds()


async def test_a_refusal_has_its_code_and_reason_over_every_protocol(rpc: Rpc) -> None:
    with pytest.raises(ConnectError) as refused:
        await rpc.builds().create_build(build_pb.CreateBuildRequest(), headers={"authorization": "Bearer nonsense"})

    assert refused.value.code is Code.UNAUTHENTICATED
    assert "token" in refused.value.message


async def test_the_health_service_answers_over_every_protocol(rpc: Rpc) -> None:
    serving = await rpc.health().check(health_pb.HealthCheckRequest(service=BUILDS))
    with pytest.raises(ConnectError) as unknown:
        await rpc.health().check(health_pb.HealthCheckRequest(service="no.such.Service"))

    assert serving.status == health_pb.HealthCheckResponse.ServingStatus.SERVING
    assert unknown.value.code is Code.NOT_FOUND


@dataclass(frozen=True)
class Grpcurl:
    """The published grpcurl, which knows our messages by reflection alone."""

    command: Path
    server: Server

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it; ``{}`` among the arguments stands for the server's address."""
        address = self.server.url.removeprefix("http://")
        bearer = ["-H", f"authorization: Bearer {self.server.token}"]
        line = [str(self.command), "-plaintext", *bearer, *(address if one == "{}" else one for one in arguments)]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def grpcurl(server: Server, cache: Path) -> Grpcurl:
    return Grpcurl(go_tool(GRPCURL, cache), server)


@FIRST_RUN
def test_grpcurl_finds_the_services_by_reflection(grpcurl: Grpcurl) -> None:
    listed = grpcurl("{}", "list")
    described = grpcurl("{}", "describe", f"{BUILDKIT}.GetEndpoint")

    assert listed.returncode == 0, listed.stderr
    assert {BUILDS, BUILDKIT, PROJECTS, "depot.cli.v1.BuildService", "grpc.health.v1.Health"} <= set(
        listed.stdout.split()
    )
    assert "returns ( stream .depot.buildkit.v1.GetEndpointResponse )" in described.stdout, described.stderr


@FIRST_RUN
def test_grpcurl_calls_unary_and_streaming_methods(server: Server, grpcurl: Grpcurl) -> None:
    health = grpcurl("{}", "grpc.health.v1.Health/Check")
    created = grpcurl("-d", json.dumps({"projectId": server.project}), "{}", f"{BUILDS}/CreateBuild")
    assert created.returncode == 0, created.stderr
    build = json.loads(created.stdout)["buildId"]
    hold = json.dumps({"buildId": build, "platform": "PLATFORM_AMD64"})

    endpoint = grpcurl("-d", hold, "{}", f"{BUILDKIT}/GetEndpoint")
    reported = grpcurl("-d", hold + hold, "{}", f"{BUILDKIT}/ReportHealth")
    finished = grpcurl("-d", json.dumps({"buildId": build, "success": {}}), "{}", f"{BUILDS}/FinishBuild")

    assert json.loads(health.stdout) == {"status": "SERVING"}
    assert '"pending": {}' in endpoint.stdout
    assert '"active": {' in endpoint.stdout
    assert (reported.returncode, json.loads(reported.stdout)) == (0, {}), reported.stderr
    assert (finished.returncode, json.loads(finished.stdout)) == (0, {}), finished.stderr
    assert (build, "succeeded", None) in server.builds()


@FIRST_RUN
def test_grpcurl_is_told_why_a_call_is_refused(grpcurl: Grpcurl) -> None:
    refused = grpcurl("-d", '{"projectId": "0000000000000000"}', "{}", f"{PROJECTS}/GetProject")

    assert refused.returncode != 0
    assert "Code: NotFound" in refused.stderr
    assert "was not found" in refused.stderr
