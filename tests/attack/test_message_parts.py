"""Messages of very many tiny parts, which would take long to decode."""

from __future__ import annotations

import pytest

from stoker._gen.depot.cli.v1 import build_pb as pb
from stoker._gen.moby.buildkit.v1 import control_pb as control
from tests.harness.neighbour import neighbour_of
from tests.harness.server import Server

REPORT = "depot.cli.v1.BuildService/ReportStatus"
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
