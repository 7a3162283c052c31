"""Builds that many follow: they are looked at once for all, and told of no faster than the server bears."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from typing import cast

from stoker.domain.builds import Build, BuildStatus
from stoker.services.records import RecordService
from stoker.services.wakeups import Subscription, Wakeups
from stoker.web.live import Change, LiveBuilds

BUILD = Build("b", "o", "p", BuildStatus.RUNNING, None, datetime(2026, 1, 1, tzinfo=UTC), None, None)
PER_SECOND = 200.0


class Records:
    """What is followed: it counts looks."""

    def __init__(self) -> None:
        self.wakeups = Wakeups()
        self.looks = 0
        self.is_over = False

    @contextmanager
    def follow(self, _build: Build) -> Iterator[Subscription]:
        with self.wakeups.subscribe("b") as subscription:
            yield subscription

    async def may_grow(self, _build: Build) -> bool:
        self.looks += 1
        await asyncio.sleep(0)
        return not self.is_over

    def end(self) -> None:
        self.is_over = True
        self.wakeups.wake("b")


def live(records: Records) -> LiveBuilds:
    return LiveBuilds(cast("RecordService", records), PER_SECOND)


async def told(builds: LiveBuilds, times: asyncio.Queue[float], weight: float = 1) -> list[Change]:
    seen: list[Change] = []
    async with aclosing(builds.changes(BUILD, weight)) as changes:
        async for change in changes:
            seen.append(change)
            times.put_nowait(asyncio.get_running_loop().time())
    return seen


async def test_a_build_is_looked_at_once_for_all_who_follow_it() -> None:
    records, times = Records(), asyncio.Queue[float]()
    builds = live(records)
    followers = [asyncio.create_task(told(builds, times)) for _ in range(40)]
    for _ in followers:
        await times.get()
    assert records.looks == 1
    records.end()
    assert await asyncio.gather(*followers) == [[Change.SOME, Change.LAST]] * 40
    assert records.looks == 2


async def test_no_more_are_told_in_a_second_than_the_server_bears() -> None:
    records, times = Records(), asyncio.Queue[float]()
    builds = live(records)
    followers = [asyncio.create_task(told(builds, times, weight=2)) for _ in range(20)]
    told_at = [await times.get() for _ in followers]
    assert told_at[-1] - told_at[0] >= 19 * 2 / PER_SECOND * 0.99
    for one in followers:
        one.cancel()
    await asyncio.gather(*followers, return_exceptions=True)


async def test_a_page_is_made_once_for_all_until_there_is_something_new() -> None:
    records, times, made = Records(), asyncio.Queue[float](), list[str]()
    builds = live(records)

    async def render() -> str:
        made.append("")
        await asyncio.sleep(0)
        return f"page {len(made)}"

    assert await builds.page(BUILD, "page", render) == "page 1"
    assert await builds.page(BUILD, "page", render) == "page 2", "nobody follows, so nobody says when it is old"
    follower = asyncio.create_task(told(builds, times))
    await times.get()
    pages = await asyncio.gather(*(builds.page(BUILD, "page", render) for _ in range(9)))
    assert set(pages) == {"page 3"}
    assert await builds.page(BUILD, "other", render) == "page 4"
    slow = asyncio.create_task(told(builds, times, weight=PER_SECOND))
    await times.get()
    records.end()
    assert await follower == [Change.SOME, Change.LAST]
    assert await builds.page(BUILD, "page", render) == "page 5", "a slow one follows, whose turn is still to come"
    slow.cancel()
