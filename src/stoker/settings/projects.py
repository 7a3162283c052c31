"""How many projects there may be, and how large their caches may be."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.domain.cache_policy import GIGABYTE, MAX_KEEP_BYTES, MIN_KEEP_BYTES
from stoker.settings.group import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ProjectSettings:
    """How many projects there may be, and how large their caches may be."""

    min_keep_bytes: int = Field(
        default=MIN_KEEP_BYTES, ge=1, description="The smallest cache policy that a project may have."
    )
    max_keep_bytes: int = Field(
        default=1024 * GIGABYTE,
        ge=1,
        le=MAX_KEEP_BYTES,
        description="The largest cache policy that a project may be given.",
    )
    max_organization_keep_bytes: int = Field(
        default=MAX_KEEP_BYTES,
        ge=1,
        description="What the cache policies of an organization's projects may keep together.",
    )
    moved_cache_hours: float = Field(
        default=24,
        ge=0,
        le=24 * 366,
        description="How long the cache of a project that was moved stays in the region where it was.",
    )
    max_projects: int = Field(default=100_000, ge=1, description="Projects that an organization may have.")
    max_project_tokens: int = Field(default=1000, ge=1, description="Tokens that a project may have.")
    max_trust_policies: int = Field(default=1000, ge=1, description="Trust policies that a project may have.")

    @property
    def moved_cache_lifetime(self) -> timedelta:
        """How long the cache of a project that was moved stays in the region where it was."""
        return timedelta(hours=self.moved_cache_hours)
