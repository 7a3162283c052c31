"""BuildKit's own clients with an endpoint's address, server name and certificates: what they may do and what not."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.domain.platforms import Platform
from stoker.pki.certificates import Certificates
from stoker.system import SystemClock
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Result
from tests.harness.endpoint import EndpointFiles, get_endpoint
from tests.harness.go_tools import BUILDX, go_tool
from tests.harness.server import Server


@dataclass(frozen=True)
class Held:
    """A running build with an active endpoint."""

    server: Server
    project: str
    build: str
    endpoint: EndpointFiles

    def finish(self) -> None:
        answer = self.server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": self.build, "success": {}})
        assert answer.status == 200, answer


@pytest.fixture
def hold(server: Server, tmp_path: Path) -> Iterator[Callable[[str], Held]]:
    """Makes builds with endpoints, and finishes those that the test left."""
    made: list[Held] = []

    def make(project: str) -> Held:
        build, token = server.new_build(project)
        endpoint = get_endpoint(server, build, token, tmp_path / f"endpoint-{build}")
        made.append(Held(server, project, build, endpoint))
        return made[-1]

    yield make
    for held in made:
        if (held.build, "running", None) in server.builds():
            held.finish()


@pytest.fixture
def held(server: Server, hold: Callable[[str], Held]) -> Held:
    return hold(server.project)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return make_context(tmp_path / "context", HEADER + run("echo made by a step > /made"))


def test_buildctl_builds(held: Held, context: Path, tmp_path: Path) -> None:
    result = held.endpoint.build(context, f"--output=type=local,dest={tmp_path / 'out'}")

    assert result.code == 0, result.output
    assert (tmp_path / "out" / "made").read_text() == "made by a step\n"
    assert held.server.query("select count(*) from solves where build_id = ?", held.build) == [(1,)]


def test_a_failing_step_fails_buildctl(held: Held, tmp_path: Path) -> None:
    failing = make_context(tmp_path / "failing", HEADER + run("exit 7"))

    result = held.endpoint.build(failing)

    assert result.code == 1
    assert "exit code: 7" in result.output


def test_the_certificate_of_a_finished_build_is_refused(held: Held, context: Path) -> None:
    assert held.endpoint.buildctl("debug", "workers").code == 0

    held.finish()
    result = held.endpoint.build(context)

    assert result.code == 1
    assert f"build {held.build} has no endpoint for linux/amd64: it has ended" in result.output
    assert held.server.query("select count(*) from solves where build_id = ?", held.build) == [(0,)]


def test_the_certificate_of_another_project_is_refused_at_this_ones_endpoint(
    server: Server, hold: Callable[[str], Held], context: Path
) -> None:
    ours, theirs = hold(server.new_project("ours")), hold(server.new_project("theirs"))
    assert ours.endpoint.build(context).code == 0
    # Our address and server name, with their certificate and key.
    mixed = replace(ours.endpoint, folder=theirs.endpoint.folder)

    refused = mixed.build(context)

    assert refused.code == 1
    assert "asks for another machine than its own" in refused.output
    own = theirs.endpoint.build(context)
    assert (own.code, own.cached) == (0, 0), "none of our cache is theirs"
    (our_machine,), (their_machine,) = server.machines(ours.project), server.machines(theirs.project)
    assert our_machine.id != their_machine.id
    assert server.query("select distinct machine_id from solves where build_id = ?", theirs.build) == [
        (their_machine.id,)
    ]
    assert ours.endpoint.build(context).cached == 2


def test_another_build_of_the_project_can_not_follow_this_ones_solve(
    hold: Callable[[str], Held], server: Server, context: Path
) -> None:
    ours, another = hold(server.project), hold(server.project)
    assert ours.endpoint.build(context).code == 0
    ((ref,),) = server.query("select ref from solves where build_id = ?", ours.build)

    own = ours.endpoint.buildctl("debug", "logs", ref)
    foreign = another.endpoint.buildctl("debug", "logs", ref)

    assert "that ref is not one of this build's" not in own.output
    assert foreign.code == 1
    assert "that ref is not one of this build's" in foreign.output


def test_without_a_client_certificate_the_handshake_fails(held: Held) -> None:
    assert held.endpoint.buildctl("debug", "workers").code == 0
    assert tls_alert(held.endpoint.address, None) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert held.endpoint.buildctl("debug", "workers", certificate=False).code == 1


def test_a_certificate_that_we_did_not_issue_fails_the_handshake(held: Held, tmp_path: Path) -> None:
    forged = Certificates(tmp_path / "forger", SystemClock()).issue_build(
        held.build, Platform.AMD64, timedelta(hours=1)
    )
    folder = tmp_path / "forged"
    folder.mkdir()
    (folder / "cert.pem").write_text(forged.certificate)
    (folder / "key.pem").write_text(forged.private_key)

    # The forger's authority has the name of ours, so that only the signature tells them apart.
    assert tls_alert(held.endpoint.address, folder) == "TLSV1_ALERT_DECRYPT_ERROR"


def test_a_certificate_of_a_build_is_worth_nothing_at_the_machine_itself(server: Server, held: Held) -> None:
    (machine,) = [one for one in server.machines(held.project) if one.platform == "linux/amd64"]
    address = f"tcp://{machine.placement['host']}:{machine.port}"

    alert = tls_alert(address, held.endpoint.folder)

    assert alert is not None
    assert "ALERT" in alert


def tls_alert(address: str, folder: Path | None) -> str | None:
    """The alert with which a TLS server ends the handshake with the certificate in a folder, or with none."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.set_alpn_protocols(["h2"])
    if folder is not None:
        client.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    try:
        with socket.create_connection((host, int(port)), 10) as plain, client.wrap_socket(plain) as connection:
            connection.recv(1)
    except ssl.SSLError as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["prune"], "a build may not call /moby.buildkit.v1.Control/Prune", id="prune"),
        pytest.param(["du"], "a build may not call /moby.buildkit.v1.Control/DiskUsage", id="du"),
        pytest.param(["debug", "histories"], "the history of other builds is not yours to read", id="histories"),
        pytest.param(["prune-histories"], "the history of other builds is not yours to read", id="prune-histories"),
    ],
)
def test_a_call_that_builds_have_no_need_of_is_refused(held: Held, arguments: list[str], reason: str) -> None:
    result = held.endpoint.buildctl(*arguments)

    assert result.code == 1
    assert reason in result.output


