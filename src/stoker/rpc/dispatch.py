"""Which method a request is for."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from connectrpc.code import Code

from stoker.domain.rates import Bound, network_of
from stoker.rpc.arriving import Arriving, WholeRequest
from stoker.rpc.caller import caller, is_verified
from stoker.rpc.request_events import RequestEvents
from stoker.rpc.request_ids import begin_request
from stoker.rpc.unfinished_bytes import UnfinishedBytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from connectrpc.errors import ConnectError
    from connectrpc.server import ConnectASGIApplication

    from stoker.domain.clock import Randomness

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]
    Application = Callable[[Event, Receive, Send], Awaitable[None]]

_CONTENT_TYPE = b"content-type"
_GRPC = b"application/grpc"
_GRPC_UNIMPLEMENTED = b"12"  # https://grpc.io/docs/guides/status-codes/
_LONGEST_PATH = 200
_READING = ("GET", "HEAD")
_TIMEOUT, _UNAVAILABLE = 408, 503


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How long a message, or a form, may take to arrive, and how many bytes of those that do may be held; how many
    requests of strangers may arrive at once, and how large those may be that are taken in before anything else is done
    for them.
    """

    seconds: float
    unfinished_bytes: Bound
    strangers: Bound
    strangers_bytes: int


@dataclass(frozen=True, slots=True)
class Route:
    """The application that has a method, whether its client sends one message or a stream of them, and whether anybody
    may call it without a token.
    """

    application: ConnectASGIApplication[Any]
    streams_requests: bool
    is_open: bool = False


class Dispatch:
    """Hands each request to the service that has its path, or to the pages for people."""

    def __init__(
        self, routes: Mapping[str, Route], pages: Application | None, limits: RequestLimits, randomness: Randomness
    ) -> None:
        self._routes = routes
        self._pages = pages
        self._limits = limits
        self._arriving = Arriving(limits.strangers)
        self._unfinished = UnfinishedBytes(limits.unfinished_bytes)
        self._randomness = randomness
        self._running: set[asyncio.Task[Any] | None] = set()

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Handle a request."""
        # asyncio has only weak references to tasks, and pyvoy has none: one that waits for something that nobody else
        # knows of would be collected as garbage.
        task = asyncio.current_task()
        self._running.add(task)
        try:
            await self._handle(scope, receive, send)
        finally:
            self._running.discard(task)

    async def _handle(self, scope: Event, receive: Receive, send: Send) -> None:
        path = scope["path"]
        send = begin_request(scope, send, self._randomness)
        route = self._routes.get(path)
        if route is None and (self._pages is None or _names_a_method(path)):
            await answer_not_found(scope, send)
            return
        streams = route is not None and route.streams_requests
        request = RequestEvents(
            receive,
            send,
            self._limits.seconds,
            self._unfinished,
            _payer,
            streams=streams,
            may_end_early=streams and not scope["http_version"].startswith("1"),
        )
        scope["headers"] = _decodable(scope["headers"])
        try:
            await self._serve(route, scope, request)
        finally:
            request.release()

    async def _serve(self, route: Route | None, scope: Event, request: RequestEvents) -> None:
        application: Any = self._pages if route is None else route.application
        if scope["method"] in _READING or not (route is None or (route.is_open and not route.streams_requests)):
            await application(scope, request.receive, request.send)
            return
        # What a stranger sends takes no place of anything before it is there.
        whole = WholeRequest(request, self._limits.strangers_bytes)
        client = scope.get("client")
        await whole.arrive(self._arriving, network_of(client[0] if client else ""))
        if whole.failure is not None and route is None:
            await _answer_not_arrived(whole.failure, request.send)
            return
        await application(scope, whole.receive, request.send)


def _payer() -> str | None:
    """The organization, or else the person, that a request's bytes count for. Strangers' messages are small and few."""
    if not is_verified():
        return None
    principal = caller()
    return principal.organization_id or principal.credential_id


def _names_a_method(path: str) -> bool:
    """Whether a path has the form of ``/package.Service/Method``, which no page has."""
    return "." in path.partition("/")[2].partition("/")[0]


async def answer_not_found(scope: Event, send: Send) -> None:
    """Say that there is no such method, in the protocol that the caller speaks."""
    message = f"there is no method at {scope['path'][:_LONGEST_PATH]}; see the API's list of services"
    content_type = next((value for name, value in scope["headers"] if name == _CONTENT_TYPE), b"")
    if content_type.startswith(_GRPC):
        headers = [
            (_CONTENT_TYPE, content_type),
            (b"grpc-status", _GRPC_UNIMPLEMENTED),
            (b"grpc-message", quote(message, safe="").encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    problem = {"code": Code.UNIMPLEMENTED.value, "message": message}
    headers = [(_CONTENT_TYPE, b"application/json")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(problem).encode()})


async def _answer_not_arrived(failure: ConnectError, send: Send) -> None:
    """Say why a form was given up."""
    status = _TIMEOUT if failure.code is Code.DEADLINE_EXCEEDED else _UNAVAILABLE
    headers = [(_CONTENT_TYPE, b"text/plain; charset=utf-8"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{failure.message}\n".encode()})


def _decodable(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers as UTF-8, because the RPC library takes no others. Bytes that aren't UTF-8 are read as Latin-1, as
    HTTP once defined it (RFC 9110, 5.5).
    """
    if all(value.isascii() for _, value in headers):
        return headers
    return [(name, value if _is_utf8(value) else value.decode("latin-1").encode()) for name, value in headers]


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
