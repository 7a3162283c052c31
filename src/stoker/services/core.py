"""What every service needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain import ids
from stoker.domain.cache_policy import MAX_KEEP_BYTES, MIN_KEEP_BYTES
from stoker.domain.queue import BuildLimits
from stoker.domain.rates import Rate
from stoker.domain.webhooks import DeliveryBounds
from stoker.services.meter import NoMeter
from stoker.services.tracing import NoTracer

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
    """Times and bounds that services keep to. All are settings."""

    regions: tuple[str, ...] = ("us-east-1", "eu-central-1")
    lease_lifetime: timedelta = timedelta(minutes=5)
    build_lifetime: timedelta = timedelta(hours=24)
    build_token_grace: timedelta = timedelta(minutes=10)
    min_keep_bytes: int = MIN_KEEP_BYTES
    max_keep_bytes: int = MAX_KEEP_BYTES
    max_organization_keep_bytes: int = MAX_KEEP_BYTES
    max_projects: int = 100_000
    max_project_tokens: int = 1000
    max_organization_tokens: int = 1000
    max_members: int = 10_000
    max_sessions: int = 100
    max_trust_policies: int = 1000
    max_project_webhooks: int = 20
    max_open_logins: int = 1000
    max_open_logins_per_address: int = 20
    invitation_lifetime: timedelta = timedelta(days=7)
    session_lifetime: timedelta = timedelta(days=14)
    login_lifetime: timedelta = timedelta(minutes=15)
    user_token_lifetime: timedelta | None = timedelta(days=90)
    pending_interval: timedelta = timedelta(seconds=15)
    builds: BuildLimits = field(default_factory=BuildLimits)
    max_waiting_builds: int = 10_000
    max_waiting_builds_per_project: int = 5000
    max_open_builds_per_project: int = 10_000
    build_rate: Rate = field(default_factory=lambda: Rate(per_second=10, burst=5000))
    audit_lifetime: timedelta | None = timedelta(days=365)
    max_audit_events: int = 1_000_000
    max_audit_events_per_organization: int = 200_000
    max_audit_events_per_actor: int = 50_000
    webhook_deliveries: DeliveryBounds = field(default_factory=DeliveryBounds)
    webhook_history: timedelta = timedelta(days=7)
    connection_hold: timedelta = timedelta(seconds=4)
    connection_wait: timedelta = timedelta(milliseconds=500)


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
        """Seconds that go on evenly when the clock is set: what waits and ages are reckoned in."""
        return self.clock.monotonic()

    def new_id(self) -> str:
        """A new identifier."""
        return ids.new_id(self.clock, self.randomness)
