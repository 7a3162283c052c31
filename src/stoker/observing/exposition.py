"""Serves the metrics, on a listener of its own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from stoker.observing.metrics import PrometheusMeter
    from stoker.services.census import CensusService

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

_PATH = "/metrics"
_log = logging.getLogger(__name__)


class Exposition:
    """An ASGI application with one page. It serves one reader at a time, so that many can't overload it."""

    def __init__(self, meter: PrometheusMeter, census: CensusService) -> None:
        self._meter = meter
        self._census = census
        self._counting = asyncio.Lock()

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] != _PATH or scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 404, b"the metrics are at /metrics\n")
            return
        try:
            async with self._counting:
                accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
                content, content_type = self._meter.exposition(await self._census.take(), accept)
        except Exception:
            _log.exception("the metrics could not be read")
            await _answer(send, 500, b"the server's log says why there are no metrics\n")
        else:
            await _answer(send, 200, content, content_type)


async def _answer(send: Send, status: int, content: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
