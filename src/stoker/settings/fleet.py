"""When machines start and stop, and what is done to them while they run."""

from __future__ import annotations

from pydantic import Field, IPvAnyNetwork, field_validator
from pydantic.dataclasses import dataclass

from stoker.domain.privileges import Entitlement
from stoker.settings.group import STRICT, Seconds, from_json


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ProjectPrivileges:
    """What the builds of one project may do that those of others may not, or the other way round."""

    allowed_networks: tuple[IPvAnyNetwork, ...] = ()
    denied_networks: tuple[IPvAnyNetwork, ...] = ()
    entitlements: tuple[Entitlement, ...] = ()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FleetSettings:
    """When machines start and stop, and what is done to them while they run."""

    idle_seconds: Seconds = Field(default=120, description="How long a machine without builds is kept.")
    start_timeout_seconds: Seconds = Field(default=60, description="How long a machine may take to become ready.")
    start_attempts: int = Field(default=3, ge=1, le=100, description="Failed starts after which waiting builds fail.")
    parallel_starts: int = Field(default=8, ge=1, le=1000, description="Machines that start at once.")
    stop_grace_seconds: Seconds = Field(default=10, description="How long a machine gets to end by itself.")
    housekeeping_seconds: Seconds = Field(
        default=5, description="Pause between two times that a machine drops surplus cache."
    )
    measure_seconds: float = Field(
        default=900,
        ge=1,
        le=7 * 24 * 3600,
        description="Time between two looks at the size of a running machine's volume.",
    )
    project_privileges: dict[str, ProjectPrivileges] = Field(
        default_factory=dict[str, ProjectPrivileges],
        description="Networks and entitlements of single projects, by their ids; JSON in the environment.",
    )

    @field_validator("project_privileges", mode="before")
    @classmethod
    def _privileges_from_json(cls, value: object) -> object:
        return from_json(value)
