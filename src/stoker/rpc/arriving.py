"""Receives small requests of callers without a token, a limited number at a time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, MutableMapping

    from stoker.domain.rates import Bound
    from stoker.rpc.request_events import RequestEvents

    Event = MutableMapping[str, Any]


class Arriving:
    """Slots of requests whose bodies arrive.

    When all are taken, the oldest request is given up, and the new one gets its slot. Whoever sends a whole request
    needs it for a moment only, however many clients hold unfinished ones. So nobody keeps a health check out.
    """

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        self._all: dict[asyncio.Timeout, str] = {}
        self._of: dict[str, dict[asyncio.Timeout, None]] = {}

    @asynccontextmanager
    async def slot(self, address: str) -> AsyncGenerator[None]:
        """A slot for the time of the block.

        Raises:
            ConnectError: another one needs it.
        """
        try:
            async with asyncio.timeout(None) as timeout:
                self._make_room(address)
                self._all[timeout] = address
                self._of.setdefault(address, {})[timeout] = None
                try:
                    yield
                finally:
                    self._leave(timeout)
        except TimeoutError as error:
            raise ConnectError(
                Code.RESOURCE_EXHAUSTED, "the request was given up for others, as too many arrive at once; try again"
            ) from error

    def _make_room(self, address: str) -> None:
        own = self._of.get(address, {})
        if len(own) >= self._bound.each:
            self._give_up(next(iter(own)))
        elif len(self._all) >= self._bound.together:
            self._give_up(next(iter(self._all)))

    def _give_up(self, timeout: asyncio.Timeout) -> None:
        self._leave(timeout)
        timeout.reschedule(asyncio.get_running_loop().time())

    def _leave(self, timeout: asyncio.Timeout) -> None:
        address = self._all.pop(timeout, None)
        if address is None:
            return
        own = self._of[address]
        del own[timeout]
        if not own:
            del self._of[address]


class WholeRequest:
    """A request whose first bytes, up to a size, are received before it is handled. The rest is received as usual."""

    def __init__(self, request: RequestEvents, most_bytes: int) -> None:
        self._request = request
        self._most_bytes = most_bytes
        self._first: Event | None = None
        self.failure: ConnectError | None = None

    async def arrive(self, arriving: Arriving, address: str) -> None:
        """Receive the request, or set ``failure``, which `receive` raises too."""
        try:
            async with arriving.slot(address):
                self._first = await self._collected()
        except ConnectError as error:
            self._request.abandon()
            self.failure = error

    async def receive(self) -> Event:
        """The next event.

        Raises:
            ConnectError: the request didn't arrive.
        """
        if self.failure is not None:
            raise self.failure
        event, self._first = self._first, None
        return await self._request.receive() if event is None else event

    async def _collected(self) -> Event:
        body = bytearray()
        while True:
            event = await self._request.receive()
            if event["type"] != "http.request":
                return event
            body += event.get("body", b"")
            more = bool(event.get("more_body", False))
            if not more or len(body) > self._most_bytes:
                return {"type": "http.request", "body": bytes(body), "more_body": more}
