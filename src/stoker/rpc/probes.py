"""Health endpoints for load balancers and orchestrators: plain HTTP, for everybody, without limits.

`/healthz` answers while the process answers. `/readyz` says whether the server should be sent requests now. The names
are those of Kubernetes (https://kubernetes.io/docs/reference/using-api/health-checks/). They are answered before
everything else, so that nobody's requests keep a load balancer's from being answered, and they say nothing but yes or
no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Event = MutableMapping[str, Any]
    Send = Callable[[Event], Awaitable[None]]

_LIVE = "/healthz"
_READY = "/readyz"
PROBES = frozenset({_LIVE, _READY})


async def answer_probe(scope: Event, send: Send, is_ready: Callable[[], Awaitable[bool]]) -> None:
    """Answer a request to one of `PROBES`."""
    if scope["method"] not in {"GET", "HEAD"}:
        await _answer(scope, send, 405, b"GET or HEAD\n", (b"allow", b"GET, HEAD"))
    elif scope["path"] == _LIVE:
        await _answer(scope, send, 200, b"ok\n")
    elif await is_ready():
        await _answer(scope, send, 200, b"ready\n")
    else:
        await _answer(scope, send, 503, b"not ready\n")


async def _answer(scope: Event, send: Send, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
