"""grpcurl, `buf curl` and curl, which have no code of ours: they learn our messages by reflection, or write JSON.

Reflection needs no token: what it tells is public, and tools ask before they send one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from protobuf.wkt import FileDescriptorSet

from tests.contract.test_wire import WIRE
from tests.harness.descriptors import contract_of
from tests.harness.go_tools import GRPCURL, go_tool
from tests.harness.server import Server

PROJECTS = "depot.core.v1.ProjectService"
BUILDS = "depot.build.v1.BuildService"
CLI = "depot.cli.v1.BuildService"
FIRST_RUN = pytest.mark.timeout(900)  # builds grpcurl


@dataclass(frozen=True)
class Port:
    """A server's API port, in the clear or with TLS, and the authority that its certificate is from."""

    server: Server
    authority: Path | None

    @property
    def address(self) -> str:
        return self.server.url.partition("://")[2]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    def buf(self, method: str, *options: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
        """`buf curl`, over HTTP/2."""
        trust = ["--http2-prior-knowledge"] if self.authority is None else ["--cacert", str(self.authority)]
        bearer = [] if token is None else ["--header", f"Authorization: Bearer {token}"]
        return self.run("buf", "curl", *trust, *bearer, *options, f"{self.server.url}{method and '/' + method}")

    def grpcurl(self, command: Path, what: str, *options: str) -> subprocess.CompletedProcess[str]:
        """grpcurl, with a method to call or ``list``."""
        trust = ["-plaintext"] if self.authority is None else ["-cacert", str(self.authority)]
        return self.run(str(command), *trust, *options, self.address, what)


@pytest.fixture(scope="module")
def secure(make_server: Callable[..., Server]) -> Server:
    return make_server(tls_own="true", drain_seconds="0")


@pytest.fixture(params=["h2c", "TLS"])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Port:
    if request.param == "h2c":
        return Port(request.getfixturevalue("server"), None)
    server: Server = request.getfixturevalue("secure")
    authority = tmp_path / "ca.pem"
    command = [sys.executable, "-m", "stoker.cli.main", "ca", "--data", str(server.data)]
    authority.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return Port(server, authority)


@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
@pytest.mark.parametrize("protocol", ["connect", "grpc", "grpcweb"])
def test_buf_curl_learns_and_calls(port: Port, protocol: str, version: str) -> None:
    speaking = ["--protocol", protocol, "--reflect-protocol", version]
    listed = port.buf("", "--list-services", *speaking)
    assert listed.returncode == 0, listed.stderr
    assert {BUILDS, CLI, PROJECTS, "depot.buildkit.v1.BuildKitService"} <= set(listed.stdout.split())

    data = json.dumps({"projectId": port.server.project})
    created = port.buf(f"{BUILDS}/CreateBuild", *speaking, "--data", data, token=port.server.token)
    assert created.returncode == 0, created.stderr
    build = json.loads(created.stdout)
    status = json.dumps({"build_id": build["buildId"]})
    reported = port.buf(f"{CLI}/ReportStatusStream", *speaking, "--data", status + status, token=build["buildToken"])
    assert (reported.returncode, json.loads(reported.stdout)) == (0, {}), reported.stderr
    finish = json.dumps({"buildId": build["buildId"], "success": {}})
    finished = port.buf(f"{BUILDS}/FinishBuild", *speaking, "--data", finish, token=port.server.token)
    assert (finished.returncode, json.loads(finished.stdout)) == (0, {}), finished.stderr


@pytest.mark.parametrize("protocol", ["connect", "grpc", "grpcweb"])
def test_buf_curl_is_told_why_a_call_is_refused(port: Port, protocol: str) -> None:
    refused = port.buf(f"{PROJECTS}/ListProjects", "--protocol", protocol, "--data", "{}")
    assert refused.returncode != 0
    problem = json.loads(refused.stderr)
    assert problem["code"] == "unauthenticated"
    assert "Authorization: Bearer" in problem["message"]


@FIRST_RUN
@pytest.mark.parametrize("credential", ["", "nonsense", "the server's"])
def test_grpcurl_learns_with_any_credential(port: Port, cache: Path, credential: str) -> None:
    token = port.server.token if credential == "the server's" else credential
    bearer = ["-H", f"authorization: Bearer {token}"] if token else []
    listed = port.grpcurl(go_tool(GRPCURL, cache), "list", *bearer)
    assert listed.returncode == 0, listed.stderr
    assert {BUILDS, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} <= set(listed.stdout.split())


@FIRST_RUN
def test_what_reflection_tells_is_the_wire_contract(server: Server, cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "descriptors.binpb"
    described = Port(server, None).grpcurl(go_tool(GRPCURL, cache), "describe", "-protoset-out", str(file))
    assert described.returncode == 0, described.stderr
    told = contract_of(FileDescriptorSet.from_binary(file.read_bytes()).file)
    services = {name: methods for name, methods in told.services.items() if name.startswith("depot.")}
    assert services == WIRE["services"]
    assert sum(map(len, services.values())) == 61
    # Messages of BuildKit's control API are in the contract as far as clients report them; that is not called here.
    for part in ("messages", "enums"):
        wanted = {name: members for name, members in WIRE[part].items() if name.startswith("depot.")}
        assert {name: getattr(told, part).get(name) for name in wanted} == wanted


@FIRST_RUN
def test_grpcurl_calls_over_tls_as_well_as_without(port: Port, cache: Path) -> None:
    bearer = ["-H", f"authorization: Bearer {port.server.token}"]
    data = ["-d", json.dumps({"projectId": port.server.project})]
    got = port.grpcurl(go_tool(GRPCURL, cache), f"{PROJECTS}/GetProject", *bearer, *data)
    assert got.returncode == 0, got.stderr
    assert json.loads(got.stdout)["project"]["projectId"] == port.server.project


@FIRST_RUN
def test_grpcurl_is_shown_when_to_try_again(make_server: Callable[..., Server], cache: Path) -> None:
    server = make_server(requests_per_second="0.01", requests_burst="1", drain_seconds="0")
    port = Port(server, None)
    assert server.call(f"{PROJECTS}/ListProjects").status == 200
    bearer = ["-H", f"authorization: Bearer {server.token}"]
    refused = port.grpcurl(go_tool(GRPCURL, cache), f"{PROJECTS}/ListProjects", "-v", *bearer, "-d", "{}")
    assert "Code: ResourceExhausted" in refused.stderr
    assert "RetryInfo" in refused.stderr
    assert "retry-after: " in refused.stdout


@pytest.mark.parametrize("field", ["projectId", "project_id"])
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl_spells_fields_either_way(port: Port, version: str, field: str) -> None:
    version = "--http2-prior-knowledge" if version == "--http2" and port.authority is None else version
    trust = [] if port.authority is None else ["--cacert", str(port.authority)]
    headers = ["-H", f"Authorization: Bearer {port.server.token}", "-H", "Content-Type: application/json"]
    data = ["-d", json.dumps({field: port.server.project}), "-w", "\n%{http_version}"]
    done = port.run("curl", "-sS", version, *trust, *headers, *data, f"{port.server.url}/{PROJECTS}/GetProject")
    answer, http_version = done.stdout.rsplit("\n", 1)
    assert json.loads(answer)["project"]["projectId"] == port.server.project, done.stderr
    assert http_version == ("1.1" if version == "--http1.1" else "2")
