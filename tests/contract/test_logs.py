"""What is logged, and the id by which a caller finds their request in it."""

from __future__ import annotations

import json
import logging
import secrets
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pyqwest import HTTPVersion, SyncClient, SyncHTTPTransport

from stoker.logs import JsonFormatter
from tests.harness.server import Server
from tests.harness.waiting import eventually

FINISH = "depot.build.v1.BuildService/FinishBuild"
ENDPOINT = "depot.buildkit.v1.BuildKitService/GetEndpoint"


@pytest.fixture(scope="module")
def logging_server(make_server: Callable[..., Server]) -> Server:
    return make_server(log_format="json")


def lines(server: Server) -> list[dict[str, Any]]:
    """All lines of the API, each of which must be JSON."""
    text = (server.data / "logs" / "api.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def test_lines_about_builds_name_them_and_the_request(logging_server: Server) -> None:
    created, ended = (f"{name}-{secrets.token_hex(4)}" for name in ("created", "ended"))
    project = logging_server.new_project()
    made = logging_server.call(
        "depot.build.v1.BuildService/CreateBuild", {"projectId": project}, headers={"x-request-id": created}
    ).body
    build = made["buildId"]
    finished = {"buildId": build, "success": {}}
    answer = logging_server.call(FINISH, finished, token=made["buildToken"], headers={"x-request-id": ended})
    assert answer.status == 200
    refused = f"refused-{secrets.token_hex(4)}"
    logging_server.call(FINISH, finished, token=made["buildToken"], headers={"x-request-id": refused})

    def about_the_build() -> list[dict[str, Any]]:
        return [line for line in lines(logging_server) if line.get("build_id") == build]

    eventually(lambda: len(about_the_build()) == 3, "three lines")
    first, second, third = about_the_build()
    assert (first["request_id"], first["project_id"]) == (created, project)
    assert (second["request_id"], second["message"].rpartition(": ")[2]) == (ended, "succeeded")
    assert (third["request_id"], third["method"], third["code"]) == (refused, FINISH, "failed_precondition")
    assert {line["level"] for line in about_the_build()} == {"info"}
    assert made["buildToken"] not in (logging_server.data / "logs" / "api.log").read_text()


def test_what_strangers_are_refused_is_not_logged(logging_server: Server) -> None:
    def refusals() -> list[str]:
        return [line["code"] for line in lines(logging_server) if "code" in line]

    before = refusals()
    for _ in range(10):
        assert logging_server.call(FINISH, {}, token="nonsense").code == "unauthenticated"
    marker = secrets.token_hex(8)
    logging_server.call(FINISH, {"buildId": "no id"}, headers={"x-request-id": marker})
    eventually(lambda: any(line.get("request_id") == marker for line in lines(logging_server)), "the last one is")
    assert refusals() == [*before, "invalid_argument"]


def test_envoy_s_own_lines_are_json_too(logging_server: Server) -> None:
    for name in ("api", "gateway"):
        content = (logging_server.data / "run" / f"{name}-envoy.json").read_text()
        assert "json_format" in json.loads(content)["application_log_config"]["log_format"]
        for line in (logging_server.data / "logs" / f"{name}.log").read_text().splitlines():
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys()


@pytest.mark.parametrize(
    ("path", "content_type", "status"),
    [
        (FINISH, "application/json", 400),
        (FINISH, "application/grpc+json", 200),
        (FINISH, "application/grpc-web+json", 200),
        (ENDPOINT, "application/connect+json", 200),
        ("grpc.health.v1.Health/Check", "application/json", 200),
        ("depot.core.v1.ProjectService/Nope", "application/json", 404),
        ("sign-in", "", 200),
        ("nowhere", "", 404),
    ],
)
def test_every_answer_tells_the_request_s_id(server: Server, path: str, content_type: str, status: int) -> None:
    body = b'{"buildId":"no id"}' if path == FINISH else b"{}"
    framed = b"\0" + len(body).to_bytes(4, "big") + body
    with SyncHTTPTransport(http_version=HTTPVersion.HTTP2) as transport:
        client = SyncClient(transport)
        for given in ("", "my-own-id"):
            headers = {"authorization": f"Bearer {server.token}"} | ({"x-request-id": given} if given else {})
            if content_type:
                headers |= {"content-type": content_type, "te": "trailers"}
                streaming = "connect+" in content_type or "grpc" in content_type
                answer = client.post(f"{server.url}/{path}", headers, framed if streaming else body, timeout=30)
            else:
                answer = client.get(f"{server.url}/{path}", headers, timeout=30)
            assert answer.status == status
            told = answer.headers.getall("x-request-id")
            assert len(told) == 1
            assert told[0] == given if given else len(told[0]) == 16


def test_a_line_stays_one_line_whatever_is_in_it() -> None:
    try:
        int("two\nlines")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "a %s", ('b\nc"d',), sys.exc_info())
    line = JsonFormatter().format(record)
    assert "\n" not in line
    content = json.loads(line)
    assert content["message"] == 'a b\nc"d'
    assert "ValueError: invalid literal" in content["exception"]
    assert "request_id" not in content


def test_text_lines_end_with_the_request_s_id(server: Server) -> None:
    marker = secrets.token_hex(8)
    server.call(FINISH, {"buildId": "no id"}, headers={"x-request-id": marker})
    log = server.data / "logs" / "api.log"
    eventually(lambda: f"{FINISH} was refused: invalid_argument [{marker}]" in log.read_text(), "the line is there")
