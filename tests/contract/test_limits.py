"""How much a caller gets, what it is told beyond that, and that nobody else is hurt by it."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from pyqwest import Client, HTTPTransport, HTTPVersion

from stoker._gen.depot.buildkit.v1 import buildkit_pb
from stoker._gen.depot.buildkit.v1.buildkit_connect import BuildKitServiceClient
from stoker._gen.depot.core.v1 import project_pb
from stoker._gen.depot.core.v1.project_connect import ProjectServiceClient
from stoker._gen.google.rpc.error_details_pb import RetryInfo
from tests.harness.server import Answer, Server
from tests.harness.waiting import eventually

LIST = "depot.core.v1.ProjectService/ListProjects"
CREATE = "depot.core.v1.ProjectService/CreateProject"
HEALTH = "grpc.health.v1.Health/Check"
WATCH = "grpc.health.v1.Health/Watch"
START_LOGIN = "depot.cli.v1beta1.LoginService/StartLogin"
FINISH_LOGIN = "depot.cli.v1beta1.LoginService/FinishLogin"
BUILD_HEALTH = "depot.cli.v1.BuildService/ReportBuildHealth"
REPORT_HEALTH = "depot.buildkit.v1.BuildKitService/ReportHealth"
STATUS_STREAM = "depot.cli.v1.BuildService/ReportStatusStream"
PROTOCOLS = [
    pytest.param((ProtocolType.GRPC, HTTPVersion.HTTP2), id="gRPC"),
    pytest.param((ProtocolType.GRPC_WEB, HTTPVersion.HTTP1), id="gRPC-Web"),
    pytest.param((ProtocolType.CONNECT, HTTPVersion.HTTP1), id="Connect"),
]


@pytest.fixture(params=PROTOCOLS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[tuple[ProtocolType, Client]]:
    protocol, version = request.param
    async with HTTPTransport(http_version=version) as transport:
        yield protocol, Client(transport)


_CERTAIN = 5


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


@contextmanager
def unfinished(server: Server, method: str, token: str, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A call whose client has sent the beginning of its request, and goes on waiting."""
    address = urlsplit(server.url)
    whole = {WATCH: b"{}", FINISH_LOGIN: b'{"id":"x"}'}.get(method)
    streaming = method in (WATCH, FINISH_LOGIN, REPORT_HEALTH, STATUS_STREAM)
    head = [
        f"POST /{method} HTTP/1.1",
        "host: x",
        f"content-type: application/{'connect+' if streaming else ''}json",
        *([f"authorization: Bearer {token}"] if token else []),
        "transfer-encoding: chunked",
    ]
    body = b"1\r\n{\r\n" if whole is None else chunk(struct.pack(">BI", 0, len(whole)) + whole) + chunk(b"")
    with socket.create_connection((address.hostname or "", address.port or 0), 30, (source, 0)) as connection:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        yield connection


def call_from(server: Server, source: str, method: str, token: str, **headers: str) -> Answer:
    """A JSON call from one of this host's loopback addresses."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30, source_address=(source, 0))
    with closing(connection):
        bearer = {"authorization": f"Bearer {token}"} if token else {}
        connection.request("POST", f"/{method}", b"{}", {"content-type": "application/json", **bearer, **headers})
        response = connection.getresponse()
        return Answer(response.status, json.loads(response.read()))


# --- rates -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow(make_server: Callable[..., Server]) -> Server:
    """A server that gives a token ten calls, and then one in a thousand seconds; and the same to guests."""
    return make_server(
        requests_per_second="0.001",
        requests_burst="10",
        guest_requests_per_second="0.001",
        guest_requests_burst="10",
        forms_per_second="0.001",
        forms_burst="3",
        trusted_proxies="1",
        drain_seconds="0",
    )


@dataclass(frozen=True)
class UsedUp:
    """A server whose organization's token has had all its calls while two builds run."""

    server: Server
    build: str
    other_build: str
    other_token: str

    def get_other_build(self) -> Answer:
        method = "depot.cli.v1.BuildService/GetBuild"
        return self.server.call(method, {"buildId": self.other_build}, token=self.other_token)


@pytest.fixture(scope="module")
def used_up(slow: Server) -> UsedUp:
    (build, _), (other_build, other_token) = slow.new_build(), slow.new_build()
    while slow.call(LIST).status == 200:
        continue
    return UsedUp(slow, build, other_build, other_token)


