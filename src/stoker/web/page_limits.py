"""Limits of requests for pages, for each caller and for all. They also slow down attempts at passwords.

A signed-in person has their own rate and slots, so that others behind the same address can't lock them out. Everybody
else is counted by address. Forms are always counted by address, since some of them try passwords. Live pages stay open
and have separate slots: they don't take the slots of other pages, and a page without a free slot is shown without live
updates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from stoker.domain.rates import Bound, Rate, Slots, TokenBuckets, network_of
from stoker.web.sessions import was_signed_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from stoker.web.sessions import Cookies

_READING = ("GET", "HEAD")
_RETRY_SECONDS = 1.0
LIVE_PATH = "/events"
_CALLER = "stoker.caller"


@dataclass(frozen=True, slots=True)
class PageRates:
    """All bounds for one address or person, and the number of callers that are remembered."""

    at_once: Bound
    live: Bound
    pages: Rate
    forms: Rate
    remembered: int


def caller_of(scope: Scope) -> object:
    """The caller that a request counts for: a session, or else an address."""
    return scope.get(_CALLER)


class PageLimits:
    """Refuses requests beyond the limits with 429 and a time to retry, and passes the others on."""

    def __init__(self, app: ASGIApp, rates: PageRates, cookies: Cookies, monotonic: Callable[[], float]) -> None:
        self._app = app
        self._cookies = cookies
        self._monotonic = monotonic
        self._guests, self._people = Slots(rates.at_once), Slots(rates.at_once)
        self._live = Slots(rates.live)
        self._pages = TokenBuckets(rates.pages, rates.remembered)
        self._of_people = TokenBuckets(rates.pages, rates.remembered)
        self._forms = TokenBuckets(rates.forms, rates.remembered)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        client = scope.get("client")
        address = network_of(client[0] if client else "")
        session = self._cookies.key(scope)
        is_known = session is not None and session in self._of_people
        caller = session if is_known else address
        if scope["method"] not in _READING:
            wait = self._forms.take(address, self._monotonic())
        else:
            wait = (self._of_people if is_known else self._pages).take(caller, self._monotonic())
        slots = self._live if scope["path"].endswith(LIVE_PATH) else self._people if is_known else self._guests
        if wait == 0 and slots.refusal(caller) is not None:
            wait = _RETRY_SECONDS
        if wait > 0:
            seconds = str(math.ceil(wait))
            text = f"Too many requests from your address. Try again in {seconds} s."
            await PlainTextResponse(text, 429, {"retry-after": seconds})(scope, receive, send)
            return
        slots.take(caller)
        scope[_CALLER] = caller
        try:
            await self._app(scope, receive, send)
        finally:
            slots.leave(caller)
            if session is not None and not is_known and was_signed_in(scope):
                self._of_people.take(session, self._monotonic())
