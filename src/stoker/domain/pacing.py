"""Long work in pieces, between which the event loop has its turn."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

PIECE_SECONDS = 0.001
"""How long a piece takes: a call that needs the event loop some times over is delayed by a few of these."""

T = TypeVar("T")


async def paced(items: Iterable[T], piece_seconds: float = PIECE_SECONDS) -> list[T]:
    """All items, where making them takes long.

    It is done here and not on another thread: Python's threads take turns of 5 ms, and the event loop would have to
    wait for one of those each time that it has waited for anything.
    """
    made: list[T] = []
    until = perf_counter() + piece_seconds
    for item in items:
        made.append(item)
        if perf_counter() >= until:
            await asyncio.sleep(0)
            until = perf_counter() + piece_seconds
    return made
