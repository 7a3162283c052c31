"""Long work in pieces: how much of the event loop's time it takes."""

from __future__ import annotations

import asyncio
from time import perf_counter

import pytest

from stoker.domain.pacing import Pace

PIECE = 0.004
PIECES = 10


async def work(pace: Pace) -> None:
    began = perf_counter()
    for _ in range(PIECES):
        until = perf_counter() + PIECE
        while perf_counter() < until:
            continue
        began = await pace.rest(began)


@pytest.mark.parametrize("workers", [1, 5])
async def test_all_who_work_at_a_pace_leave_half_of_the_time(workers: int) -> None:
    pace = Pace()
    began = perf_counter()
    await asyncio.gather(*(work(pace) for _ in range(workers)))
    worked = workers * PIECES * PIECE
    # The first piece of each comes before anything is known of it.
    assert perf_counter() - began > 2 * worked - 2 * workers * PIECE


async def test_short_work_does_not_rest() -> None:
    began = perf_counter()
    assert await Pace().rest(began, piece_seconds=60) == began
