"""Machines as processes of this host: their networks, users, limits and volumes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, IPvAnyAddress, IPvAnyNetwork, field_validator
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT

_SMALLEST_IMAGE = 256 * 1024**2
_SMALLEST_MEMORY = 256 * 1024**2


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ProcessRuntimeSettings:
    """Machines as processes of this host: their networks, users, limits and volumes."""

    network_pool: str = Field(default="10.210.0.0/16", description="IPv4 range from which machines get their networks.")
    network_ipv6: bool = Field(default=True, description="Give RUN steps IPv6 where the host has it.")
    allowed_networks: tuple[IPvAnyNetwork, ...] = Field(
        default=(), description="Private ranges that RUN steps may reach nevertheless, such as 10.20.0.0/16."
    )
    denied_networks: tuple[IPvAnyNetwork, ...] = Field(
        default=(),
        description="More ranges that RUN steps and webhooks may not reach; they count before allowed_networks.",
    )
    name_servers: tuple[IPvAnyAddress, ...] = Field(
        default=(), description="Name servers that RUN steps ask, instead of the host's own."
    )
    allow_unisolated: bool = Field(
        default=False, description="Serve where RUN steps can't be kept apart from the host's networks."
    )
    user_namespaces: Literal["auto", "off", "require"] = Field(
        default="auto",
        description="Run each machine in a user namespace of its own: where the host can, never, or always.",
    )
    first_user_id: int = Field(
        default=0x7000_0000, ge=65_536, le=2**32 - 2 * 65_536, description="Where the host's ids for machines begin."
    )
    max_user_id_ranges: int = Field(
        default=4095, ge=1, le=65_000, description="Machines on this host that may have ids there at once, 65,536 each."
    )
    max_machine_connections: int = Field(
        default=10_000,
        ge=10,
        le=1_000_000,
        description="Connections of a machine's RUN steps at once, as the host tracks them; and of BuildKit for it.",
    )
    max_machine_cpus: int = Field(
        default=0, ge=0, le=65_536, description="CPUs that a machine gets at most; 0 for as many as the host has."
    )
    max_machine_memory_bytes: int = Field(
        default=0, ge=0, description="Memory that a machine gets at most; 0 for as much as the host can give it."
    )
    max_processes: int = Field(
        default=10_000, ge=200, le=4_000_000, description="Processes and threads of a machine with all its steps."
    )
    max_parallelism: int = Field(
        default=0, ge=0, description="Steps that a machine runs at once; 0 for one a CPU of its size."
    )
    max_step_log_bytes: int = Field(
        default=16 * 1024 * 1024,
        ge=-1,
        le=2**31 - 1,
        description="Most that is kept of a step's output; -1 for all of it.",
    )
    max_step_log_bytes_per_second: int = Field(
        default=1024 * 1024, ge=-1, le=2**31 - 1, description="The same of each second; -1 for all of it."
    )
    volume_store: Literal["auto", "btrfs-image", "btrfs", "directory"] = Field(
        default="auto", description="How caches are kept: btrfs in an image file or on a mounted btrfs, or directories."
    )
    volume_image_bytes: int = Field(
        default=0,
        ge=0,
        description="Size of the image file, which grows with this; 0 for most of what is free at first.",
    )
    volume_headroom_bytes: int = Field(
        default=10 * 1000**3, ge=64 * 1024**2, description="What a volume may hold above its project's cache policy."
    )
    untrusted_disk_percent: float = Field(
        default=50,
        gt=0,
        le=100,
        description="Part of what is free that a project's untrusted builds may write together.",
    )
    min_free_bytes: int = Field(
        default=2 * 1000**3, ge=0, description="Free space below which no more builds are taken."
    )
    min_free_percent: float = Field(
        default=5, ge=0, le=100, description="The same in percent; the smaller of the two counts."
    )

    @field_validator("max_machine_memory_bytes")
    @classmethod
    def _enough_memory(cls, value: int) -> int:
        if 0 < value < _SMALLEST_MEMORY:
            raise ValueError(f"it must be 0, or {_SMALLEST_MEMORY} (256 MiB) at least")
        return value

    @field_validator("volume_image_bytes")
    @classmethod
    def _large_enough(cls, value: int) -> int:
        if 0 < value < _SMALLEST_IMAGE:
            raise ValueError(f"it must be 0, or {_SMALLEST_IMAGE} (256 MiB) at least")
        return value
