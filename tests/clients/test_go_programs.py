"""Go programs: those of examples/go, and the calls that Depot's own library for Go makes."""

from __future__ import annotations

import gzip
import http.client
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from protobuf import Message, Oneof

from stoker._gen.depot.cli.v1 import build_pb as pb
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import depot_environment
from tests.harness.endpoint import endpoint_files
from tests.harness.go_tools import EXAMPLE_PROGRAMS, go_examples
from tests.harness.server import Server
from tests.harness.waiting import eventually

CLI = "depot.cli.v1.BuildService"
STEPS = "depot.build.v1.BuildService/GetBuildSteps"

pytestmark = pytest.mark.timeout(900)  # the first run builds the programs


def begin(server: Server, program: str, project: str, context: Path, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(go_examples(server.cache) / program), project, str(context), str(context / "out")],
        env=depot_environment(server, home, project),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("program", EXAMPLE_PROGRAMS)
def test_a_go_program_builds_and_its_record_is_whole(server: Server, program: str, tmp_path: Path) -> None:
    project = server.new_project()
    context = make_context(tmp_path / "context", HEADER + run("echo made >/made"))
    building = begin(server, program, project, context, tmp_path)
    output, _ = building.communicate(timeout=180)
    assert building.returncode == 0, output
    assert (context / "out" / "made").read_text() == "made\n"
    ((build, status, error),) = server.builds(project)
    assert (status, error) == ("succeeded", None)
    steps = server.call(STEPS, {"projectId": project, "buildId": build}).body["buildSteps"]
    assert any("echo made" in step["name"] for step in steps)


@pytest.mark.parametrize("program", EXAMPLE_PROGRAMS)
def test_a_go_program_that_fails_says_why_and_so_does_its_record(server: Server, program: str, tmp_path: Path) -> None:
    project = server.new_project()
    context = make_context(tmp_path / "context", HEADER + run("exit 42"))
    building = begin(server, program, project, context, tmp_path)
    output, _ = building.communicate(timeout=180)
    assert building.returncode == 1
    assert "exit code: 42" in output.splitlines()[-1]
    ((_, status, error),) = server.builds(project)
    assert status == "failed"
    assert "exit code: 42" in (error or "")


def test_a_go_program_that_is_interrupted_ends_its_build(server: Server, tmp_path: Path) -> None:
    project = server.new_project()
    context = make_context(tmp_path / "context", HEADER + run("echo begun; sleep 60"))
    building = begin(server, EXAMPLE_PROGRAMS[0], project, context, tmp_path)
    assert building.stdout is not None
    for line in building.stdout:
        if line.rstrip().endswith(" begun"):
            break
    building.send_signal(signal.SIGINT)
    output, _ = building.communicate(timeout=60)
    assert building.returncode == 1, output
    ((_, status, error),) = server.builds(project)
    assert status == "failed"
    assert "canceled" in (error or "")


class DepotGo:
    """The calls of `depot-go`: protobuf over HTTP/1.1, on connections that it keeps."""

    def __init__(self, server: Server, token: str) -> None:
        self._server = server
        self._token = token
        self._connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)

    def call(self, method: str, request: Message, answer: type[Any]) -> Any:
        headers = {
            "content-type": "application/proto",
            "connect-protocol-version": "1",
            "user-agent": "connect-go/1.18.1 (go1.24.2)",
            "accept-encoding": "gzip",
            "authorization": f"Bearer {self._token}",
        }
        self._connection.request("POST", f"/{CLI}/{method}", request.to_binary(), headers)
        response = self._connection.getresponse()
        body = response.read()
        assert response.version == 11
        assert response.status == 200, body
        return answer.from_binary(gzip.decompress(body) if response.headers["content-encoding"] == "gzip" else body)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def reporting_health(server: Server, build: str, token: str, answers: list[Any]) -> Iterator[None]:
    """Report every 5 seconds, beginning at once, which is before there is a machine."""
    over = threading.Event()

    def report() -> None:
        reporter = DepotGo(server, token)
        request = pb.ReportBuildHealthRequest(build_id=build, platform=pb.BuilderPlatform.AMD64)
        while True:
            answers.append(reporter.call("ReportBuildHealth", request, pb.ReportBuildHealthResponse))
            if over.wait(5):
                break
        reporter.close()

    thread = threading.Thread(target=report)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


def test_depot_go_builds(server: Server, tmp_path: Path) -> None:
    project = server.new_project()
    engine = pb.CreateBuildRequest.RequiredEngine
    wanted = engine(engine=Oneof(field="buildkit", value=engine.BuildKitEngine()))
    creating = DepotGo(server, server.token)
    created = creating.call(
        "CreateBuild", pb.CreateBuildRequest(project_id=project, required_engine=wanted), pb.CreateBuildResponse
    )
    creating.close()
    assert created.project_id == project
    client = DepotGo(server, created.build_token)
    reports: list[pb.ReportBuildHealthResponse] = []
    with reporting_health(server, created.build_id, created.build_token, reports):
        asked = pb.GetBuildKitConnectionRequest.RequiredEngine
        request = pb.GetBuildKitConnectionRequest(
            build_id=created.build_id,
            platform=pb.BuilderPlatform.AMD64,
            required_engine=asked(engine=Oneof(field="buildkit", value=asked.BuildKitEngine())),
        )
        while True:
            answer = client.call("GetBuildKitConnection", request, pb.GetBuildKitConnectionResponse)
            assert answer.connection is not None
            if answer.connection.field == "active":
                break
            assert answer.connection.value.wait_ms > 0, "0 would make it spin"
            threading.Event().wait(answer.connection.value.wait_ms / 1000)
        active: Any = answer.connection.value
        assert active.endpoint.startswith("tcp://")
        given = {
            "endpoint": active.endpoint,
            "serverName": active.server_name,
            "cert": {"cert": active.cert.cert, "key": active.cert.key},
            "caCert": {"cert": active.ca_cert.cert},
        }
        endpoint = endpoint_files(server, given, tmp_path / "endpoint")
        eventually(lambda: endpoint.buildctl("debug", "workers").code == 0, "ListWorkers answers")
        context = make_context(tmp_path / "context", HEADER + run("echo hello"))
        built = endpoint.build(context)
        assert built.code == 0, built.output
        eventually(lambda: len(reports) > 1, "health is reported on one connection")
        finish = pb.FinishBuildRequest(
            build_id=created.build_id, result=Oneof(field="success", value=pb.FinishBuildRequest.BuildSuccess())
        )
        client.call("FinishBuild", finish, pb.FinishBuildResponse)
        after = len(reports)
        eventually(lambda: len(reports) > after, "the end is reported")
    client.close()
    assert reports[0].cancels_at is None
    assert reports[-1].cancels_at is not None, "it learns that the build has ended"
    assert server.builds(project) == [(created.build_id, "succeeded", None)]
