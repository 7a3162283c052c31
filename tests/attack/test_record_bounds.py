"""Records of builds: what one build can take of them, and what others notice of it."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.attack.framework.attack import gateway_address, gateway_tls
from tests.attack.framework.http1 import enveloped
from tests.attack.framework.http2 import http2
from tests.attack.framework.protobuf import many_vertexes, solve
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import EndpointFiles, get_endpoint
from tests.harness.neighbour import neighbour_of
from tests.harness.records import read_steps, recorded, when_recorded
from tests.harness.server import Answer, Server
from tests.harness.waiting import eventually

CLI = "depot.cli.v1.BuildService"
SOLVE = "/moby.buildkit.v1.Control/Solve"
SILENT = 25
VERTEXES = 50_000
PATIENCE_SECONDS = 2.0


@pytest.fixture(scope="module")
def small(make_server: Callable[..., Server]) -> Server:
    """A server that keeps little of a build."""
    return make_server(
        drain_seconds="0",
        record_build_bytes="65536",
        record_reported_bytes="65536",
        record_reported_steps="20",
        record_warnings="10",
        record_dockerfiles="3",
        record_dockerfile_bytes="20000",
        record_attestation_bytes="100",
        record_build_log_bytes="4096",
        record_report_seconds="1",
        record_steps="40",
        max_followed_solves="8",
        max_followed_solves_per_project="6",
        max_followed_solves_per_build="4",
    )


def report(server: Server, build: tuple[str, str], method: str, request: dict[str, Any], **how: Any) -> Answer:
    return server.call(f"{CLI}/{method}", {"buildId": build[0], **request}, **({"token": build[1]} | how))


def vertexes(count: int, name: str = "x") -> dict[str, Any]:
    return {"statuses": [{"vertexes": [{"digest": f"sha256:{one}", "name": name} for one in range(count)]}]}


def size(server: Server, build: tuple[str, str]) -> tuple[int, int, int, int]:
    """What is counted of a build's reports: steps, bytes of logs, all other bytes, and what was left out."""
    found = server.query(
        "select steps, log_bytes, kept_bytes, left_out from record_sizes where build_id = ? and is_reported", build[0]
    )
    return found[0] if found else (0, 0, 0, 0)


@pytest.mark.bound("record_reported_steps")
def test_a_client_reports_so_many_steps_and_another_build_its_own(small: Server) -> None:
    build, other = small.new_build(), small.new_build()
    for _ in range(3):
        assert report(small, build, "ReportStatus", vertexes(100)).status == 200
    assert report(small, other, "ReportStatus", vertexes(5)).status == 200

    assert size(small, build)[0] == 20
    assert size(small, build)[3] >= 80
    assert size(small, other)[0] == 5
    assert size(small, other)[3] == 0


@pytest.mark.bound("record_reported_bytes", "record_dockerfiles", "record_dockerfile_bytes", "record_warnings")
@pytest.mark.parametrize("calls", [1, 5])
@pytest.mark.parametrize("kind", ["dockerfiles", "warnings", "names", "errors", "transfers", "timings", "logs"])
def test_all_that_a_client_reports_has_one_bound_whatever_it_is_and_in_how_many_calls(
    small: Server, kind: str, calls: int
) -> None:
    build, other = small.new_build(), small.new_build()
    text = "x" * 3000
    for call in range(calls):
        names = [f"{call}-{one}" for one in range(200)]
        requests: dict[str, tuple[str, dict[str, Any]]] = {
            "dockerfiles": (
                "ReportBuildContext",
                {"dockerfiles": [{"filename": one, "contents": text} for one in names]},
            ),
            "warnings": (
                "ReportStatus",
                {"statuses": [{"warnings": [{"vertex": one, "short": "eHh4", "url": text} for one in names]}]},
            ),
            "names": ("ReportStatus", {"statuses": [{"vertexes": [{"digest": one, "name": text} for one in names]}]}),
            "errors": ("ReportStatus", {"statuses": [{"vertexes": [{"digest": one, "error": text} for one in names]}]}),
            "transfers": (
                "ReportStatus",
                {"statuses": [{"statuses": [{"ID": one, "name": text, "vertex": f"{call}"} for one in names]}]},
            ),
            "timings": ("ReportTimings", {"buildSteps": [{"name": one, "error": text} for one in names]}),
            "logs": (
                "ReportStatus",
                {
                    "statuses": [
                        {"logs": [{"vertex": "1", "msg": base64.b64encode(text.encode()).decode()} for _ in names]}
                    ]
                },
            ),
        }
        method, request = requests[kind]
        assert report(small, build, method, request).status == 200
    assert report(small, other, "ReportStatus", vertexes(3)).status == 200

    _, log_bytes, kept_bytes, left_out = size(small, build)
    assert kept_bytes <= 65536
    assert log_bytes <= 65536
    assert left_out > 0 or kind == "logs"
    (counts,) = small.query(
        "select (select count(*) from warnings where build_id = ?1),"
        " (select count(*) from dockerfiles where build_id = ?1)",
        build[0],
    )
    assert counts <= (10, 3)
    assert size(small, other) == (3, 0, size(small, other)[2], 0)


