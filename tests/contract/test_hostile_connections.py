"""Connections that only cost: streams opened to be reset, headers that never end."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.harness.server import Server

LIST = "depot.core.v1.ProjectService/ListProjects"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = struct.pack(">I", 8)
RESETS = 20_000


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame (RFC 9113, 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header that is not compressed (RFC 7541, 6.2.2)."""
    parts = b"".join(bytes([len(part)]) + part for part in (name.encode(), value.encode()))
    return b"\x00" + parts


def request_headers() -> bytes:
    pseudo = {":method": "POST", ":scheme": "http", ":path": f"/{LIST}", ":authority": "x"}
    return b"".join(literal(*header) for header in (pseudo | {"content-type": "application/json"}).items())


@contextmanager
def http2(server: Server) -> Iterator[socket.socket]:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 30) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0))
        yield connection


def frames_until_closed(connection: socket.socket) -> list[int]:
    """The kinds of all frames that come until the server closes the connection."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    kinds: list[int] = []
    while len(received) >= 9:
        kinds.append(received[3])
        received = received[9 + int.from_bytes(received[:3], "big") :]
    return kinds


def test_who_opens_streams_only_to_reset_them_is_cut_off(server: Server) -> None:
    with http2(server) as connection:
        block = request_headers()
        try:
            for stream in range(1, 2 * RESETS, 2):
                opened = frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
                connection.sendall(opened + frame(RST_STREAM, 0, stream, CANCEL))
        except OSError:
            stopped_at = stream // 2
        else:
            stopped_at = RESETS
        kinds = frames_until_closed(connection)
    assert stopped_at < RESETS or GOAWAY in kinds
    assert server.call(LIST).status == 200


def test_headers_that_never_end_are_cut_off(server: Server) -> None:
    with http2(server) as connection:
        try:
            connection.sendall(frame(HEADERS, 0, 1, request_headers()))
            for number in range(2000):
                connection.sendall(frame(CONTINUATION, 0, 1, literal(f"x-{number}", "a" * 100)))
        except OSError:
            pass
        kinds = frames_until_closed(connection)
    assert HEADERS not in kinds
    assert server.call(LIST).status == 200


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01" + b"\xff" * 200, b"GET\r\n\r\n", PREFACE + b"\xff" * 64],
    ids=["a TLS hello", "half a request line", "bad frames"],
)
def test_what_is_no_http_is_answered_or_closed(server: Server, garbage: bytes) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 30) as connection:
        connection.sendall(garbage)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
    assert not answer or answer.startswith(b"HTTP/1.1 400 ") or answer[3] in (SETTINGS, GOAWAY)
    assert server.call(LIST).status == 200
