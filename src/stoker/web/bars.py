"""Numbers as bars, on a scale on which the largest fills its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 1000
HEIGHT = 200
_GAP = 0.25
_LEAST = 3


@dataclass(frozen=True, slots=True)
class Column:
    """An upright bar in a place of `WIDTH` by `HEIGHT`, measured from its upper left corner."""

    x: int
    y: int
    width: int
    height: int


def columns(values: Sequence[float]) -> list[Column]:
    """A bar for each value, side by side. What is not nothing can be seen."""
    largest = max(values, default=0)
    step = WIDTH / max(len(values), 1)
    width = max(round(step * (1 - _GAP)), 1)
    return [
        Column(round(step * (place + _GAP / 2)), HEIGHT - height, width, height)
        for place, height in enumerate(_length(value, largest, HEIGHT) for value in values)
    ]


def lengths(values: Sequence[float]) -> list[int]:
    """The length of a lying bar for each value; the longest is `WIDTH`."""
    largest = max(values, default=0)
    return [_length(value, largest, WIDTH) for value in values]


def length(value: float, whole: float) -> int:
    """The length of a bar for a part of a whole, at most `WIDTH`."""
    return _length(value, whole, WIDTH)


def _length(value: float, largest: float, most: int) -> int:
    return 0 if value <= 0 or largest <= 0 else min(max(round(value / largest * most), _LEAST), most)
