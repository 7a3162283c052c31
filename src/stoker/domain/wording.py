"""Numbers and times in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

_UNITS = ((3600, "hour"), (60, "minute"))


def counted(number: float, noun: str) -> str:
    """``1 day``, ``2 days``."""
    return f"{number:g} {noun}" if number == 1 else f"{number:g} {noun}s"


def spelled_out(time: timedelta) -> str:
    """A time in the largest unit of which it is a whole number: ``24 hours``, ``1 minute``, ``90 seconds``."""
    seconds = time.total_seconds()
    for size, noun in _UNITS:
        if seconds and seconds % size == 0:
            return counted(seconds / size, noun)
    return counted(seconds, "second")
