"""Live updates: one query for all followers of a build or list, and a rate limit for all refreshes.

Builds must not notice followers, however many there are. So changes are queried once a second at most, an event says
only that something is new, and events are spaced so that the pages which browsers then request take only a part of
the server's time.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from contextlib import AbstractContextManager

    from stoker.services.wakeups import Subscription

LEAST_SECONDS_BETWEEN = 1.0
_HEARTBEAT_SECONDS = 15.0
_MOST_KEPT = 100
_log = logging.getLogger(__name__)
Made = TypeVar("Made")


class Change(Enum):
    """What a follower is sent. ``NONE`` is a heartbeat, without which a browser can't notice a dead stream."""

    SOME = "changed"
    NONE = "nothing"
    LAST = "end"


@dataclass(frozen=True, slots=True)
class Subject:
    """A build or a list that can be followed.

    Attributes:
        key: identifies it.
        follow: subscribes to wake-ups of possible changes.
        may_grow: whether it can still change.
        ages: whether its page depends on the time, so that it needs a refresh even without a change.
    """

    key: str
    follow: Callable[[], AbstractContextManager[Subscription]]
    may_grow: Callable[[], Awaitable[bool]]
    ages: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    """A page that is or was rendered, with its version and time."""

    version: int
    since: float
    page: asyncio.Task[Any]

    def is_good(self, version: int, now: float) -> bool:
        if not self.page.done():
            return self.version == version
        is_made = not self.page.cancelled() and self.page.exception() is None
        return is_made and self.version == version and now - self.since < LEAST_SECONDS_BETWEEN


@dataclass(slots=True)
class _Followed:
    """A subject with followers. ``version`` counts changes; ``is_over`` is None if unknown."""

    version: int = 0
    is_over: bool | None = False
    followers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    looking: asyncio.Task[None] | None = None
    kept: dict[str, _Kept] = field(default_factory=dict[str, "_Kept"])

    def tell(self, *, is_over: bool | None) -> None:
        self.version += 1
        self.is_over = is_over
        self.changed.set()
        self.changed = asyncio.Event()


class Live:
    """Notifies followers of changes.

    ``per_second`` bounds notifications of all followers together: with more followers, each is notified less often.
    ``heartbeat_seconds`` is the longest silence of a stream.
    """

    def __init__(self, per_second: float, heartbeat_seconds: float = _HEARTBEAT_SECONDS) -> None:
        self._seconds_each = 1 / per_second
        self._heartbeat_seconds = heartbeat_seconds
        self._next_turn = 0.0
        self._followed: dict[str, _Followed] = {}
        self._kept: dict[str, _Kept] = {}

    async def changes(self, subject: Subject, weight: float) -> AsyncGenerator[Change]:
        """Yield a change at once, then one for each change, until the subject ends.

        ``weight`` is the cost of one of this follower's refreshes. Never ends while the subject can't be read.
        """
        seen = 0
        with self._following(subject) as followed:
            while True:
                changed = followed.changed
                if followed.version == seen and not await _happens(changed, self._heartbeat_seconds):
                    yield Change.NONE
                    continue
                await self._turn(weight)
                if followed.is_over is None:
                    return
                seen = followed.version
                yield Change.LAST if followed.is_over else Change.SOME
                if followed.is_over:
                    return

    async def shared(
        self, subject: Subject, name: str, make: Callable[[], Awaitable[Made]], *, unfollowed: bool = False
    ) -> Made:
        """A page that is the same for all readers: rendered once for each change, and for all requests within a second.

        It is cached only that long, as it shows running durations, and not at all after an error.

        Args:
            subject: what the page is about.
            name: identifies the page among the pages of the subject.
            make: renders it.
            unfollowed: cache it even while nobody follows the subject. Not for lists, whose readers must see at once
                what they add.
        """
        followed = self._followed.get(subject.key)
        if followed is None and not unfollowed:
            return await make()
        pages, version = (self._kept, 0) if followed is None else (followed.kept, followed.version)
        name = f"{subject.key} {name}"
        loop = asyncio.get_running_loop()
        kept = pages.get(name)
        if kept is None or not kept.is_good(version, loop.time()):
            if len(pages) >= _MOST_KEPT:
                pages.clear()
            kept = pages[name] = _Kept(version, loop.time(), asyncio.create_task(_made(make)))
            loop.call_later(LEAST_SECONDS_BETWEEN, _drop, pages, name, kept)
        # Others wait for it too, so it is finished even if the first caller is gone.
        return await asyncio.shield(cast("asyncio.Task[Made]", kept.page))

    @contextmanager
    def _following(self, subject: Subject) -> Generator[_Followed]:
        followed = self._followed.get(subject.key)
        if followed is None or followed.is_over is not False:
            followed = self._followed[subject.key] = _Followed()
            followed.looking = asyncio.create_task(self._look(subject, followed))
        followed.followers += 1
        try:
            yield followed
        finally:
            followed.followers -= 1
            if not followed.followers:
                if followed.looking is not None:
                    followed.looking.cancel()
                if self._followed.get(subject.key) is followed:
                    del self._followed[subject.key]

    async def _look(self, subject: Subject, followed: _Followed) -> None:
        """Check the subject after each wake-up, and notify followers, once a second at most."""
        try:
            is_new = True
            with subject.follow() as subscription:
                while True:
                    is_over = not await subject.may_grow()
                    if is_new or is_over:
                        followed.tell(is_over=is_over)
                    if is_over:
                        return
                    await asyncio.sleep(LEAST_SECONDS_BETWEEN)
                    is_new = await subscription.wait(self._heartbeat_seconds) or subject.ages
        except Exception:
            _log.exception("%s can't be followed now; followers will retry", subject.key)
            followed.tell(is_over=None)

    async def _turn(self, weight: float) -> None:
        """Wait for a refresh slot, in order."""
        now = asyncio.get_running_loop().time()
        turn = max(self._next_turn, now)
        self._next_turn = turn + weight * self._seconds_each
        await asyncio.sleep(turn - now)


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _drop(pages: dict[str, _Kept], name: str, kept: _Kept) -> None:
    """Drop a page that is too old, unless a newer one replaced it."""
    if pages.get(name) is kept and kept.page.done():
        del pages[name]


async def _made(make: Callable[[], Awaitable[Made]]) -> Made:
    return await make()
