"""Requests without a body, and clients that go away: neither holds up the server."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tests.harness.server import Server
from tests.harness.waiting import eventually

PROTO = {"content-type": "application/proto"}


@pytest.mark.parametrize("method", ["grpc.health.v1.Health/Check", "depot.cli.v1beta1.ProjectsService/ListProjects"])
def test_an_empty_message_is_a_request_without_a_body(server: Server, method: str) -> None:
    answer = server.call(method, raw=b"", headers={"content-type": "application/json"})
    assert (answer.status, answer.code) == (400, "invalid_argument"), "no JSON document is empty"
    for _ in range(3):
        assert server.status(method, b"", PROTO) == 200


def test_the_server_goes_on_after_a_client_hung_up(server: Server) -> None:
    address = urlsplit(server.url)
    build, token = server.new_build()
    body = b'{"buildId":"%s","platform":"BUILDER_PLATFORM_AMD64"}' % build.encode()
    request = (
        b"POST /depot.cli.v1.BuildService/GetBuildKitConnection HTTP/1.1\r\nhost: x\r\n"
        b"content-type: application/json\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s"
    ) % (token.encode(), len(body), body)
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(request)
    assert server.status("grpc.health.v1.Health/Check", b"", PROTO) == 200
    eventually(
        lambda: server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "success": {}}).status == 200,
        "the abandoned build can be finished",
    )
