"""Messages that begin and never end hold little, for a while, and nothing of what others need."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest

from stoker.domain.principals import CredentialKind
from tests.attack.framework.memory import forget_peak, peak_bytes, resident_bytes
from tests.harness.people import Registry, blank_token
from tests.harness.server import Server
from tests.harness.waiting import eventually

LIST = "depot.core.v1.ProjectService/ListProjects"
STATUS_STREAM = "depot.cli.v1.BuildService/ReportStatusStream"
REPORT_HEALTH = "depot.buildkit.v1.BuildKitService/ReportHealth"
MEBIBYTE = 1024 * 1024
LARGE = 4 * MEBIBYTE - 64
PER_ORGANIZATION, TOGETHER = 2 * MEBIBYTE, 3 * MEBIBYTE
PER_BUILD, PER_TOKEN, STREAMS = 3, 5, 9


def enveloped(content: bytes, size: int | None = None) -> bytes:
    return struct.pack(">BI", 0, len(content) if size is None else size) + content


@contextmanager
def stream(server: Server, token: str, *parts: bytes, method: str = STATUS_STREAM) -> Generator[socket.socket]:
    """A call over HTTP/1.1 that has sent so much of its request."""
    address = urlsplit(server.url)
    streaming = method in (STATUS_STREAM, REPORT_HEALTH)
    head = f"POST /{method} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nauthorization: Bearer {token}\r\n"
    head += f"content-type: application/{'connect+' if streaming else ''}json\r\n\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0), 30) as connection:
        connection.sendall(head.encode())
        send(connection, *parts)
        yield connection


def send(connection: socket.socket, *parts: bytes) -> None:
    """Send chunks. A server that refuses the call may not take all."""
    try:
        for part in parts:
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    except OSError:
        return


def answer_of(connection: socket.socket) -> str:
    """What the server says until it has said why."""
    answer = b""
    try:
        while b'"code"' not in answer and (received := connection.recv(65536)):
            answer += received
    except ConnectionResetError:
        pass
    return answer.decode(errors="replace")


def half(size: int) -> bytes:
    return enveloped(b" " * size, LARGE)


def about(build: str) -> bytes:
    """A whole message that says nothing of a build."""
    return enveloped(json.dumps({"buildId": build}).encode())


@pytest.fixture(scope="module")
def small(make_server: Callable[..., Server]) -> Server:
    """A server with little room for what isn't complete, for fifteen seconds each."""
    return make_server(
        request_seconds="15",
        max_unfinished_bytes=str(TOGETHER),
        max_unfinished_bytes_per_organization=str(PER_ORGANIZATION),
        max_calls_per_build=str(PER_BUILD),
        max_upload_streams=str(STREAMS),
        max_upload_streams_per_token=str(PER_TOKEN),
        drain_seconds="0",
    )


def token_of_another(server: Server, name: str) -> str:
    registry = Registry(server)
    return registry.token(blank_token(CredentialKind.ORGANIZATION, organization_id=registry.organization(name)))


@pytest.mark.bound("request_seconds")
def test_a_message_of_a_stream_has_to_end_in_time_and_a_stream_may_be_silent(small: Server) -> None:
    whole = about(small.new_build()[0])
    with (
        stream(small, small.token, whole) as silent,
        stream(small, small.token, half(1000)) as halfway,
        stream(small, small.token, whole + b"\x00") as header,
        stream(small, small.token, half(10), method=REPORT_HEALTH) as health,
    ):
        for late in (halfway, header, health):
            assert "the message has not arrived within 15 s" in answer_of(late)
        send(silent, whole, b"")
        assert " 200 " in silent.recv(65536).decode()


