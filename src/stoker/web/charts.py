"""Numbers as bars, which the server draws. All places and lengths are percents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_HEIGHT = 0.8
_LEAST_LENGTH = 0.3
_GAP = 0.25


@dataclass(frozen=True, slots=True)
class ChartBar:
    """One upright bar; all places are percents of the chart's width and height.

    Attributes:
        index: which of the numbers it stands for.
    """

    index: int
    left: float
    width: float
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of numbers that follow each other; ``most`` is the number at its top."""

    bars: tuple[ChartBar, ...]
    most: float


def chart(numbers: Sequence[float | None], most: float | None = None) -> Chart:
    """A chart of numbers, none of them negative. A nothing is seen to be there; what is None leaves its place empty.

    Args:
        numbers: from left to right.
        most: what the top stands for; the largest number unless it is given.
    """
    top = most or max((number for number in numbers if number is not None), default=0) or 1
    step = 100 / max(len(numbers), 1)
    bars: list[ChartBar] = []
    for index, number in enumerate(numbers):
        if number is not None:
            height = round(max(min(number / top, 1) * 100, _LEAST_HEIGHT), 2)
            left = round((index + _GAP / 2) * step, 2)
            bars.append(ChartBar(index, left, round((1 - _GAP) * step, 2), round(100 - height, 2), height))
    return Chart(tuple(bars), top)


def length(value: float, whole: float) -> float:
    """The length of a lying bar for a part of a whole. What is not nothing can be seen."""
    return 0 if value <= 0 or whole <= 0 else round(min(max(value / whole * 100, _LEAST_LENGTH), 100), 2)


def lengths(values: Sequence[float]) -> list[float]:
    """The length of a lying bar for each value, of which the largest is the whole."""
    largest = max(values, default=0)
    return [length(value, largest) for value in values]
