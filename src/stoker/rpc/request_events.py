"""Stands between pyvoy and the RPC library, and corrects a request's events."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from stoker.rpc.envelopes import Envelopes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from stoker.rpc.unfinished_bytes import UnfinishedBytes

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

_MAX_BYTES = 64 * 1024 * 1024
_MAX_SECONDS = 10.0
_MAX_PAUSE = 1.0
_MEBIBYTE = 1024 * 1024
_LOOK_SECONDS = 3.0
_FIRST_ERROR_STATUS = 400


class RequestEvents:
    """Passes a request's events on, and corrects three things.

    First, after a request without a body, pyvoy 1.3 reports the end of the body again on each call of `receive`. The
    RPC library calls it in a loop until the client is gone, which would block the event loop. So after the end of the
    body only a disconnect is passed on.

    Second, an answer in the middle of a request ends an HTTP/1.1 connection. A client that is still sending sees only
    a reset. So before the answer ends, the rest of the body is read, up to a limit and as long as it keeps coming.
    Streams over HTTP/2 need no such wait.

    Third, a message has a deadline: the message of a unary request, and each message of a stream once it has begun.
    Otherwise a client that sends it byte by byte would keep its slot and its memory for ever. The part that has
    arrived counts as the caller's unfinished bytes.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        seconds: float,
        unfinished: UnfinishedBytes,
        whose: Callable[[], str | None],
        *,
        streams: bool,
        may_end_early: bool,
    ) -> None:
        """Stand between the two.

        Args:
            receive: pyvoy's.
            send: pyvoy's.
            seconds: how long a message may take to arrive.
            unfinished: the bytes of messages that arrive.
            whose: whose bytes they are, once that is known; None for a caller whose messages are bounded otherwise.
            streams: whether the body is a stream of messages.
            may_end_early: whether the client understands an answer that ends before its request does.
        """
        self._receive = receive
        self._may_end_early = may_end_early
        self._send = send
        self._seconds = seconds
        self._unfinished = unfinished
        self._whose = whose
        self._holder: str | None = None
        self._held = 0
        self._envelopes = Envelopes() if streams else None
        self._deadline = None if streams else self._from_now()
        self._more = True

    async def receive(self) -> Event:
        """The next event of the request.

        Raises:
            ConnectError: a message takes too long.
            TooBusy: its caller has too many that don't arrive.
        """
        event = await self._next()
        if event["type"] == "http.request":
            self._count(event.get("body", b""))
        return event

    async def _next(self) -> Event:
        if self._deadline is None or not self._more:
            event = await self._receive()
        else:
            event = await self._receive_in_time(self._deadline)
        if event["type"] == "http.request" and not self._more:
            event = await self._disconnect()
        self._more = event["type"] == "http.request" and bool(event.get("more_body", False))
        return event

    async def send(self, event: Event) -> None:
        """Pass an event on; before an early end, read what the client still sends.

        Raises:
            OSError: the client doesn't read what it is sent.
        """
        if self._more and not self._may_end_early and _is_end(event):
            with suppress(TimeoutError):
                async with asyncio.timeout(_MAX_SECONDS):
                    await self._drain()
        mebibytes = len(event.get("body", b"")) / _MEBIBYTE
        try:
            async with asyncio.timeout(self._seconds * max(1.0, mebibytes)):
                await self._send(event)
        except TimeoutError as error:
            # Otherwise it would hold its place, and what it was to be sent, for ever.
            raise OSError("the client doesn't read what it is sent") from error

    def abandon(self) -> None:
        """Don't wait for the rest of the request any more, not even before the answer."""
        self._more = False

    def release(self) -> None:
        """Release the request's bytes, because it is over."""
        self._hold(0)

    def _count(self, body: bytes) -> None:
        if self._envelopes is None:
            self._hold(self._held + len(body) if self._more else 0)
            return
        before = self._envelopes.begun
        self._envelopes.feed(body)
        self._hold(self._envelopes.unfinished_bytes if self._more else 0)
        if not self._envelopes.unfinished_bytes:
            self._deadline = None
        elif self._deadline is None or self._envelopes.begun != before:
            self._deadline = self._from_now()

    def _hold(self, now: int) -> None:
        if self._holder is None:
            self._holder = self._whose()
        if self._holder is None or now == self._held:
            return
        self._unfinished.hold(self._holder, self._held, now)
        self._held = now

    def _from_now(self) -> float:
        return asyncio.get_running_loop().time() + self._seconds

    async def _receive_in_time(self, deadline: float) -> Event:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._receive()
        except TimeoutError as error:
            self.abandon()
            what = "request" if self._envelopes is None else "message"
            raise ConnectError(
                Code.DEADLINE_EXCEEDED, f"the {what} has not arrived within {self._seconds:g} s; try again"
            ) from error

    async def _disconnect(self) -> Event:
        event = await self._receive()
        # That the client is gone it says too, but only to who asks after that.
        while event["type"] == "http.request":
            await asyncio.sleep(_LOOK_SECONDS)
            event = await self._receive()
        return event

    async def _drain(self) -> None:
        left = _MAX_BYTES
        while self._more and left > 0:
            async with asyncio.timeout(_MAX_PAUSE):
                event = await self._next()
            left -= len(event.get("body", b""))


def _is_end(event: Event) -> bool:
    if event["type"] == "http.response.start":
        return event["status"] >= _FIRST_ERROR_STATUS
    return event["type"] == "http.response.body" and not event.get("more_body", False)
