"""Let a client that is still sending hear why it was refused."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

_MAX_BYTES = 64 * 1024 * 1024
_MAX_SECONDS = 10.0
_FIRST_ERROR_STATUS = 400


class DrainingRequest:
    """Reads the rest of a request's body before an error is sent, up to a bound.

    Over HTTP/1.1 an answer in the middle of a request ends the connection, and a client that is busy sending sees
    only that it was reset.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._more = True

    async def receive(self) -> Event:
        """Pass an event on, remembering whether more of the body follows."""
        event = await self._receive()
        self._more = event["type"] == "http.request" and bool(event.get("more_body", False))
        return event

    async def send(self, event: Event) -> None:
        """Pass an event on; before an error's, read what the client still sends."""
        if event["type"] == "http.response.start" and event["status"] >= _FIRST_ERROR_STATUS and self._more:
            with suppress(TimeoutError):
                async with asyncio.timeout(_MAX_SECONDS):
                    await self._drain()
        await self._send(event)

    async def _drain(self) -> None:
        left = _MAX_BYTES
        while self._more and left > 0:
            event = await self.receive()
            left -= len(event.get("body", b""))