def test_beyond_its_rate_a_caller_is_told_when_to_try_again(used_up: UsedUp) -> None:
    with closing(http.client.HTTPConnection(urlsplit(used_up.server.url).netloc, timeout=30)) as connection:
        headers = {"content-type": "application/json", "authorization": f"Bearer {used_up.server.token}"}
        connection.request("POST", f"/{LIST}", b"{}", headers)
        response = connection.getresponse()
        answer = json.loads(response.read())

    assert (response.status, answer["code"]) == (429, "resource_exhausted")
    assert "too many calls with your token; try again in" in answer["message"]
    assert 900 < int(response.headers["retry-after"]) <= 1000
    (detail,) = answer["details"]
    assert detail["type"] == "google.rpc.RetryInfo"
    delay = RetryInfo.from_binary(base64.b64decode(detail["value"] + "==")).retry_delay
    assert delay is not None
    assert 900 < delay.to_seconds() <= 1000


async def test_the_hint_comes_over_every_protocol(used_up: UsedUp, client: tuple[ProtocolType, Client]) -> None:
    protocol, http_client = client
    projects = ProjectServiceClient(used_up.server.url, protocol=protocol, http_client=http_client)
    with pytest.raises(ConnectError) as refused:
        await projects.list_projects(
            project_pb.ListProjectsRequest(), headers={"authorization": f"Bearer {used_up.server.token}"}
        )

    assert refused.value.code is Code.RESOURCE_EXHAUSTED
    (detail,) = refused.value.details
    info = detail.value(RetryInfo)
    assert info is not None
    assert info.retry_delay is not None
    assert info.retry_delay.to_seconds() > 900


def test_spelling_the_header_differently_makes_no_new_caller(used_up: UsedUp) -> None:
    for header in (f"bearer {used_up.server.token}", f"BEARER   {used_up.server.token} "):
        answer = used_up.server.call(LIST, token="", headers={"authorization": header})
        assert (answer.status, answer.code) == (429, "resource_exhausted")


def test_a_running_build_lives_on_while_its_token_is_busy_elsewhere(used_up: UsedUp) -> None:
    report = {"buildId": used_up.build, "platform": "BUILDER_PLATFORM_AMD64"}
    assert used_up.server.call(LIST).code == "resource_exhausted"
    for _ in range(3):
        answer = used_up.server.call(BUILD_HEALTH, report)
        assert answer.status == 200, answer


@pytest.mark.bound("requests_per_second", "requests_burst")
def test_other_tokens_have_rates_of_their_own(used_up: UsedUp) -> None:
    assert used_up.get_other_build().status == 200


def test_trying_tokens_is_bounded_by_address_and_good_tokens_still_work(used_up: UsedUp) -> None:
    assert used_up.get_other_build().status == 200
    codes = [used_up.server.call(LIST, token=f"stoker_org_{number:040}").code for number in range(14)]
    assert codes[0] == "unauthenticated"
    assert codes[-1] == "resource_exhausted"
    # A token that was good before is still looked at, and so are callers from elsewhere.
    assert used_up.get_other_build().status == 200
    assert call_from(used_up.server, "127.0.0.2", LIST, "stoker_org_x").code == "unauthenticated"
    # The proxy that is trusted names the caller's address.
    assert (
        call_from(used_up.server, "127.0.0.1", LIST, "stoker_org_x", **{"x-forwarded-for": "192.0.2.9"}).status == 401
    )


