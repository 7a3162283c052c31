"""What builds may ask of the gateway."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.domain.rates import Rate
from stoker.settings.group import STRICT, Seconds


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GatewaySettings:
    """What builds may ask of the gateway."""

    gateway_wait_seconds: Seconds = Field(default=30, description="How long calls wait at the gateway for the API.")
    max_gateway_calls_per_build: int = Field(
        default=1000, ge=1, description="Calls of one build at the gateway that wait for the server's answer at once."
    )
    max_solves_per_build: int = Field(default=10_000, ge=1, description="Solves that one build may begin in all.")
    solves_per_second: float = Field(
        default=5, gt=0, le=100_000, description="Solves that one build may begin a second, for long."
    )
    solves_burst: int = Field(
        default=600,
        ge=1,
        description="Solves that one build may begin at once, beyond that rate; a bake has one a target.",
    )
    max_solve_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, description="Largest Solve request at the gateway.")
    max_unfinished_bytes_per_build: int = Field(
        default=64 * 1024 * 1024,
        ge=64 * 1024,
        description="How much each thread of the gateway keeps of one build's Solve requests until they have arrived.",
    )
    gateway_request_seconds: float = Field(
        default=60, gt=0, le=3600, description="How long a request at the gateway may take to arrive."
    )
    gateway_calls_per_second: float = Field(
        default=100, gt=0, le=100_000, description="Calls of one build at the gateway a second, for long."
    )
    gateway_calls_burst: int = Field(default=10_000, ge=1, description="Calls of one build at once, beyond that rate.")
    max_gateway_streams: int = Field(
        default=2000,
        ge=10,
        le=100_000,
        description="Calls under way on one connection to the gateway; a bake has some a target.",
    )
    max_gateway_connections: int = Field(default=50_000, ge=1, description="Connections to the gateway at once.")
    gateway_idle_seconds: float = Field(
        default=300, ge=1, le=86_400, description="How long a connection to the gateway without calls is kept."
    )
    max_gateway_memory_bytes: int = Field(
        default=2 * 1024**3,
        ge=256 * 1024**2,
        description="Memory of the gateway, close to which it ends the largest calls.",
    )

    @property
    def solve_rate(self) -> Rate:
        """How many solves one build may begin."""
        return Rate(self.solves_per_second, self.solves_burst)
