"""When machines start and stop, and what is done to them while they run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property

from pydantic import Field, IPvAnyNetwork, field_validator
from pydantic.dataclasses import dataclass

from stoker.domain.privileges import Entitlement, Privileges
from stoker.settings.group import STRICT, Seconds, from_json


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ProjectPrivileges:
    """What the builds of one project may do beyond other projects' builds, and what they may not."""

    allowed_networks: tuple[IPvAnyNetwork, ...] = ()
    denied_networks: tuple[IPvAnyNetwork, ...] = ()
    entitlements: tuple[Entitlement, ...] = ()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FleetSettings:
    """When machines start and stop, and what is done to them while they run."""

    idle_seconds: Seconds = Field(default=120, description="How long a machine without builds is kept.")
    prewarm: bool = Field(
        default=True, description="Start a project's machine when a build is created, before its client asks for it."
    )
    start_timeout_seconds: Seconds = Field(default=60, description="How long a machine may take to become ready.")
    fill_timeout_seconds: Seconds = Field(
        default=600, description="How long a volume may take to be filled with a copy of another, before a start."
    )
    room_seconds: float = Field(
        default=5, ge=0.1, le=3600, description="Pause before a machine that there was no room for is tried again."
    )
    start_attempts: int = Field(default=3, ge=1, le=100, description="Failed starts after which waiting builds fail.")
    parallel_starts: int = Field(default=8, ge=1, le=1000, description="Machines that start at once.")
    stop_grace_seconds: Seconds = Field(default=10, description="How long a machine gets to end by itself.")
    claim_seconds: float = Field(
        default=300, ge=1, le=24 * 3600, description="How long one step of a machine's life is left to who began it."
    )
    reconcile_seconds: float = Field(
        default=30, ge=0.1, le=3600, description="Longest time between two checks of what machines have to do."
    )
    housekeeping_seconds: Seconds = Field(
        default=5, description="Pause between two times that a machine drops surplus cache."
    )
    housekeeping_timeout_seconds: float = Field(
        default=120, ge=1, le=3600, description="How long a machine may take to drop surplus cache."
    )
    cache_inspection_timeout_seconds: float = Field(
        default=5, ge=0.1, le=600, description="How long a machine may take to list what is in its cache."
    )
    cache_records: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Entries of a cache that are listed one by one; others are put together.",
    )
    measure_seconds: float = Field(
        default=900,
        ge=1,
        le=7 * 24 * 3600,
        description="Time between two measurements of a running machine's volume.",
    )
    project_privileges: dict[str, ProjectPrivileges] = Field(
        default_factory=dict[str, ProjectPrivileges],
        description="Networks and entitlements of single projects, by their ids; JSON in the environment.",
    )

    @field_validator("project_privileges", mode="before")
    @classmethod
    def _privileges_from_json(cls, value: object) -> object:
        return from_json(value)

    @property
    def idle_timeout(self) -> timedelta:
        """How long a machine without builds is kept."""
        return timedelta(seconds=self.idle_seconds)

    @property
    def stop_grace(self) -> timedelta:
        """How long a machine gets to end by itself."""
        return timedelta(seconds=self.stop_grace_seconds)

    @property
    def claim_lifetime(self) -> timedelta:
        """How long one step of a machine's life is left to who began it."""
        return timedelta(seconds=self.claim_seconds)

    @cached_property
    def privileges(self) -> Mapping[str, Privileges]:
        """What the operator decided for single projects."""
        return {
            project: Privileges(given.allowed_networks, given.denied_networks, frozenset(given.entitlements))
            for project, given in self.project_privileges.items()
        }
