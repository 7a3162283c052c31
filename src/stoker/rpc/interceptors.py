"""Traces, counts, limits and authenticates every call, and turns errors into answers."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from traceback import clear_frames
from typing import TYPE_CHECKING

from connectrpc.errors import ConnectError

from stoker.auth.access import admitted, chooses_organization, is_open
from stoker.domain.errors import TooBusy
from stoker.rpc.caller import is_verified, set_caller
from stoker.rpc.errors import to_connect_error
from stoker.services.origin import current_origin, set_origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.clock import Randomness
    from stoker.services.authentication import AuthenticationService
    from stoker.services.meter import Meter
    from stoker.services.tracing import Span, Tracer
_NOT_LOGGED = ("ok", "canceled", "unimplemented")

_log = logging.getLogger(__name__)


def method_name(ctx: RequestContext[Any, Any]) -> str:
    """``package.Service/Method``, as the access table writes it."""
    return f"{ctx.method.service_name}/{ctx.method.name}"


def _code(error: Exception | None) -> str:
    if error is None:
        return "ok"
    return error.code.value if isinstance(error, ConnectError) else "unknown"


class TraceInterceptor:
    """A span for each call, in the trace that it comes with."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def on_start(self, ctx: RequestContext[Any, Any]) -> Span:
        """Begin it."""
        return self._tracer.begin_call(method_name(ctx), ctx.request_headers)

    async def on_end(self, span: Span, ctx: RequestContext[Any, Any], error: Exception | None, /) -> None:
        """End it."""
        origin, code = current_origin(), _code(error)
        about = {"rpc.system": "connect_rpc", "rpc.service": ctx.method.service_name, "rpc.method": ctx.method.name}
        about["stoker.request_id"] = origin.request_id
        if origin.build_id:
            about["stoker.build_id"] = origin.build_id
        if error is not None:
            about["rpc.connect_rpc.error_code"] = code
        span.end(None if error is None else code, about)


class MeterInterceptor:
    """Counts calls by their results, and logs calls with a valid token that were refused.

    It is the first one, so that it sees the final answers.
    """

    def __init__(self, meter: Meter, monotonic: Callable[[], float]) -> None:
        self._meter = meter
        self._monotonic = monotonic

    async def on_start(self, ctx: RequestContext[Any, Any]) -> float:
        """Take the time."""
        return self._monotonic()

    async def on_end(self, began: float, ctx: RequestContext[Any, Any], error: Exception | None, /) -> None:
        """Count the call."""
        method, seconds = method_name(ctx), self._monotonic() - began
        code = _code(error)
        self._meter.call_ended(method, code, seconds)
        # What strangers are refused is only counted, so that they can't fill the log.
        if code not in _NOT_LOGGED and is_verified():
            about = {"method": method, "code": code, "seconds": round(seconds, 3)}
            _log.info("%s was refused: %s", method, code, extra=about)


def _let_go(error: BaseException | None) -> None:
    """Clear an error's frames. They would keep the refused message in memory while the client gets its answer."""
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


class ErrorInterceptor:
    """Turns exceptions of calls into errors for their callers."""

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness

    async def on_start(self, ctx: RequestContext[Any, Any]) -> None:
        """Nothing to prepare."""

    async def on_end(self, token: None, ctx: RequestContext[Any, Any], error: Exception | None, /) -> None:
        """Replace the error, if there is one."""
        if error is not None:
            if isinstance(error, TooBusy):
                ctx.response_headers["retry-after"] = str(math.ceil(error.retry_seconds))
            message_name: str = ctx.method.input.__name__
            refusal = to_connect_error(error, method_name(ctx), message_name, self._randomness)
            _let_go(error)
            raise refusal from error


class AuthenticationInterceptor:
    """Verifies the credential before the request's body is read, and checks the method's row in the access table."""

    def __init__(self, authentication: AuthenticationService) -> None:
        self._authentication = authentication

    async def on_start(self, ctx: RequestContext[Any, Any]) -> None:
        """Let the call through or raise."""
        method = method_name(ctx)
        if is_open(method):
            return
        headers = ctx.request_headers
        organization_id = headers.get("x-depot-org") if chooses_organization(method) else None
        principal = await self._authentication.authenticate(headers.get("authorization"), organization_id)
        set_caller(admitted(method, principal))
        if principal.build_id is not None:
            set_origin(replace(current_origin(), build_id=principal.build_id))

    async def on_end(self, token: None, ctx: RequestContext[Any, Any], error: Exception | None, /) -> None:
        """Nothing to clean up."""
