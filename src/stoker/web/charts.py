"""Charts of bars, drawn by the server. All positions and lengths are percents."""

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
    """One upright bar; all positions are percents of the chart's width and height.

    Attributes:
        index: the number that it shows, by its position.
    """

    index: int
    left: float
    width: float
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of a sequence of numbers; ``most`` is the number at its top."""

    bars: tuple[ChartBar, ...]
    most: float


def chart(numbers: Sequence[float | None], most: float | None = None) -> Chart:
    """A chart of numbers that are not negative. Zeros get a visible bar; None leaves a gap.

    Args:
        numbers: from left to right.
        most: the number at the top. Default: the largest number.
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
    """The length of a horizontal bar for a part of a whole. A part above 0 is visible."""
    return 0 if value <= 0 or whole <= 0 else round(min(max(value / whole * 100, _LEAST_LENGTH), 100), 2)


def lengths(values: Sequence[float]) -> list[float]:
    """The length of a horizontal bar for each value; the largest value is the whole."""
    largest = max(values, default=0)
    return [length(value, largest) for value in values]
