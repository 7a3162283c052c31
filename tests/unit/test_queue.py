"""Which builds are next in the queue, and how start slots are shared."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from stoker.domain.platforms import Platform
from stoker.domain.queue import BuildLimits, Holding, Waiting, next_in_queue, places
from stoker.fleet.start_slots import StartSlots

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def waiting(number: int, build: str, organization: str = "o", project: str = "p") -> Waiting:
    return Waiting(f"{number:04}", build, Platform.AMD64, organization, project, NOW, NOW)


def served(queue: list[Waiting], holding: list[Holding], **limits: int) -> list[str]:
    return [
        one.build_id
        for one in next_in_queue(
            queue, holding, BuildLimits(**{"per_project": 0, "per_organization": 0, "on_server": 0, **limits})
        )
    ]


def test_without_limits_everybody_is_served_in_order() -> None:
    assert served([waiting(2, "b"), waiting(1, "a")], []) == ["a", "b"]


def test_a_full_project_is_passed_by_and_keeps_its_order() -> None:
    queue = [waiting(1, "a1"), waiting(2, "a2"), waiting(3, "b1", project="q")]
    assert served(queue, [Holding("a0", "o", "p")], per_project=1) == ["b1"]
    assert served(queue, [], per_project=1) == ["a1", "b1"]


def test_a_full_organization_does_not_delay_another() -> None:
    queue = [waiting(number, f"x{number}", "x", f"x{number}") for number in range(100)] + [waiting(100, "y", "y", "y")]
    holding = [Holding("x", "x", "x")]
    assert served(queue, holding, per_organization=1) == ["y"]
    assert served(queue, holding, on_server=2) == ["y"]
    assert served(queue, holding, on_server=4) == ["y", "x0", "x1"]
    assert served(queue, [], on_server=3) == ["x0", "y", "x1"]


def test_a_build_that_holds_a_machine_gets_its_other_platforms_at_once() -> None:
    queue = [waiting(1, "a"), waiting(2, "b")]
    assert served(queue, [Holding("b", "o", "p")], per_project=1, per_organization=1, on_server=1) == ["b"]


def test_positions_are_counted_in_the_organization() -> None:
    assert [(place.position, place.waiting.build_id) for place in places([waiting(2, "b"), waiting(1, "a")])] == [
        (1, "a"),
        (2, "b"),
    ]


def test_a_free_place_goes_to_the_party_that_has_the_fewest() -> None:
    served: list[str] = []

    async def work(slots: StartSlots, party: str, done: asyncio.Event) -> None:
        async with slots.slot(party):
            served.append(party)
            await done.wait()

    async def run() -> None:
        slots, done, first = StartSlots(2), asyncio.Event(), asyncio.Event()
        tasks = [asyncio.create_task(work(slots, "crowd", first))]
        tasks += [asyncio.create_task(work(slots, "crowd", done)) for _ in range(5)]
        tasks.append(asyncio.create_task(work(slots, "single", done)))
        for _ in range(3):
            await asyncio.sleep(0)
        assert served == ["crowd", "crowd"]
        first.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert served == ["crowd", "crowd", "single"]
        done.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert served.count("crowd") == 6


def test_who_gives_up_waiting_takes_no_slot() -> None:
    async def run() -> None:
        slots = StartSlots(1)
        async with slots.slot("a"):
            waiter = asyncio.create_task(slots.slot("b").__aenter__())
            await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
        async with asyncio.timeout(5), slots.slot("c"):
            pass

    asyncio.run(run())
