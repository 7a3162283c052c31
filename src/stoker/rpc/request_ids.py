"""The id of each request: the caller's own if it is valid, otherwise a new one. Every answer contains it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stoker.services.origin import Origin, set_origin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from stoker.domain.clock import Randomness

    Event = MutableMapping[str, Any]
    Send = Callable[[Event], Awaitable[None]]

_HEADER = b"x-request-id"
_WELL_FORMED = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:+/=-]{0,63}")


def begin_request(scope: Event, send: Send, randomness: Randomness) -> Send:
    """Set the request's origin, and return a ``send`` that adds its id to the answer."""
    given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
    request_id = given if _WELL_FORMED.fullmatch(given) else randomness.token_bytes(8).hex().encode()
    client = scope.get("client")
    set_origin(Origin(request_id.decode(), client[0] if client else ""))

    async def send_with_id(event: Event) -> None:
        if event["type"] == "http.response.start":
            event["headers"] = [*event.get("headers", ()), (_HEADER, request_id)]
        await send(event)

    return send_with_id
