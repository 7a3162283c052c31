"""The real clock and the real randomness: handed to everything, read by nothing else."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment, which go on evenly when the clock is set."""
        return time.monotonic()


class SystemRandomness:
    """The kernel's random numbers."""

    def token_bytes(self, count: int) -> bytes:
        """``count`` bytes that nobody can guess."""
        return secrets.token_bytes(count)
