"""The real clock and the real randomness: handed to everything, read by nothing else."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)


class SystemRandomness:
    """The kernel's random numbers."""

    def token_bytes(self, count: int) -> bytes:
        """``count`` bytes that nobody can guess."""
        return secrets.token_bytes(count)
