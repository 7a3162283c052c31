"""What is kept of builds."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.domain.record_limits import RecordLimits
from stoker.settings.group import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RecordSettings:
    """What is kept of builds."""

    record_builds: bool = Field(default=True, description="Record steps and logs of builds.")
    record_days: float = Field(
        default=30, gt=0, le=3660, description="How long steps and logs of ended builds are kept."
    )
    record_step_log_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        description="How much is kept of a step's log; the record says what was dropped.",
    )
    record_build_log_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="How much is kept of a build's logs."
    )
    record_steps: int = Field(default=20_000, ge=1, le=1_000_000, description="How many steps of a build are kept.")
    record_build_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=64 * 1024,
        description="How much is kept of a build's steps, warnings and Dockerfiles.",
    )
    record_warnings: int = Field(default=1000, ge=1, le=10_000, description="How many warnings of a build are kept.")
    record_dockerfiles: int = Field(
        default=100, ge=1, le=10_000, description="How many Dockerfiles of a build are kept."
    )
    record_dockerfile_bytes: int = Field(
        default=1024 * 1024, ge=1024, description="The largest Dockerfile that is kept."
    )
    record_attestation_bytes: int = Field(
        default=8 * 1024 * 1024, ge=0, description="How much is kept of a build's provenance and SBOMs; 0 for nothing."
    )
    record_reported_steps: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="How many steps are kept that a build's client reports of its own work.",
    )
    record_reported_bytes: int = Field(
        default=8 * 1024 * 1024,
        ge=64 * 1024,
        description="How much is kept of what a build's client reports, and of its logs.",
    )
    record_report_seconds: float = Field(
        default=120, ge=0, le=86_400, description="How long after a build's end its own token may still report of it."
    )

    @property
    def lifetime(self) -> timedelta:
        """How long steps and logs of ended builds are kept."""
        return timedelta(days=self.record_days)

    @property
    def report_grace(self) -> timedelta:
        """How long after a build's end its own token may still report of it."""
        return timedelta(seconds=self.record_report_seconds)

    @property
    def limits(self) -> RecordLimits:
        """How much is kept of a build."""
        return RecordLimits(
            step_log_bytes=self.record_step_log_bytes,
            build_log_bytes=self.record_build_log_bytes,
            steps=self.record_steps,
            build_bytes=self.record_build_bytes,
            warnings=self.record_warnings,
            dockerfiles=self.record_dockerfiles,
            dockerfile_bytes=self.record_dockerfile_bytes,
            attestation_bytes=self.record_attestation_bytes,
            reported_steps=self.record_reported_steps,
            reported_bytes=self.record_reported_bytes,
        )
