"""What is kept of builds, and of logs."""

from __future__ import annotations

from pydantic import Field

from stoker.settings.group import Seconds, SettingsGroup


class RecordSettings(SettingsGroup):
    """What is kept of builds, and of logs."""

    max_step_log_bytes: int = Field(
        16 * 1024 * 1024, ge=-1, le=2**31 - 1, description="Most that is kept of a step's output; -1 for all of it."
    )
    max_step_log_bytes_per_second: int = Field(
        1024 * 1024, ge=-1, le=2**31 - 1, description="The same of each second; -1 for all of it."
    )
    max_log_bytes: int = Field(16 * 1024 * 1024, ge=64 * 1024, description="Largest log file; two of each are kept.")
    record_builds: bool = Field(default=True, description="Record steps and logs of builds.")
    record_days: float = Field(30, gt=0, le=3660, description="How long steps and logs of ended builds are kept.")
    record_step_log_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, description="How much is kept of a step's log; the record says what was dropped."
    )
    record_build_log_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="How much is kept of a build's logs.")
    record_steps: int = Field(20_000, ge=1, le=1_000_000, description="How many steps of a build are kept.")
    record_build_bytes: int = Field(
        32 * 1024 * 1024, ge=64 * 1024, description="How much is kept of a build's steps, warnings and Dockerfiles."
    )
    record_warnings: int = Field(1000, ge=1, le=10_000, description="How many warnings of a build are kept.")
    record_dockerfiles: int = Field(100, ge=1, le=10_000, description="How many Dockerfiles of a build are kept.")
    record_reported_steps: int = Field(
        1000, ge=1, le=100_000, description="How many steps are kept that a build's client reports of its own work."
    )
    record_reported_bytes: int = Field(
        8 * 1024 * 1024, ge=64 * 1024, description="How much is kept of what a build's client reports, and of its logs."
    )
    record_report_seconds: float = Field(
        120, ge=0, le=86_400, description="How long after a build's end its own token may still report of it."
    )
    record_dockerfile_bytes: int = Field(1024 * 1024, ge=1024, description="The largest Dockerfile that is kept.")
    record_attestation_bytes: int = Field(
        8 * 1024 * 1024, ge=0, description="How much is kept of a build's provenance and SBOMs; 0 for nothing."
    )
    record_interval_seconds: float = Field(
        0.25, ge=0.01, le=60, description="Time between two writes of what a build does."
    )
    record_pending_bytes: int = Field(
        1024 * 1024, ge=1024, description="How much of a build's logs waits in memory to be written."
    )
    record_reconnect_seconds: Seconds = Field(
        30, description="How long a machine is tried that can't be reached while its builds are recorded."
    )
    record_drain_seconds: Seconds = Field(5, description="How long a build is recorded after its end.")
    max_followed_solves: int = Field(1000, ge=1, description="Solves that are recorded at once; others wait.")
    max_followed_solves_per_project: int = Field(400, ge=1, description="The same of one project.")
    max_followed_solves_per_build: int = Field(200, ge=1, description="The same of one build.")
