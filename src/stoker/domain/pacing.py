"""Splits long work into pieces, so that the event loop can run between them."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

PIECE_SECONDS = 0.001
"""Length of a piece: a call that needs the event loop several times is delayed by a few pieces."""

T = TypeVar("T")


async def paced(items: Iterable[T], piece_seconds: float = PIECE_SECONDS) -> list[T]:
    """Yield all items of a slow iterator, in pieces.

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


class Pace:
    """Limits one kind of work to half of the event loop's time, however many callers request it at once.

    Giving everybody a turn after each piece isn't enough: a call that needs the loop ten times over would wait for ten
    pieces, one after the other.
    """

    def __init__(self) -> None:
        self._free_at = 0.0

    async def rest(self, began: float, piece_seconds: float = PIECE_SECONDS) -> float:
        """Between two steps of the work: rest as long as a piece took, when it is one.

        Args:
            began: when the piece began, by `perf_counter`.
            piece_seconds: how long a piece takes; before, nothing happens.

        Returns:
            When the piece begins that goes on or is next.
        """
        now = perf_counter()
        worked = now - began
        if worked < piece_seconds:
            return began
        goes_on_at = max(self._free_at, now + worked)
        # The next one who rests goes on when this one has worked for about as long again, and rested.
        self._free_at = goes_on_at + 2 * worked
        await asyncio.sleep(goes_on_at - now)
        return perf_counter()
