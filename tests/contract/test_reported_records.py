"""What clients report of their builds, and how records are asked for."""

from __future__ import annotations

import pytest

from tests.harness.server import Server

CLI = "depot.cli.v1.BuildService"
STEPS = "depot.build.v1.BuildService/GetBuildSteps"
LOGS = "depot.build.v1.BuildService/GetBuildStepLogs"


@pytest.fixture
def build(server: Server) -> str:
    return server.new_build()[0]


def test_a_client_reports_its_own_work(server: Server, build: str) -> None:
    vertex = {"digest": "sha256:1", "name": "[depot] launching", "started": "2026-01-01T00:00:00Z"}
    log = {"vertex": "sha256:1", "stream": 1, "msg": "b25lCg==", "timestamp": "2026-01-01T00:00:01Z"}
    for _ in range(2):
        status = {"vertexes": [vertex], "logs": [log]}
        assert server.call(f"{CLI}/ReportStatus", {"buildId": build, "statuses": [status]}).status == 200

    reported = server.query("select name, solve_ref, log_lines from steps where build_id = ?", build)

    assert reported == [("[depot] launching", "client", 2)], "each report says something new"
    assert server.call(STEPS, {"buildId": build}).body == {}, "it is none of the machine's steps"


def test_a_client_reports_dockerfiles_and_timings(server: Server, build: str) -> None:
    dockerfile = {"target": "app", "filename": "Dockerfile", "contents": "FROM scratch\n"}
    timing = {"name": "RUN A_TOKEN=abc make", "durationMs": 1500, "cached": False, "stableDigest": "sha256:2"}
    for _ in range(2):
        request = {"buildId": build, "dockerfiles": [dockerfile]}
        assert server.call(f"{CLI}/ReportBuildContext", request).status == 200
    assert server.call(f"{CLI}/ReportTimings", {"buildId": build, "buildSteps": [timing]}).status == 200

    kept = server.query("select target, filename, contents from dockerfiles where build_id = ?", build)
    timed = server.query("select name, duration_microseconds, stable_digest from timings where build_id = ?", build)

    assert kept == [("app", "Dockerfile", "FROM scratch\n")]
    assert timed == [("RUN A_TOKEN=*** make", 1_500_000, "sha256:2")]


@pytest.mark.parametrize(
    ("method", "more", "code", "says"),
    [
        (STEPS, {"pageToken": "x"}, "invalid_argument", "page_token is none of this list's"),
        (STEPS, {"pageSize": 501}, "invalid_argument", "page_size is 501"),
        (STEPS, {"projectId": "0" * 16}, "not_found", "is not one of project"),
        (LOGS, {}, "invalid_argument", "build_step_digest is not a step's digest"),
        (LOGS, {"buildStepDigest": "sha256:1"}, "not_found", "has no step with that digest"),
    ],
)
def test_what_can_not_be_is_said(
    server: Server, build: str, method: str, more: dict[str, object], code: str, says: str
) -> None:
    answer = server.call(method, {"buildId": build} | more)
    assert (answer.code, says in answer.message) == (code, True), answer
