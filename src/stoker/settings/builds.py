"""How long builds live, and how many there may be."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.domain.queue import BuildLimits
from stoker.domain.rates import Rate
from stoker.settings.group import STRICT, Seconds


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BuildSettings:
    """How long builds live, and how many there may be."""

    lease_seconds: Seconds = Field(
        default=300, description="How long a build lives without health reports, even without a machine."
    )
    build_hours: float = Field(
        default=24, gt=0, le=24 * 7, description="How long a build may last at all, however healthy."
    )
    max_builds_per_project: int = Field(
        default=100,
        ge=0,
        description="Builds of a project that hold machines at once; more wait for their turn. 0: no limit.",
    )
    max_builds_per_organization: int = Field(default=500, ge=0, description="The same of an organization.")
    max_builds: int = Field(
        default=0, ge=0, description="The same of all; whose organization builds least is served first."
    )
    max_waiting_builds: int = Field(
        default=10_000, ge=1, description="Builds of an organization that may wait at once."
    )
    max_waiting_builds_per_project: int = Field(default=5000, ge=1, description="The same of a project.")
    max_open_builds_per_project: int = Field(
        default=10_000,
        ge=1,
        description="Builds of a project that have not ended, whether they asked for a machine or not.",
    )
    builds_per_second: float = Field(
        default=10, gt=0, description="Builds that a project may create a second, for long."
    )
    builds_burst: int = Field(
        default=5000, ge=1, description="Builds that a project may create at once, beyond that rate."
    )
    build_token_grace_seconds: float = Field(
        default=600, ge=0, le=24 * 3600, description="How long a build's own token works after its end."
    )
    connection_wait_seconds: float = Field(
        default=0.5, ge=0.001, le=60, description="Pause that the depot CLI is told to make before it asks again."
    )
    pending_interval_seconds: float = Field(
        default=15, ge=0.1, le=300, description="Time between two signs to a client that it still waits for a machine."
    )
    connection_hold_seconds: Seconds = Field(default=4, description="How long the depot CLI's question is held open.")

    @property
    def lease_lifetime(self) -> timedelta:
        """How long a build lives without health reports."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def build_lifetime(self) -> timedelta:
        """How long a build may last at all."""
        return timedelta(hours=self.build_hours)

    @property
    def token_grace(self) -> timedelta:
        """How long a build's own token works after its end."""
        return timedelta(seconds=self.build_token_grace_seconds)

    @property
    def connection_hold(self) -> timedelta:
        """How long the depot CLI's question is held open."""
        return timedelta(seconds=self.connection_hold_seconds)

    @property
    def connection_wait(self) -> timedelta:
        """How long the depot CLI waits before it asks again."""
        return timedelta(seconds=self.connection_wait_seconds)

    @property
    def pending_interval(self) -> timedelta:
        """Time between two signs that a machine isn't ready yet."""
        return timedelta(seconds=self.pending_interval_seconds)

    @property
    def at_once(self) -> BuildLimits:
        """How many builds may hold machines at once."""
        return BuildLimits(
            per_project=self.max_builds_per_project,
            per_organization=self.max_builds_per_organization,
            on_server=self.max_builds,
        )

    @property
    def rate(self) -> Rate:
        """How many builds a project may create."""
        return Rate(self.builds_per_second, self.builds_burst)
