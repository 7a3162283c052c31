"""Time and randomness come from outside, so that decisions can be tested without either."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

SMALLEST_JUMP = timedelta(seconds=10)
"""Smaller differences are ignored: two clocks are never read at exactly the same time."""


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, unaffected by setting the clock. Waits and ages use it."""
        ...


class Randomness(Protocol):
    """Where unpredictable bytes come from."""

    def token_bytes(self, count: int) -> bytes:
        """``count`` unpredictable bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks, read together."""

    now: datetime
    steady: float


@dataclass(frozen=True, slots=True)
class Jump:
    """The clock was set, or the host slept.

    Attributes:
        by: how far the clock jumped; negative for backwards.
        now: the clock's time after the jump.
        window: the jump was at most this long ago.
    """

    by: timedelta
    now: datetime
    window: timedelta


def read(clock: Clock) -> Reading:
    """Read both clocks."""
    return Reading(clock.now(), clock.monotonic())


def jump_between(before: Reading, after: Reading) -> Jump | None:
    """The jump of the clock between two readings, or None."""
    window = timedelta(seconds=after.steady - before.steady)
    by = after.now - before.now - window
    return Jump(by, after.now, window) if abs(by) >= SMALLEST_JUMP else None
