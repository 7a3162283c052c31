"""Replaces failures that don't say enough by the recorded reason.

BuildKit sends a failure as two header fields of the response: `grpc-message`, and `grpc-status-details-bin`, which
quotes the whole Dockerfile. Envoy takes no header field of more than 256 KiB, and aborts the call instead. A Lua
filter notices that, asks the API for the error of the step that failed, and answers the call with it.

Solves of a canceled build end because their connections are cut, and other calls about them are canceled. The filter
asks about these too, and answers with who canceled the build.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stoker.gateway.asking import ASKING_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from stoker.services.solve_failures import SolveFailures

    Event = MutableMapping[str, Any]
    Send = Callable[[Event], Awaitable[None]]

REF_HEADER = "x-stoker-ref"
REASON_HEADER = "x-stoker-reason"
FAILURE_PATH = "/failure"
CANCELLATION_PATH = "/cancellation"

# The filter's name in Envoy's metadata, where it puts the ref.
AUTHORIZATION = "envoy.filters.http.ext_authz"

_LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
_UNKNOWN_REASON = (
    "the build failed, and its error is too large to be sent on, as it quotes a large Dockerfile; the lines above, and "
    "the build's page, may say more"
)


def failures_filter(wait_seconds: float) -> dict[str, Any]:
    """The filter. It waits at most that long for the API."""
    names = {
        "ASKING_CLUSTER": ASKING_CLUSTER,
        "AUTHORIZATION": AUTHORIZATION,
        "CANCELLATION_PATH": CANCELLATION_PATH,
        "FAILURE_PATH": FAILURE_PATH,
        "REASON_HEADER": REASON_HEADER,
        "REF_HEADER": REF_HEADER,
        "UNKNOWN_REASON": quote(_UNKNOWN_REASON, safe=" ,;'"),
        "WAIT_MILLISECONDS": str(round(wait_seconds * 1000)),
    }
    script = files("stoker.gateway").joinpath("failures.lua").read_text(encoding="utf-8")
    for name, value in names.items():
        script = script.replace(f"${name}", value)
    return {"name": "failures", "typed_config": {"@type": _LUA, "default_source_code": {"inline_string": script}}}


class FailureReasons:
    """An ASGI application: why a solve failed, or who canceled it, as a value for `grpc-message`."""

    def __init__(self, failures: SolveFailures) -> None:
        self._failures = failures

    async def __call__(self, scope: Event, send: Send) -> None:
        """Answer one question; with an empty reason if none is recorded."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        ref = headers.get(REF_HEADER.encode(), b"").decode("ascii", "replace")
        reason = await self._failures.cancellation(ref)
        if reason is None and scope["path"] == FAILURE_PATH:
            reason = await self._failures.reason(ref)
        answer = (
            [] if reason is None else [(REASON_HEADER.encode(), quote(reason, safe=" !\"#$&'()*+,/:;<=>?@[]").encode())]
        )
        await send({"type": "http.response.start", "status": 200, "headers": answer})
        await send({"type": "http.response.body", "body": b""})