def test_entitlements_are_refused(held: Held, context: Path) -> None:
    entitlements = ("security.insecure", "network.host")

    def build(entitlement: str) -> Result:
        return held.endpoint.build(context, "--allow", entitlement)

    # At once, because buildctl goes on waiting for the status of a solve that was refused.
    with ThreadPoolExecutor(len(entitlements)) as pool:
        results = list(pool.map(build, entitlements))

    for entitlement, result in zip(entitlements, results, strict=True):
        assert result.code == 1
        assert f"may not use {entitlement}; leave out --allow, or ask the operator" in result.output


@pytest.mark.parametrize("flags", ["--security=insecure", "--network=host"])
def test_a_step_that_wants_an_entitlement_is_refused(held: Held, tmp_path: Path, flags: str) -> None:
    privileged = make_context(tmp_path / "privileged", HEADER + run("echo i got it", flags=flags))

    result = held.endpoint.build(privileged)

    assert result.code == 1
    assert "is not allowed" in result.output


@pytest.mark.timeout(900)  # the first run builds buildx
def test_buildx_builds_with_a_remote_builder(server: Server, held: Held, context: Path, tmp_path: Path) -> None:
    files, out = held.endpoint.folder, tmp_path / "out"
    certificates = f"cacert={files}/ca.pem,cert={files}/cert.pem,key={files}/key.pem"
    remote = ["--driver", "remote", "--driver-opt", f"{certificates},servername={held.endpoint.server_name}"]

    def buildx(*arguments: str) -> subprocess.CompletedProcess[str]:
        home = {"HOME": str(tmp_path), "BUILDX_CONFIG": str(tmp_path / "buildx"), "PATH": os.environ["PATH"]}
        command = [str(go_tool(BUILDX, server.cache)), *arguments]
        return subprocess.run(command, env=home, capture_output=True, text=True, timeout=120, check=False)

    created = buildx("create", "--name", "stoker", *remote, held.endpoint.address)
    built = buildx("build", "--builder", "stoker", "--progress", "plain", "-o", f"type=local,dest={out}", str(context))
    held.finish()
    refused = buildx("build", "--builder", "stoker", str(context))

    assert created.returncode == 0, created.stderr
    assert built.returncode == 0, built.stderr
    assert (out / "made").read_text() == "made by a step\n"
    assert refused.returncode != 0
