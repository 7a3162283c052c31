"""Connections on which nothing happens: few for an address, and not for long."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.contract.test_hostile_connections import (
    END_HEADERS,
    PREFACE,
    SETTINGS,
    frame,
    frames_until_closed,
    request_headers,
)
from tests.contract.test_limits import HEALTH, WATCH, call_from, unfinished
from tests.harness.server import Server
from tests.harness.waiting import eventually

EACH, TOGETHER, STREAMS = 20, 100, 3
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def few(make_server: Callable[..., Server]) -> Server:
    """A server with few connections, which it closes after four seconds without a call."""
    return make_server(
        max_api_connections=str(TOGETHER),
        max_api_connections_per_address=str(EACH),
        max_streams_per_connection=str(STREAMS),
        connection_idle_seconds="4",
        drain_seconds="0",
    )


def connect(server: Server, source: str) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname or "", address.port or 0), 30, (source, 0))


def is_refused(server: Server, source: str) -> bool:
    try:
        with closing(connect(server, source)):
            return False
    except ConnectionRefusedError:
        return True


@pytest.mark.bound("max_api_connections_per_address")
def test_an_address_has_few_connections_and_others_are_served(few: Server) -> None:
    with ExitStack() as stack:
        opened: list[socket.socket] = []
        with suppress(ConnectionRefusedError):
            while len(opened) < 2 * EACH:
                opened.append(stack.enter_context(closing(connect(few, "127.0.0.2"))))
        assert len(opened) <= EACH
        assert call_from(few, "127.0.0.3", HEALTH, "").status == 200
        assert call_from(few, "127.0.0.1", HEALTH, "").status == 200
    eventually(lambda: not is_refused(few, "127.0.0.2"), "what was closed counts no more")


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed it, after all that it has said."""
    try:
        while connection.recv(65536):
            continue
    except TimeoutError:
        return False
    return True


@pytest.mark.bound("connection_idle_seconds")
@pytest.mark.parametrize("sent", [b"", PREFACE + frame(SETTINGS, 0, 0)], ids=["nothing", "no call"])
def test_a_connection_without_a_call_is_closed_and_one_with_a_stream_is_not(few: Server, sent: bytes) -> None:
    with unfinished(few, WATCH, "", "127.0.0.4") as watch, closing(connect(few, "127.0.0.4")) as silent:
        silent.sendall(sent)
        frames_until_closed(silent)
        watch.settimeout(1)
        assert b" 200 " in watch.recv(65536)
        assert not is_closed(watch)


@pytest.mark.bound("max_api_connections")
def test_beyond_all_connections_new_ones_are_closed_until_the_silent_ones_are(few: Server) -> None:
    with ExitStack() as stack:
        for number in range(TOGETHER + 5):
            stack.enter_context(closing(connect(few, f"127.0.1.{1 + number // (EACH // 2)}")))
        eventually(lambda: call_from_or_none(few, "127.0.0.5") == 200, "silent connections make room", 60)


def call_from_or_none(server: Server, source: str) -> int | None:
    try:
        return call_from(server, source, HEALTH, "").status
    except OSError:
        return None


@pytest.mark.bound("max_streams_per_connection")
def test_a_connection_has_few_streams(few: Server) -> None:
    with closing(connect(few, "127.0.0.6")) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        for number in range(STREAMS + 1):
            connection.sendall(frame(1, END_HEADERS, 1 + 2 * number, request_headers()))
        received = b""
        while frame(3, 0, 1 + 2 * STREAMS, b"\x00\x00\x00\x07") not in received:
            more = connection.recv(65536)
            assert more, received
            received += more
    assert call_from(few, "127.0.0.6", HEALTH, "").status == 200


def tables() -> list[str]:
    return subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout.split("\n")


def test_the_rule_goes_with_the_server_however_it_ends(make_server: Callable[..., Server]) -> None:
    server = make_server(drain_seconds="0")
    server_id = server.query("select value from facts where name = 'server_id'")[0][0]
    table = f"table inet stoker_{server_id}_api"
    assert table in tables()
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: table not in tables(), "the kernel drops it")
    assert server.process is not None
    server.process.wait(10)
    server.start()
    assert table in tables()
    server.stop()
    assert table not in tables()


def test_an_ipv6_network_is_one_caller(make_server: Callable[..., Server]) -> None:
    server = make_server("--listen", "[::1]:0", max_api_connections_per_address="5", drain_seconds="0")
    port = urlsplit(server.url).port or 0
    refused = 0
    with ExitStack() as stack:
        for _ in range(10):
            try:
                stack.enter_context(closing(socket.create_connection(("::1", port), 30)))
            except ConnectionRefusedError:
                refused += 1
    assert refused >= 5


def resident_bytes(process_id: int) -> int:
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def test_ten_thousand_silent_connections_leave_others_served(server: Server) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    before = resident_bytes(server.part("api"))
    refused = 0
    with ExitStack() as stack:
        for _ in range(10_000):
            try:
                stack.enter_context(closing(connect(server, "127.0.7.1")))
            except ConnectionRefusedError:
                refused += 1
        assert call_from(server, "127.0.7.2", HEALTH, "").status == 200
        assert server.call("depot.core.v1.ProjectService/ListProjects").status == 200
        grown = resident_bytes(server.part("api")) - before
    assert refused >= 10_000 - 5000 - 500
    assert grown < 300 * MEBIBYTE
