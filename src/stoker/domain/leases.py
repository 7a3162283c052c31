"""A lease, which is a build's expiring hold on a machine, and the endpoint at which its client reaches that machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.platforms import Platform


@dataclass(frozen=True, slots=True)
class Lease:
    """One build's hold on the machine of one platform. It is live until ``ended_at`` is set."""

    id: str
    build_id: str
    project_id: str
    platform: Platform
    machine_id: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    end_reason: str | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An active endpoint: the gateway's address, the name it proves, and the build's own certificate (PEM)."""

    address: str
    server_name: str
    certificate: str
    private_key: str
    ca_certificate: str

    def __repr__(self) -> str:
        """Without the key: endpoints end up in logs."""
        return f"Endpoint(address={self.address!r}, server_name={self.server_name!r})"