@pytest.mark.bound("guest_requests_per_second", "guest_requests_burst")
def test_calls_without_a_token_are_bounded_by_address(used_up: UsedUp) -> None:
    statuses = [call_from(used_up.server, "127.0.0.3", HEALTH, "").status for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert call_from(used_up.server, "127.0.0.4", HEALTH, "").status == 200


@pytest.mark.bound("forms_per_second", "forms_burst")
def test_trying_passwords_is_bounded_by_address(slow: Server) -> None:
    def sign_in(source: str) -> http.client.HTTPResponse:
        address = urlsplit(slow.url)
        connection = http.client.HTTPConnection(address.netloc, timeout=30, source_address=(source, 0))
        with closing(connection):
            headers = {"content-type": "application/x-www-form-urlencoded", "origin": slow.url}
            connection.request("POST", "/sign-in", b"email=a%40example.com&password=guess", headers)
            response = connection.getresponse()
            response.read()
            return response

    answers = [sign_in("127.0.0.5") for _ in range(4)]
    assert [answer.status for answer in answers[:3]] == [answers[0].status] * 3
    assert answers[0].status < 429
    assert answers[3].status == 429
    assert int(answers[3].headers["retry-after"]) > 900
    assert sign_in("127.0.0.6").status == answers[0].status


def test_nobody_chooses_its_address_by_a_header(make_server: Callable[..., Server]) -> None:
    server = make_server(guest_requests_per_second="0.001", guest_requests_burst="3")
    answers = [
        call_from(server, "127.0.0.1", HEALTH, "", **{"x-forwarded-for": f"192.0.2.{number}"}) for number in range(4)
    ]
    assert [answer.status for answer in answers] == [200] * 3 + [429]


# --- calls at once ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow(make_server: Callable[..., Server]) -> Server:
    """A server with few places."""
    return make_server(
        max_calls="5",
        max_calls_per_token="2",
        max_waiting_calls="5",
        max_waiting_calls_per_token="2",
        max_guest_calls="4",
        max_guest_calls_per_address="2",
        max_guest_streams="4",
        max_guest_streams_per_address="2",
        max_open_logins="8",
        max_open_logins_per_address="3",
        request_seconds="5",
        drain_seconds="0",
    )


@contextmanager
def busy(
    server: Server,
    method: str,
    token: str,
    count: int,
    is_full: Callable[[], bool],
    what: str,
    source: str = "127.0.0.1",
) -> Iterator[None]:
    """So many unfinished calls, with which all places are taken.

    Asking whether they are takes a place for a moment, which one of them may find taken. So they are begun again when
    it isn't so soon.
    """
    deadline, pause = time.monotonic() + 60, 0.1
    while True:
        with ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(unfinished(server, method, token, source))
            soon = time.monotonic() + 2
            while time.monotonic() < soon:
                # More than once: a call of before that isn't over yet fills a place too, for a moment.
                if all(is_full() for _ in range(_CERTAIN)):
                    yield
                    return
        assert time.monotonic() < deadline, f"not so: {what}"
        # The server sees a moment later that these are gone; nothing tells when.
        threading.Event().wait(pause)
        pause *= 2


def refused(answer: Answer, bound: int) -> bool:
    return answer.code == "resource_exhausted" and answer.message.startswith(f"{bound} calls are under way")


def watch_refused(server: Server, source: str, bound: int) -> bool:
    with unfinished(server, WATCH, "", source) as connection:
        connection.settimeout(30)
        answer = b""
        while b"SERVING" not in answer and b"resource_exhausted" not in answer:
            answer += connection.recv(65536)
        return f"{bound} calls are under way".encode() in answer


@pytest.mark.bound("max_calls", "max_calls_per_token")
def test_a_token_has_so_many_calls_at_once(narrow: Server) -> None:
    _, build_token = narrow.new_build()
    third_refused = lambda: refused(narrow.call(LIST), 2)  # noqa: E731
    with busy(narrow, CREATE, narrow.token, 2, third_refused, "the third call at once is refused"):
        other = narrow.call("depot.cli.v1.BuildService/GetBuild", {"buildId": "0" * 16}, token=build_token)
        assert other.code == "not_found", "another token is let in"
    eventually(lambda: narrow.call(LIST).status == 200, "abandoned calls give their places back")


@pytest.mark.bound("max_waiting_calls", "max_waiting_calls_per_token")
def test_waiting_calls_take_no_places_of_calls_or_health_reports(narrow: Server) -> None:
    build, _ = narrow.new_build()
    third = {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}
    waiting = "depot.cli.v1.BuildService/GetBuildKitConnection"
    third_refused = lambda: refused(narrow.call(waiting, third), 2)  # noqa: E731
    with busy(narrow, waiting, narrow.token, 2, third_refused, "the third waiting call at once is refused"):
        assert narrow.call(LIST).status == 200
        assert narrow.call(BUILD_HEALTH, third).status == 200
    eventually(lambda: narrow.call(waiting, third).status == 200, "abandoned ones give their places back")


@pytest.mark.bound("max_guest_streams", "max_guest_streams_per_address")
def test_guests_have_few_streams_and_take_no_places_of_others(narrow: Server) -> None:
    third_refused = lambda: watch_refused(narrow, "127.0.0.1", 2)  # noqa: E731
    fifth_refused = lambda: watch_refused(narrow, "127.0.0.3", 4)  # noqa: E731
    with (
        busy(narrow, WATCH, "", 2, third_refused, "the third watch of an address is refused"),
        busy(narrow, WATCH, "", 2, fifth_refused, "the fifth watch of all is refused", source="127.0.0.2"),
    ):
        assert narrow.call(LIST).status == 200
        assert call_from(narrow, "127.0.0.1", HEALTH, "").status == 200, "a load balancer is answered"
        with unfinished(narrow, FINISH_LOGIN, "") as connection:
            assert b"not_found" in connection.recv(65536), "a login takes no place of a watch"
    eventually(lambda: not watch_refused(narrow, "127.0.0.1", 2), "they are let in again")


@pytest.mark.bound("max_guest_calls", "max_guest_calls_per_address")
def test_requests_that_do_not_arrive_keep_no_health_check_out(narrow: Server) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(unfinished(narrow, HEALTH, "", "127.0.0.2"))
        for source in ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"):
            own = [stack.enter_context(unfinished(narrow, HEALTH, "", source)) for _ in range(3)]
            # The third has arrived when the first is given up for it.
            assert own[0].recv(65536)
        for source in ("127.0.0.2", "127.0.0.6"):
            assert call_from(narrow, source, HEALTH, "").status == 200
        answer = first.recv(65536)
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"given up for others" in answer


@pytest.mark.bound("max_open_logins", "max_open_logins_per_address")
def test_an_address_takes_few_of_the_logins(narrow: Server) -> None:
    begun = [call_from(narrow, "127.0.0.2", START_LOGIN, "") for _ in range(4)]
    assert [answer.status for answer in begun] == [200] * 3 + [429]
    assert begun[3].message.startswith("too many logins from your address wait for their approval")
    others = [call_from(narrow, f"127.0.0.{number}", START_LOGIN, "").status for number in (3, 3, 3, 4, 4, 4)]
    assert others == [200] * 5 + [429], "and all together have a bound as well"


@pytest.mark.bound("max_guest_message_bytes")
def test_messages_of_guests_are_small(narrow: Server) -> None:
    answer = narrow.call(HEALTH, {"service": "x" * 65536}, token="")
    assert (answer.code, "65536" in answer.message) == ("resource_exhausted", True)
    assert narrow.call(HEALTH, {"service": "x" * 65000}, token="").code == "not_found"
    assert narrow.call(LIST, {"unknown": "x" * 65536}).status == 200


@pytest.mark.bound("request_seconds")
def test_a_request_that_does_not_arrive_gives_its_place_back(narrow: Server) -> None:
    with unfinished(narrow, CREATE, narrow.token) as connection:
        connection.settimeout(30)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"deadline_exceeded" in answer
    assert b"has not arrived within 5 s" in answer


# --- sizes -----------------------------------------------------------------------------------------------------------

MESSAGE = b"\x0a" + b"\x80\x80\x80\x08" + b"x" * (16 * 1024 * 1024)  # field 1 with 16 MiB


@pytest.mark.bound("max_message_bytes")
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (LIST, "application/proto"),
        (LIST, "application/grpc-web+proto"),
        (STATUS_STREAM, "application/connect+proto"),
        (STATUS_STREAM, "application/grpc-web+proto"),
        (BUILD_HEALTH, "application/grpc-web+proto"),
    ],
)
def test_no_message_is_larger_than_the_limit(server: Server, method: str, kind: str, compress: bool) -> None:
    body = gzip.compress(MESSAGE, 1) if compress else MESSAGE
    headers = {"content-type": kind, "authorization": f"Bearer {server.token}"}
    if compress:
        name = {"application/proto": "content-encoding", "application/connect+proto": "connect-content-encoding"}
        headers[name.get(kind, "grpc-encoding")] = "gzip"
    if kind != "application/proto":
        body = struct.pack(">BI", int(compress), len(body)) + body
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)) as connection:
        connection.request("POST", f"/{method}", body, headers)
        response = connection.getresponse()
        answer = response.read() + str(response.headers).encode()
    assert b"resource_exhausted" in answer or b"grpc-status: 8" in answer.lower(), (response.status, answer[:500])
    assert b"4194304" in answer


