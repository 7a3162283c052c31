"""How many requests for pages an address gets, and how many forms: who tries passwords types faster than people do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from stoker.domain.rates import Bound, Places, Rate, TokenBuckets, network_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

_READING = ("GET", "HEAD")
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PageRates:
    """All bounds for one address, and for how many addresses they are kept."""

    at_once: Bound
    pages: Rate
    forms: Rate
    remembered: int


class PageLimits:
    """Refuses what is too much with 429 and when to try again; hands the rest on."""

    def __init__(self, app: ASGIApp, rates: PageRates, monotonic: Callable[[], float]) -> None:
        self._app = app
        self._monotonic = monotonic
        self._places = Places(rates.at_once)
        self._pages = TokenBuckets(rates.pages, rates.remembered)
        self._forms = TokenBuckets(rates.forms, rates.remembered)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        client = scope.get("client")
        address = network_of(client[0] if client else "")
        buckets = self._pages if scope["method"] in _READING else self._forms
        wait = buckets.take(address, self._monotonic())
        if wait == 0 and self._places.refusal(address) is not None:
            wait = _RETRY_SECONDS
        if wait > 0:
            seconds = str(math.ceil(wait))
            text = f"Too many requests from your address. Try again in {seconds} s."
            await PlainTextResponse(text, 429, {"retry-after": seconds})(scope, receive, send)
            return
        self._places.take(address)
        try:
            await self._app(scope, receive, send)
        finally:
            self._places.leave(address)
