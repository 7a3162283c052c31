"""Answers the gateway's question about every call. Reached over a Unix socket that only this user can open."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from stoker.domain.errors import InvalidInput, PermissionDenied, ResourceExhausted, StokerError, Unavailable
from stoker.domain.platforms import Platform
from stoker.gateway.calls import read_call
from stoker.gateway.configuration import (
    AUTHORIZER_PREFIX,
    DESTINATION_HEADER,
    IDENTITY_HEADER,
    MACHINE_HEADER,
    REQUESTED_HEADER,
    SOLVE_HEADER,
    TRACE_HEADERS,
)
from stoker.gateway.failures import REF_HEADER
from stoker.pki.certificates import parse_build_uri
from stoker.services.gate import SolveRequested
from stoker.services.tracing import build_cause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from stoker.services.gate import Destination, GateService
    from stoker.services.meter import Meter
    from stoker.services.tracing import Span, Tracer

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

_log = logging.getLogger(__name__)
_ARCHITECTURES = {platform.architecture: platform for platform in Platform}
_STATUS: dict[type[StokerError], int] = {
    InvalidInput: 400,
    PermissionDenied: 403,
    # gRPC's Unavailable. Envoy takes a 5xx for a failure to decide, and drops its text.
    Unavailable: 429,
    ResourceExhausted: 429,
}
_LONGEST_PATH = 200
_ANSWERS = {400: "invalid", 403: "refused", 429: "unavailable"}


class Authorizer:
    """An ASGI application: 200 with the machine's address and name, or another status with the reason."""

    def __init__(
        self, gate: GateService, meter: Meter, tracer: Tracer, max_body_bytes: int, max_message_parts: int
    ) -> None:
        self._gate = gate
        self._meter = meter
        self._tracer = tracer
        self._max_body_bytes = max_body_bytes
        self._max_message_parts = max_message_parts

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Answer one question."""
        span = self._begin_span(scope)
        try:
            body = await self._read(receive)
            destination, ref = await self._decide(scope, body)
        except StokerError as error:
            status = _STATUS.get(type(error), 403)
            self._note(span, _ANSWERS[status])
            await _answer(send, status, error.message)
        except Exception:
            _log.exception("the gateway's question about %s could not be answered", scope.get("path"))
            self._note(span, "error")
            await _answer(send, 500, "the server could not decide; its log says why")
        else:
            headers = {DESTINATION_HEADER: destination.address, MACHINE_HEADER: destination.server_name}
            if ref is not None:
                headers[REF_HEADER] = ref
            self._note(span, "allowed")
            await _answer(send, 200, "", headers)

    def _begin_span(self, scope: Event) -> Span:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        identity = parse_build_uri(headers.get(IDENTITY_HEADER.encode(), b"").decode("ascii", "replace"))
        build_id = "" if identity is None else identity[0]
        named = {name: headers.get(name.encode(), b"").decode("latin-1") for name in TRACE_HEADERS}
        path: str = scope["path"].removeprefix(AUTHORIZER_PREFIX)
        about = {"stoker.build_id": build_id, "url.path": path[:_LONGEST_PATH]}
        return self._tracer.begin_work("gateway answer", about, cause=build_cause(build_id), headers=named)

    def _note(self, span: Span, answer: str) -> None:
        self._meter.gateway_answered(answer)
        span.end(None if answer == "allowed" else answer, {"stoker.answer": answer})

    async def _decide(self, scope: Event, body: bytes) -> tuple[Destination, str | None]:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        identity = parse_build_uri(headers.get(IDENTITY_HEADER.encode(), b"").decode("ascii", "replace"))
        platform = None if identity is None else _ARCHITECTURES.get(identity[1])
        if identity is None or platform is None:
            raise PermissionDenied("the client certificate is not one of a build")
        path: str = scope["path"].removeprefix(AUTHORIZER_PREFIX)
        solve_header = headers.get(SOLVE_HEADER.encode())
        try:
            header = None if solve_header is None else solve_header.decode()
            call = read_call(path, header, body, self._max_message_parts)
        except ValueError as error:
            raise InvalidInput("the message can't be decoded") from error
        requested = headers.get(REQUESTED_HEADER.encode(), b"").decode("ascii", "replace")
        build_id = identity[0]
        if call.digest is not None:
            destination = await self._gate.admit_blob(build_id, platform, requested, call.digest)
        elif call.begins and call.ref is not None:
            asked = SolveRequested(call.entitlements, call.origin)
            destination = await self._gate.admit_solve(build_id, platform, requested, call.ref, asked)
        else:
            destination = await self._gate.admit(build_id, platform, requested, call.ref)
        return destination, call.ref

    async def _read(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            event = await receive()
            chunk: bytes = event.get("body", b"")
            size += len(chunk)
            if size > self._max_body_bytes:
                raise InvalidInput("the message is too large")
            chunks.append(chunk)
            if not event.get("more_body", False):
                return b"".join(chunks)


async def _answer(send: Send, status: int, text: str, headers: dict[str, str] | None = None) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    encoded.append((b"content-type", b"text/plain; charset=utf-8"))
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": text.encode()})
