"""Messages of very many tiny parts, which would take long to decode."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from stoker._gen.depot.cli.v1 import build_pb as pb
from stoker._gen.moby.buildkit.v1 import control_pb as control
from tests.attack.framework.attack import gateway_address, gateway_tls
from tests.attack.framework.http1 import enveloped
from tests.attack.framework.http2 import http2
from tests.attack.framework.protobuf import solve
from tests.harness.endpoint import get_endpoint
from tests.harness.neighbour import neighbour_of
from tests.harness.server import Server

REPORT = "depot.cli.v1.BuildService/ReportStatus"
SOLVE = "/moby.buildkit.v1.Control/Solve"
BINARY = {"content-type": "application/proto"}
MEGABYTES = 1024 * 1024
# Far more than anybody should wait, for hosts that are busy with other tests.
PATIENCE_SECONDS = 2.0


def nested(number: int, content: bytes) -> bytes:
    """A field that holds a message."""
    size, length = len(content), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


@pytest.mark.bound("max_message_parts")
@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (nested(2, b"\x0a\x00" * (2 * MEGABYTES - 100)), BINARY),
        (nested(2, nested(1, b"\x2a\x00" * (2 * MEGABYTES - 100))), BINARY),
        (nested(2, nested(1, b"\x12\x00" * (2 * MEGABYTES - 100))), BINARY),
        (b"\x78\x00" * (2 * MEGABYTES - 100), BINARY),
        (b'{"statuses": [{"vertexes": [' + b"{}," * MEGABYTES + b"{}]}]}", {}),
        (b'{"statuses": [' + b"[]," * MEGABYTES + b"[]]}", {}),
    ],
    ids=["steps", "one field again and again", "inputs", "unknown fields", "steps in JSON", "lists in JSON"],
)
def test_a_message_of_too_many_parts_is_refused_before_it_is_decoded(
    server: Server, content: bytes, headers: dict[str, str]
) -> None:
    with neighbour_of(server) as others:
        answer = server.call(REPORT, raw=content, headers=headers)

    assert answer.code == "resource_exhausted", answer
    assert "max_message_parts" in answer.message
    assert others.longest < PATIENCE_SECONDS


def test_a_message_of_a_few_large_parts_is_taken(server: Server) -> None:
    build, token = server.new_build()
    contents = 'RUN echo "a, b, {c}, [d]" \\\\\n' * 30_000
    dockerfile = {"target": "app", "filename": "Dockerfile", "contents": contents}
    answer = server.call(
        "depot.cli.v1.BuildService/ReportBuildContext", {"buildId": build, "dockerfiles": [dockerfile]}, token=token
    )
    assert answer.status == 200, answer


def test_a_report_of_ten_thousand_steps_is_taken(server: Server) -> None:
    build, token = server.new_build()
    status = control.StatusResponse(vertexes=[control.Vertex(digest=f"sha256:{one}") for one in range(10_000)])
    content = pb.ReportStatusRequest(build_id=build, statuses=[status]).to_binary()
    assert server.call(REPORT, raw=content, headers=BINARY, token=token).status == 200


def test_a_solve_of_too_many_parts_is_refused_at_the_gateway(server: Server, tmp_path: Path) -> None:
    build = server.new_build(server.new_project())
    endpoint = get_endpoint(server, *build, tmp_path / "endpoint")
    given = {"folder": str(endpoint.folder), "address": endpoint.address}
    exporters = b"\x6a\x00" * (2 * MEGABYTES - 1000)

    async def send() -> None:
        async with http2(gateway_address(given), gateway_tls(given), endpoint.server_name) as connection:
            stream = await connection.open(SOLVE, {"content-type": "application/grpc", "te": "trailers"})
            await connection.send(stream, enveloped(solve("many-parts") + exporters), end=True)
            await asyncio.wait_for(stream.ended.wait(), 60)

    with neighbour_of(server) as others:
        asyncio.run(send())
    assert server.query("select ref from solves where build_id = ?", build[0]) == []
    assert others.longest < PATIENCE_SECONDS