@pytest.mark.bound("record_steps", "record_build_bytes", "record_build_log_bytes", "record_attestation_bytes")
def test_what_a_client_reports_hides_nothing_of_what_its_machine_did(small: Server, tmp_path: Path) -> None:
    build, token = small.new_build()
    for _ in range(2):
        assert report(small, (build, token), "ReportStatus", vertexes(500, "y" * 4000)).status == 200
    loud = "for n in $(seq 300); do echo a line of twenty chars; done"
    context = make_context(tmp_path / "context", HEADER + run("echo hidden") + run(loud))
    endpoint = get_endpoint(small, build, token, tmp_path / "endpoint")
    assert endpoint.build(context).code == 0
    when_recorded(small, build)

    steps = recorded(small, build)
    assert [step.log for name, step in steps.items() if "echo hidden" in name] == [["hidden"]]
    ((log_bytes, kept_bytes),) = small.query(
        "select log_bytes, kept_bytes from record_sizes where build_id = ? and not is_reported", build
    )
    assert 0 < log_bytes <= 4096
    assert 0 < kept_bytes <= 65536
    assert small.query("select 1 from attestations where build_id = ?", build) == []


@pytest.mark.bound("record_report_seconds")
def test_after_a_builds_end_only_its_own_token_reports_and_not_for_long(small: Server, server: Server) -> None:
    warning = {"statuses": [{"warnings": [{"vertex": "1", "short": "eHh4", "url": "https://evil.example"}]}]}
    for one in (small, server):
        build = one.new_build()
        ended = {"buildId": build[0], "success": {}}
        assert one.call("depot.build.v1.BuildService/FinishBuild", ended, token=build[1]).status == 200
        for method, request in (
            ("ReportStatus", warning),
            ("ReportBuildContext", {"dockerfiles": [{"filename": "f", "contents": "x"}]}),
            ("ReportTimings", {"buildSteps": [{"name": "x"}]}),
        ):
            refused = report(one, build, method, request, token=one.token)
            assert (refused.code, "only its own token" in refused.message) == ("failed_precondition", True)
    assert report(server, build, "ReportStatus", vertexes(1)).status == 200, "two minutes are a default"

    late = (small.builds()[-1][0], build[1])
    ended = small.new_build()
    small.call("depot.build.v1.BuildService/FinishBuild", {"buildId": ended[0], "success": {}}, token=ended[1])
    eventually(lambda: report(small, ended, "ReportStatus", warning).code == "failed_precondition", "it is too late")
    assert late[0]
    assert report(small, small.new_build(), "ReportStatus", vertexes(1)).status == 200


@contextmanager
def solves_of_nobody(endpoint: EndpointFiles, count: int) -> Iterator[None]:
    """Solves that wait for a client which never comes."""
    given = {"folder": str(endpoint.folder), "address": endpoint.address}
    ready, over = threading.Event(), threading.Event()

    async def hold() -> None:
        async with http2(gateway_address(given), gateway_tls(given), endpoint.server_name) as connection:
            for number in range(count):
                stream = await connection.open(SOLVE, {"content-type": "application/grpc", "te": "trailers"})
                asked = solve(f"silent-{id(over):x}-{number}", frontend="dockerfile.v0", session="nobody")
                await connection.send(stream, enveloped(asked), end=True)
            ready.set()
            await asyncio.to_thread(over.wait)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(lambda: asyncio.run(hold()))
        assert ready.wait(30)
        try:
            yield
        finally:
            over.set()
            holding.result(30)


@pytest.mark.bound("max_followed_solves", "max_followed_solves_per_project", "max_followed_solves_per_build")
def test_solves_that_nobody_comes_for_leave_the_records_of_others_whole(small: Server, tmp_path: Path) -> None:
    silent, others = small.new_project(), small.new_project()
    builds = [small.new_build(silent) for _ in range(2)]
    endpoints = [get_endpoint(small, *build, tmp_path / build[0]) for build in builds]
    context = make_context(tmp_path / "context", HEADER + run("echo said"))
    with solves_of_nobody(endpoints[0], SILENT), solves_of_nobody(endpoints[1], SILENT):
        eventually(
            lambda: small.query("select count(*) from solves where record = 'following'") == [(2 * SILENT,)],
            "all of them are to be recorded",
        )
        for _ in range(2):
            assert Depot(small, tmp_path).build("--no-cache", cwd=context, DEPOT_PROJECT_ID=others).code == 0
            build = small.builds(others)[-1][0]
            when_recorded(small, build)
            assert ["said"] in [step.log for step in recorded(small, build).values()]


def test_nobody_waits_for_a_solve_of_very_many_steps(make_server: Callable[..., Server], tmp_path: Path) -> None:
    # By default the gateway refuses one that is so large.
    server = make_server(drain_seconds="0", max_solve_bytes=str(16 * 1024**2))
    build = server.new_build(server.new_project())
    endpoint = get_endpoint(server, *build, tmp_path / "endpoint")
    given = {"folder": str(endpoint.folder), "address": endpoint.address}

    async def send() -> None:
        async with http2(gateway_address(given), gateway_tls(given), endpoint.server_name) as connection:
            stream = await connection.open(SOLVE, {"content-type": "application/grpc", "te": "trailers"})
            asked = solve(f"many-{build[0]}", definition=many_vertexes(VERTEXES, build[0]))
            await connection.send(stream, enveloped(asked), end=True)
            await asyncio.wait_for(stream.ended.wait(), 120)

    with neighbour_of(server) as others:
        asyncio.run(send())
        when_recorded(server, build[0])
    assert others.longest < PATIENCE_SECONDS
    assert len(read_steps(server, build[0], 500)) > 0


def test_nobody_waits_for_a_report_of_very_many_steps(server: Server) -> None:
    build = server.new_build()
    with neighbour_of(server) as others:
        for _ in range(3):
            report(server, build, "ReportStatus", vertexes(10_000))
            report(server, build, "ReportStatus", vertexes(50_000))
    assert others.longest < PATIENCE_SECONDS
