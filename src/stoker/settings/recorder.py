"""How running builds are followed to record them."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT, Seconds


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RecorderSettings:
    """How running builds are followed to record them."""

    record_interval_seconds: float = Field(
        default=0.25, ge=0.01, le=60, description="Time between two writes of what a build does."
    )
    record_pending_bytes: int = Field(
        default=1024 * 1024, ge=1024, description="How much of a build's logs waits in memory to be written."
    )
    record_reconnect_seconds: Seconds = Field(
        default=30, description="How long a machine is tried that can't be reached while its builds are recorded."
    )
    record_drain_seconds: Seconds = Field(default=5, description="How long a build is recorded after its end.")
    max_followed_solves: int = Field(default=1000, ge=1, description="Solves that are recorded at once; others wait.")
    max_followed_solves_per_project: int = Field(default=400, ge=1, description="The same of one project.")
    max_followed_solves_per_build: int = Field(default=200, ge=1, description="The same of one build.")
