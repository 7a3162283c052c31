"""How long builds live, and how many there may be."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

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
    connection_hold_seconds: Seconds = Field(default=4, description="How long the depot CLI's question is held open.")
