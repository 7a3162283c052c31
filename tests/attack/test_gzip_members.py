"""A compressed message costs what it is worth, however it is put together."""

from __future__ import annotations

import gzip
import http.client
import struct
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.harness.server import Server

CHECK = "grpc.health.v1.Health/Check"
WATCH = "grpc.health.v1.Health/Watch"
REFLECTION = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
LIST = "depot.core.v1.ProjectService/ListProjects"
STATUS_STREAM = "depot.cli.v1.BuildService/ReportStatusStream"
# The time would be a part of the names of tests.
GZIPPED = gzip.compress(b"{}", mtime=0)
KINDS = [
    pytest.param(LIST, "application/json", "content-encoding", id="Connect, with a token"),
    pytest.param(LIST, "application/grpc-web+proto", "grpc-encoding", id="gRPC-Web, with a token"),
    pytest.param(STATUS_STREAM, "application/connect+proto", "connect-content-encoding", id="a stream, with a token"),
    pytest.param(CHECK, "application/json", "content-encoding", id="Connect"),
    pytest.param(CHECK, "application/grpc-web+proto", "grpc-encoding", id="gRPC-Web"),
    pytest.param(WATCH, "application/connect+proto", "connect-content-encoding", id="a stream"),
    pytest.param(REFLECTION, "application/grpc-web+proto", "grpc-encoding", id="reflection"),
]


@pytest.mark.parametrize(("method", "kind", "encoding"), KINDS)
def test_a_message_of_many_gzip_members_is_refused_at_once(
    server: Server, method: str, kind: str, encoding: str
) -> None:
    body = gzip.compress(b"") * 200_000
    if kind != "application/json":
        body = struct.pack(">BI", 1, len(body)) + body
    began = time.monotonic()
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)) as connection:
        headers = {"content-type": kind, encoding: "gzip"}
        if method in (LIST, STATUS_STREAM):
            headers["authorization"] = f"Bearer {server.token}"
        connection.request("POST", f"/{method}", body, headers)
        response = connection.getresponse()
        answer = response.read().decode(errors="replace") + str(response.headers)
    # A stranger's message may not even be as large as that.
    why = "more than 8 members" if method in (LIST, STATUS_STREAM) else "larger than configured max 65536"
    assert why in answer.replace("%20", " ")
    # It was half a minute, of the whole API.
    assert time.monotonic() - began < 5


def test_a_message_of_a_few_members_is_taken(server: Server) -> None:
    body = gzip.compress(b"{") + gzip.compress(b"}") + gzip.compress(b"")
    assert server.call(CHECK, raw=body, token="", headers={"content-encoding": "gzip"}).status == 200


@pytest.mark.parametrize("body", [b"", b"x", GZIPPED[:-1], GZIPPED + b"x"])
def test_what_is_not_whole_gzip_is_invalid(server: Server, body: bytes) -> None:
    answer = server.call(CHECK, raw=body, token="", headers={"content-encoding": "gzip"})
    assert answer.code == "invalid_argument"
