"""Streams of server-sent events, which tell browsers to request a page again."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from stoker.domain.errors import StokerError
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
"""The cost of refreshing a page that is rendered for each reader. A page that is the same for all costs 1."""


def builds_of(overviews: OverviewService, owner_ids: Sequence[str]) -> Subject:
    """All builds of projects or organizations, to be followed. Such a stream never ends."""
    return Subject(f"builds of {' '.join(owner_ids)}", lambda: overviews.follow(owner_ids), _for_ever)


def machines_of(machines: MachineService, organization_id: str) -> Subject:
    """All machines of an organization, to be followed. Such a stream never ends."""
    return Subject(f"machines of {organization_id}", lambda: machines.follow(organization_id), _for_ever)


def event_stream(
    context: WebContext, live: Live, subject: Subject, may_see: Callable[[], Awaitable[object]], weight: float
) -> Response:
    """Send an event for each change, until the subject ends or the reader may no longer see it.

    Args:
        context: what pages share.
        live: shared by all followers.
        subject: what to follow.
        may_see: returns None or raises when the reader may no longer see the page.
        weight: the cost of one refresh of the page.
    """
    return StreamingResponse(_events(context, live, subject, may_see, weight), media_type="text/event-stream")


async def _events(
    context: WebContext, live: Live, subject: Subject, may_see: Callable[[], Awaitable[object]], weight: float
) -> AsyncGenerator[str]:
    """Events have no content. The browser requests the page, which checks the reader's rights."""
    # Browsers reconnect when a stream breaks, as when the API restarts. A random delay spreads them.
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
