"""What many follow is looked at once for all, and told of no faster than the server bears."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from stoker.services.wakeups import Wakeups
from stoker.web.live import Change, Live, Subject

PER_SECOND = 200.0


class Followed:
    """What is followed: it counts looks."""

    def __init__(self) -> None:
        self.wakeups = Wakeups()
        self.looks = 0
        self.is_over = False
        self.subject = Subject("b", lambda: self.wakeups.subscribe("b"), self.may_grow)

    async def may_grow(self) -> bool:
        self.looks += 1
        await asyncio.sleep(0)
        return not self.is_over

    def end(self) -> None:
        self.is_over = True
        self.wakeups.wake("b")


async def told(live: Live, it: Followed, times: asyncio.Queue[float], weight: float = 1) -> list[Change]:
    seen: list[Change] = []
    async with aclosing(live.changes(it.subject, weight)) as changes:
        async for change in changes:
            seen.append(change)
            times.put_nowait(asyncio.get_running_loop().time())
    return seen


async def test_it_is_looked_at_once_for_all_who_follow_it() -> None:
    it, live, times = Followed(), Live(PER_SECOND), asyncio.Queue[float]()
    followers = [asyncio.create_task(told(live, it, times)) for _ in range(40)]
    for _ in followers:
        await times.get()
    assert it.looks == 1
    it.end()
    assert await asyncio.gather(*followers) == [[Change.SOME, Change.LAST]] * 40
    assert it.looks == 2


@pytest.mark.bound("live_refreshes_per_second")
async def test_no_more_are_told_in_a_second_than_the_server_bears() -> None:
    it, live, times = Followed(), Live(PER_SECOND), asyncio.Queue[float]()
    followers = [asyncio.create_task(told(live, it, times, weight=2)) for _ in range(20)]
    told_at = [await times.get() for _ in followers]
    assert told_at[-1] - told_at[0] >= 19 * 2 / PER_SECOND * 0.99
    for one in followers:
        one.cancel()
    await asyncio.gather(*followers, return_exceptions=True)


async def test_what_ages_is_told_anew_though_nothing_happens() -> None:
    it, live, times = Followed(), Live(PER_SECOND, heartbeat_seconds=0.01), asyncio.Queue[float]()
    it.subject = replace(it.subject, ages=True)
    follower = asyncio.create_task(told(live, it, times))
    while it.looks < 3:
        await times.get()
    it.end()
    assert (await follower).count(Change.SOME) >= 2


async def test_what_does_not_age_is_told_of_only_when_something_happens() -> None:
    it, live, times = Followed(), Live(PER_SECOND, heartbeat_seconds=0.01), asyncio.Queue[float]()
    follower = asyncio.create_task(told(live, it, times))
    while it.looks < 3:
        await times.get()
    it.end()
    assert (await follower).count(Change.SOME) == 1


async def test_a_page_is_made_once_for_all_until_there_is_something_new() -> None:
    it, live, times, made = Followed(), Live(PER_SECOND), asyncio.Queue[float](), list[str]()

    async def render() -> str:
        made.append("")
        await asyncio.sleep(0)
        return f"page {len(made)}"

    assert await live.shared(it.subject, "page", render, unfollowed=True) == "page 1"
    assert await live.shared(it.subject, "page", render, unfollowed=True) == "page 1", "it is kept for a second"
    follower = asyncio.create_task(told(live, it, times))
    await times.get()
    pages = await asyncio.gather(*(live.shared(it.subject, "page", render) for _ in range(9)))
    assert set(pages) == {"page 2"}
    assert await live.shared(it.subject, "other", render) == "page 3"
    slow = asyncio.create_task(told(live, it, times, weight=PER_SECOND))
    await times.get()
    it.end()
    assert await follower == [Change.SOME, Change.LAST]
    assert await live.shared(it.subject, "page", render) == "page 4", "a slow one follows, whose turn is still to come"
    slow.cancel()


async def test_what_is_made_of_one_subject_is_never_shown_for_another() -> None:
    live = Live(PER_SECOND)

    async def made(text: str) -> str:
        return text

    for followed in (False, True):
        for name in ("one", "other"):
            subject = Subject(f"projects of {name}", Wakeups().subscribe, Followed().may_grow)
            shown = await live.shared(subject, "page", lambda name=name: made(name), unfollowed=followed)
            assert shown == name


async def test_a_list_that_nobody_follows_is_made_for_each_reader() -> None:
    it, live, made = Followed(), Live(PER_SECOND), list[str]()

    async def render() -> str:
        made.append("")
        return f"list {len(made)}"

    assert await live.shared(it.subject, "list", render) == "list 1"
    assert await live.shared(it.subject, "list", render) == "list 2", "what was added is seen at once"