@pytest.mark.bound("max_unfinished_bytes", "max_unfinished_bytes_per_organization")
def test_bytes_of_unfinished_messages_are_bounded_for_each_organization(small: Server) -> None:
    other = token_of_another(small, "other")
    with ExitStack() as stack:
        fill(stack, small, small.token, half(MEBIBYTE), b" " * (MEBIBYTE - 40_000), bound=PER_ORGANIZATION)
        # A unary call counts as well, and a message that comes in one piece never does.
        assert "hold 2097152 bytes" in refusal(small, small.token, b" " * 20_000, method=LIST)
        assert small.call(LIST).status == 200
        assert small.call(LIST, token=other).status == 200
        fill(stack, small, other, half(MEBIBYTE - 40_000), bound=TOGETHER)
        assert small.call(LIST, token=other).status == 200


def fill(stack: ExitStack, server: Server, token: str, *parts: bytes, bound: int) -> None:
    """Hold bytes so that there is no room for another 30,000. The stack lets go of them.

    The parts leave room for one message of that size. They arrive while that message waits for an answer, which doesn't
    come. The next message is refused.
    """

    def hold() -> bool:
        with ExitStack() as tried:
            tried.enter_context(stream(server, token, *parts))
            one_more(tried, server, token, half(30_000))
            if f"hold {bound} bytes" not in refusal(server, token, half(30_000)):
                return False
            stack.push(tried.pop_all())
            return True

    eventually(hold, f"{bound} bytes are held")


def refusal(server: Server, token: str, *parts: bytes, method: str = STATUS_STREAM) -> str:
    """What is said of a message that doesn't end; empty when that takes long, so that it was let in."""
    with ExitStack() as stack:
        return one_more(stack, server, token, *parts, method=method)


def one_more(stack: ExitStack, server: Server, token: str, *parts: bytes, method: str = STATUS_STREAM) -> str:
    """The same of a stream that stays until the stack ends, in the place of one that wasn't let in."""
    connection = stack.enter_context(stream(server, token, *parts, method=method))
    connection.settimeout(3)
    try:
        return answer_of(connection)
    except TimeoutError:
        return ""


@pytest.mark.bound("max_upload_streams", "max_upload_streams_per_token", "max_calls_per_build")
def test_streams_that_upload_have_few_places(small: Server) -> None:
    build, first = small.new_build()
    other, second = small.new_build()
    whole = about(build)
    with ExitStack() as stack:
        for token, count, bound in ((first, PER_BUILD, PER_BUILD), (small.token, PER_TOKEN, PER_TOKEN)):
            for _ in range(count):
                stack.enter_context(stream(small, token, whole))
            said = f"{bound} calls are under way"
            eventually(lambda token=token, said=said: said in one_more(stack, small, token, whole), said)
        said = f"{STREAMS} calls are under way"
        eventually(lambda: said in one_more(stack, small, second, about(other)), said)
        assert small.call("depot.cli.v1.BuildService/GetBuild", {"buildId": "0" * 16}, token=first).code == "not_found"


def test_a_thousand_half_messages_stay_within_the_bound(server: Server) -> None:
    tokens = [server.new_build()[1] for _ in range(10)]
    before = resident_bytes(server.part("api"))
    with ExitStack() as stack:
        for number in range(1000):
            stack.enter_context(stream(server, tokens[number % 10], half(LARGE - 1)))
        assert server.call(LIST, token=token_of_another(server, "neighbour")).status == 200
        grown = resident_bytes(server.part("api")) - before
    # 32 MiB of the organization, which growing buffers scatter, and some for each connection.
    assert grown < 192 * MEBIBYTE


def test_a_message_that_is_refused_is_let_go_of_before_its_client_has_read_why(server: Server) -> None:
    blank = b" " * LARGE
    api = server.part("api")
    with ExitStack() as stack:
        stack.enter_context(stream(server, server.token, enveloped(blank)))
        forget_peak(api)
        before = resident_bytes(api)
        refused = [stack.enter_context(stream(server, server.token, enveloped(blank))) for _ in range(30)]
        for one in refused:
            assert "is not a valid ReportStatusStreamRequest" in answer_of(one)
        assert peak_bytes(api) - before < 60 * MEBIBYTE, "all of them together are twice as large"
