"""Machines, the builds that hold them, and what RUN steps reach."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, IPvAnyAddress, IPvAnyNetwork, field_validator

from stoker.domain.privileges import Entitlement
from stoker.settings.given_json import from_json
from stoker.settings.group import Seconds, SettingsGroup


class ProjectPrivileges(BaseModel):
    """What the builds of one project may do that those of others may not, or the other way round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allowed_networks: tuple[IPvAnyNetwork, ...] = ()
    denied_networks: tuple[IPvAnyNetwork, ...] = ()
    entitlements: tuple[Entitlement, ...] = ()


class MachineSettings(SettingsGroup):
    """Machines, the builds that hold them, and what RUN steps reach."""

    regions: tuple[str, ...] = Field(("us-east-1", "eu-central-1"), min_length=1, description="Region names.")
    network_pool: str = Field("10.210.0.0/16", description="IPv4 range from which machines get their networks.")
    network_ipv6: bool = Field(default=True, description="Give RUN steps IPv6 where the host has it.")
    allowed_networks: tuple[IPvAnyNetwork, ...] = Field(
        (), description="Private ranges that RUN steps may reach nevertheless, such as 10.20.0.0/16."
    )
    denied_networks: tuple[IPvAnyNetwork, ...] = Field(
        (), description="More ranges that RUN steps and webhooks may not reach; they count before allowed_networks."
    )
    max_machine_connections: int = Field(
        10_000,
        ge=10,
        le=1_000_000,
        description="Connections of a machine's RUN steps at once, as the host tracks them; and of BuildKit for it.",
    )
    name_servers: tuple[IPvAnyAddress, ...] = Field(
        (), description="Name servers that RUN steps ask, instead of the host's own."
    )
    project_privileges: dict[str, ProjectPrivileges] = Field(
        default_factory=dict[str, ProjectPrivileges],
        description="Networks and entitlements of single projects, by their ids; JSON in the environment.",
    )
    user_namespaces: Literal["auto", "off", "require"] = Field(
        "off", description="Run each machine in a user namespace of its own: where the host can, never, or always."
    )
    first_user_id: int = Field(
        0x7000_0000, ge=65_536, le=2**32 - 2 * 65_536, description="Where the host's ids for machines begin."
    )
    max_user_id_ranges: int = Field(
        4095, ge=1, le=65_000, description="Machines on this host that may have ids there at once, 65,536 each."
    )
    idle_seconds: Seconds = Field(120, description="How long a machine without builds is kept.")
    lease_seconds: Seconds = Field(
        300, description="How long a build lives without health reports, even without a machine."
    )
    build_hours: float = Field(24, gt=0, le=24 * 7, description="How long a build may last at all, however healthy.")
    drain_seconds: Seconds = Field(30, description="How long a stop waits for running builds.")
    stop_grace_seconds: Seconds = Field(10, description="How long a machine gets to end by itself.")
    start_timeout_seconds: Seconds = Field(60, description="How long a machine may take to become ready.")
    start_attempts: int = Field(3, ge=1, le=100, description="Failed starts after which waiting builds fail.")
    parallel_starts: int = Field(8, ge=1, le=1000, description="Machines that start at once.")
    max_builds_per_project: int = Field(
        100, ge=0, description="Builds of a project that hold machines at once; more wait for their turn. 0: no limit."
    )
    max_builds_per_organization: int = Field(500, ge=0, description="The same of an organization.")
    max_builds: int = Field(0, ge=0, description="The same of all; whose organization builds least is served first.")
    max_waiting_builds: int = Field(10_000, ge=1, description="Builds of an organization that may wait at once.")
    max_waiting_builds_per_project: int = Field(5000, ge=1, description="The same of a project.")
    max_open_builds_per_project: int = Field(
        10_000,
        ge=1,
        description="Builds of a project that have not ended, whether they asked for a machine or not.",
    )
    builds_per_second: float = Field(10, gt=0, description="Builds that a project may create a second, for long.")
    builds_burst: int = Field(5000, ge=1, description="Builds that a project may create at once, beyond that rate.")
    connection_hold_seconds: Seconds = Field(4, description="How long the depot CLI's question is held open.")
    gateway_wait_seconds: Seconds = Field(30, description="How long calls wait at the gateway for the API.")

    @field_validator("project_privileges", mode="before")
    @classmethod
    def _privileges_from_json(cls, value: object) -> object:
        return from_json(value)
