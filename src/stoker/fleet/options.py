"""Times and bounds of the fleet controller. All are settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """How patient the controller is."""

    idle_timeout: timedelta = timedelta(minutes=2)
    start_timeout: timedelta = timedelta(seconds=60)
    start_attempts: int = 3
    stop_grace: timedelta = timedelta(seconds=10)
    claim_lifetime: timedelta = timedelta(minutes=5)
    parallel_starts: int = 8
    housekeeping_pause: timedelta = timedelta(seconds=5)
    housekeeping_timeout: timedelta = timedelta(minutes=2)
    look_timeout: timedelta = timedelta(seconds=5)
    kept_records: int = 10_000
    look_again: timedelta = timedelta(seconds=30)