async def test_no_message_is_larger_than_the_limit_over_grpc(server: Server) -> None:
    async def reports() -> AsyncIterator[buildkit_pb.ReportHealthRequest]:
        yield buildkit_pb.ReportHealthRequest(build_id="x" * 5_000_000)

    headers = {"authorization": f"Bearer {server.token}"}
    async with HTTPTransport(http_version=HTTPVersion.HTTP2) as transport:
        options = {"protocol": ProtocolType.GRPC, "http_client": Client(transport)}
        for call in (
            lambda: BuildKitServiceClient(server.url, **options).report_health(reports(), headers=headers),
            lambda: ProjectServiceClient(server.url, **options).get_project(
                project_pb.GetProjectRequest(project_id="x" * 5_000_000), headers=headers
            ),
        ):
            with pytest.raises(ConnectError) as refusal:
                await call()
            assert (refusal.value.code, "4194304" in refusal.value.message) == (Code.RESOURCE_EXHAUSTED, True)


@pytest.mark.bound("max_header_kilobytes")
@pytest.mark.parametrize("headers", [{"x-large": "a" * 62_000}, {f"x-{number}": "a" for number in range(120)}])
def test_headers_are_bounded(server: Server, headers: dict[str, str]) -> None:
    answer = server.call(LIST, headers=headers)
    assert (answer.status, answer.code) == (431, "resource_exhausted")
    assert "larger than 60 KiB or has too many lines" in answer.message


def test_header_bytes_that_are_not_utf8_are_no_problem(server: Server) -> None:
    assert server.call(LIST, headers={"x-odd": "\xff\xfe"}).status == 200
    assert server.call(LIST, token="\xff").code == "unauthenticated"
