"""Answers at the control socket: the gateway's questions, and what the supervisor and a successor ask for."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from stoker.control import HAND_OVER, PROCESS, STOP
from stoker.gateway.failures import CANCELLATION_PATH, FAILURE_PATH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from stoker.gateway.authorizer import Authorizer
    from stoker.gateway.failures import FailureReasons
    from stoker.handover import Handover
    from stoker.services.shutdown import ShutdownService

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]


class ControlAnswers:
    """An ASGI application: everything that is answered at the control socket."""

    def __init__(
        self,
        authorizer: Authorizer,
        failures: FailureReasons,
        handover: Handover,
        shutdown: ShutdownService,
        stop_patience: timedelta,
    ) -> None:
        """Answer with what is given; when the server is stopped, machines get ``stop_patience``."""
        self._authorizer = authorizer
        self._failures = failures
        self._handover = handover
        self._shutdown = shutdown
        self._stop_patience = stop_patience

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] in {FAILURE_PATH, CANCELLATION_PATH}:
            await self._failures(scope, send)
        elif scope["path"] == HAND_OVER:
            await self._handover.answer(receive, send)
        elif scope["path"] == PROCESS:
            await _begin(send)
            await send({"type": "http.response.body", "body": f"{os.getpid()}\n".encode()})
        elif scope["path"] == STOP:
            await self._stop(scope, send)
        else:
            await self._authorizer(scope, receive, send)

    async def _stop(self, scope: Event, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode())
        drain = timedelta(seconds=float(query.get("drain", ["0"])[0]))
        await _begin(send)
        async for line in self._shutdown.close(drain, self._stop_patience):
            await send({"type": "http.response.body", "body": f"{line}\n".encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _begin(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
