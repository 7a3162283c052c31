"""Time and randomness come from outside, so that decisions can be tested without either."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

SMALLEST_JUMP = timedelta(seconds=10)
"""What is less is not worth a correction: two clocks are never read in the same moment."""


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, which go on evenly when the clock is set: what waits and ages are reckoned in."""
        ...


class Randomness(Protocol):
    """Where unpredictable bytes come from."""

    def token_bytes(self, count: int) -> bytes:
        """``count`` bytes that nobody can guess."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What both clocks said in one moment."""

    now: datetime
    steady: float


@dataclass(frozen=True, slots=True)
class Jump:
    """The clock was set, or the host slept.

    Attributes:
        by: how much more (or less) time has gone by on the clock than really has.
        now: the time by the clock as it is since.
        window: how long ago the jump may have been, at most.
    """

    by: timedelta
    now: datetime
    window: timedelta


def read(clock: Clock) -> Reading:
    """Read both clocks."""
    return Reading(clock.now(), clock.monotonic())


def jump_between(before: Reading, after: Reading) -> Jump | None:
    """What became of the clock between two readings; None when it went on as it should."""
    window = timedelta(seconds=after.steady - before.steady)
    by = after.now - before.now - window
    return Jump(by, after.now, window) if abs(by) >= SMALLEST_JUMP else None
