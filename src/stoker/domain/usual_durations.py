"""How long builds of the same thing usually take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_COMPARED = 20
"""So many of the last builds are compared."""

_FEWEST_COMPARED = 3
_SHORTEST = timedelta(seconds=0.1)


@dataclass(frozen=True, slots=True)
class UsualDuration:
    """The median of the durations of so many builds."""

    median: timedelta
    builds: int

    def factor(self, seconds: float) -> float:
        """How many times as long a duration is."""
        return seconds / max(self.median, _SHORTEST).total_seconds()


def usual_duration(durations: Sequence[timedelta]) -> UsualDuration | None:
    """The usual duration of builds that took so long; None if they are too few."""
    if len(durations) < _FEWEST_COMPARED:
        return None
    return UsualDuration(timedelta(seconds=median(one.total_seconds() for one in durations)), len(durations))
