"""What every service needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stoker.domain import ids
from stoker.services.meter import NoMeter
from stoker.services.tracing import NoTracer
from stoker.settings.builds import BuildSettings
from stoker.settings.people import PeopleSettings
from stoker.settings.projects import ProjectSettings
from stoker.settings.regions import RegionSettings
from stoker.settings.retention import RetentionSettings
from stoker.settings.webhooks import WebhookSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from stoker.domain.clock import Clock, Randomness
    from stoker.services.admission import Admission
    from stoker.services.meter import Meter
    from stoker.services.tracing import Tracer
    from stoker.services.wakeups import Wakeups
    from stoker.store.database import Database


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that services keep to."""

    regions: tuple[str, ...] = field(default_factory=lambda: RegionSettings().regions)
    builds: BuildSettings = field(default_factory=BuildSettings)
    projects: ProjectSettings = field(default_factory=ProjectSettings)
    people: PeopleSettings = field(default_factory=PeopleSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)


def _gateway_lives(_since: datetime) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Core:
    """What every service needs.

    ``gateway_ended_since`` says whether the gateway that ran at a moment has ended.
    """

    database: Database
    clock: Clock
    randomness: Randomness
    wakeups: Wakeups
    limits: Limits
    admission: Admission
    meter: Meter = field(default_factory=NoMeter)
    tracer: Tracer = field(default_factory=NoTracer)
    gateway_ended_since: Callable[[datetime], bool] = _gateway_lives

    def now(self) -> datetime:
        """The time."""
        return self.clock.now()

    def monotonic(self) -> float:
        """Seconds of a clock that can't be set, for waits and ages."""
        return self.clock.monotonic()

    def new_id(self) -> str:
        """A new identifier."""
        return ids.new_id(self.clock, self.randomness)
