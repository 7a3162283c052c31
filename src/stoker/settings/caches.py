"""Projects, their caches, and the place where those are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from stoker.domain.cache_policy import GIGABYTE, MAX_KEEP_BYTES, MIN_KEEP_BYTES
from stoker.settings.group import Seconds, SettingsGroup

_SMALLEST_IMAGE = 256 * 1024**2


class CacheSettings(SettingsGroup):
    """Projects, their caches, and the place where those are kept."""

    min_keep_bytes: int = Field(MIN_KEEP_BYTES, ge=1, description="The smallest cache policy that a project may have.")
    max_keep_bytes: int = Field(
        1024 * GIGABYTE, ge=1, le=MAX_KEEP_BYTES, description="The largest cache policy that a project may be given."
    )
    max_organization_keep_bytes: int = Field(
        MAX_KEEP_BYTES, ge=1, description="What the cache policies of an organization's projects may keep together."
    )
    untrusted_disk_percent: float = Field(
        50, gt=0, le=100, description="Part of what is free that a project's untrusted builds may write together."
    )
    max_projects: int = Field(100_000, ge=1, description="Projects that an organization may have.")
    max_project_tokens: int = Field(1000, ge=1, description="Tokens that a project may have.")
    housekeeping_seconds: Seconds = Field(5, description="Pause between two times that a machine drops surplus cache.")
    max_processes: int = Field(
        10_000, ge=200, le=4_000_000, description="Processes and threads of a machine with all its steps."
    )
    volume_store: Literal["auto", "btrfs-image", "btrfs", "directory"] = Field(
        "auto", description="How caches are kept: btrfs in an image file or on a mounted btrfs, or directories."
    )
    volume_image_bytes: int = Field(
        0, ge=0, description="Size of the image file, which grows with this; 0 for most of what is free at first."
    )
    volume_headroom_bytes: int = Field(
        10 * 1000**3, ge=64 * 1024**2, description="What a volume may hold above its project's cache policy."
    )
    min_free_bytes: int = Field(2 * 1000**3, ge=0, description="Free space below which no more builds are taken.")
    min_free_percent: float = Field(5, ge=0, le=100, description="The same in percent; the smaller of the two counts.")
    allow_unisolated: bool = Field(
        default=False, description="Serve where RUN steps can't be kept apart from the host's networks."
    )
    max_parallelism: int = Field(0, ge=0, description="Steps that a machine runs at once; 0 for one a CPU of its size.")

    @field_validator("volume_image_bytes")
    @classmethod
    def _large_enough(cls, value: int) -> int:
        if 0 < value < _SMALLEST_IMAGE:
            raise ValueError(f"it must be 0, or {_SMALLEST_IMAGE} (256 MiB) at least")
        return value
