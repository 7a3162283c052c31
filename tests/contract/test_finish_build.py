"""How a build ended, in every spelling that clients have for it."""

from __future__ import annotations

import pytest

from tests.harness.server import Server

SDK = "depot.build.v1.BuildService/FinishBuild"
CLI = "depot.cli.v1.BuildService/FinishBuild"
TEXT = "tests failed"

SUCCESSES = (
    {},
    {"success": {}},
    {"success": {}, "error": None},
    {"result": None},
    {"result": {}},
    {"result": {"success": {}}},
    {"result": {"success": {}, "error": None}},
    {"result": {"case": "success", "value": {}}},
    {"result": {"case": "success"}},
)
FAILURES = (
    {"error": {"error": TEXT}},
    {"error": TEXT},
    {"result": {"error": TEXT}},
    {"result": {"error": {"error": TEXT}}},
    {"result": {"case": "error", "value": {"error": TEXT}}},
    {"result": {"case": "error", "value": TEXT}},
)
CANCELED = ({"canceled": {}}, {"result": {"canceled": {}}}, {"result": {"case": "canceled"}})
NONSENSE = (
    {"result": "error"},
    {"result": ["error"]},
    {"result": {"failure": {}}},
    {"result": {"success": {}, "error": TEXT}},
    {"result": {"success": {}}, "error": {"error": TEXT}},
    {"result": {"case": "failed", "value": {}}},
    {"result": {"error": 7}},
)


def finished(server: Server, method: str, result: dict[str, object]) -> tuple[str, str | None]:
    build, token = server.new_build()
    answer = server.call(method, {"buildId": build, **result}, token=token)
    assert (answer.status, answer.body) == (200, {}), (result, answer)
    (found,) = server.query("select status, error from builds where id = ?", build)
    return found


@pytest.mark.parametrize("method", [SDK, CLI])
def test_the_result_is_understood_in_all_spellings(server: Server, method: str) -> None:
    for result in SUCCESSES:
        assert finished(server, method, result) == ("succeeded", None), result
    for result in FAILURES:
        assert finished(server, method, result) == ("failed", TEXT), result


def test_only_the_cli_cancels(server: Server) -> None:
    for result in CANCELED:
        assert finished(server, CLI, result) == ("canceled", None), result
        build, token = server.new_build()
        refused = server.call(SDK, {"buildId": build, **result}, token=token)
        assert (refused.status, refused.code) == (400, "invalid_argument"), result
        assert server.query("select status from builds where id = ?", build) == [("running",)]


@pytest.mark.parametrize("method", [SDK, CLI])
def test_a_result_that_is_not_understood_ends_nothing(server: Server, method: str) -> None:
    build, token = server.new_build()
    for result in NONSENSE:
        refused = server.call(method, {"buildId": build, **result}, token=token)
        assert (refused.status, refused.code) == (400, "invalid_argument"), (result, refused)
        assert "FinishBuildRequest" in refused.message
    assert server.query("select status from builds where id = ?", build) == [("running",)]


def test_no_result_in_protobuf_is_a_success(server: Server) -> None:
    for method in (SDK, CLI):
        build, token = server.new_build()
        encoded = bytes([0x0A, len(build)]) + build.encode()
        answer = server.call(method, raw=encoded, token=token, headers={"content-type": "application/proto"})
        assert answer.status == 200, answer
        assert server.query("select status, error from builds where id = ?", build) == [("succeeded", None)]
