"""The files that tell the next server which processes this one started, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The names of a server's files in its ``run`` folder."""

    folder: Path

    @property
    def plan(self) -> Path:
        """What the API process is given."""
        return self.folder / "plan.json"

    @property
    def api(self) -> Path:
        """The configuration of the API's Envoy."""
        return self.folder / "api-envoy.json"

    @property
    def api_address(self) -> Path:
        """Where the API listens."""
        return self.folder / "api.address"

    @property
    def api_process(self) -> Path:
        """The newest API process."""
        return self.folder / "api.json"

    @property
    def api_predecessor(self) -> Path:
        """The API process before it, which may still answer calls."""
        return self.folder / "api-before.json"

    @property
    def gateway(self) -> Path:
        """The configuration of the gateway's Envoy."""
        return self.folder / "gateway-envoy.json"

    @property
    def gateway_address(self) -> Path:
        """Where the gateway listens."""
        return self.folder / "gateway.address"

    @property
    def gateway_process(self) -> Path:
        """The gateway's process."""
        return self.folder / "gateway.json"
