"""Times and bounds of the fleet controller. All are settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.domain.privileges import Privileges


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """How patient the controller is, and what projects' machines are started with."""

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
    privileges: Mapping[str, Privileges] = field(default_factory=dict[str, "Privileges"])
