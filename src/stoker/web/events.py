"""Streams of server-sent events, which tell browsers to ask for a page again."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from stoker.domain.errors import PermissionDenied, StokerError
from stoker.web.live import Change, Subject

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from starlette.responses import Response

    from stoker.services.machines import MachineService
    from stoker.services.overviews import OverviewService
    from stoker.web.live import Live
    from stoker.web.page import WebContext

_CHECK_SECONDS = 15.0
_RETRY_MILLISECONDS = 3000
MADE_FOR_ONE = 10
"""What refreshing a page costs that is made anew for each reader, where one that is the same for all costs 1."""


def builds_of(overviews: OverviewService, owner_ids: Sequence[str]) -> Subject:
    """All builds of projects or organizations, as something to follow: it never ends."""
    return Subject(f"builds of {' '.join(owner_ids)}", lambda: overviews.follow(owner_ids), _for_ever)


def machines_of(machines: MachineService, organization_id: str) -> Subject:
    """All machines of an organization, as something to follow: it never ends."""
    return Subject(f"machines of {organization_id}", lambda: machines.follow(organization_id), _for_ever)


def sign_in_to_follow() -> PermissionDenied:
    """What a stream says to those who aren't signed in: it can't send them to another page."""
    return PermissionDenied("sign in to follow this page")


def event_stream(
    context: WebContext, live: Live, subject: Subject, may_see: Callable[[], Awaitable[object]], weight: float
) -> Response:
    """An event each time that there is something new to see, until it is over or can't be seen any more.

    Args:
        context: what pages share.
        live: what all who follow share.
        subject: what is followed.
        may_see: None, or an error, when the reader may no longer see the page.
        weight: what a refresh of the page costs.
    """
    return StreamingResponse(_events(context, live, subject, may_see, weight), media_type="text/event-stream")


async def _events(
    context: WebContext, live: Live, subject: Subject, may_see: Callable[[], Awaitable[object]], weight: float
) -> AsyncGenerator[str]:
    """Events without content: what there is to see, the page itself says to those who still may see it."""
    # Browsers come again when a stream breaks, as it does with the API: not all of them at once.
    chance = int.from_bytes(context.randomness.token_bytes(4))
    yield f"retry: {_RETRY_MILLISECONDS + chance % _RETRY_MILLISECONDS}\n\n"
    checked = context.monotonic()
    async with aclosing(live.changes(subject, weight)) as changes:
        async for change in changes:
            if context.monotonic() - checked >= _CHECK_SECONDS:
                checked = context.monotonic()
                if not await _is_seen(may_see):
                    break
            if change is Change.LAST:
                break
            yield _event(change)
        else:
            return
    yield _event(Change.LAST)


async def _is_seen(may_see: Callable[[], Awaitable[object]]) -> bool:
    try:
        return await may_see() is not None
    except StokerError:
        return False


def _event(change: Change) -> str:
    return f"event: {change.value}\ndata:\n\n"


async def _for_ever() -> bool:
    return True
