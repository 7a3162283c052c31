"""An endpoint: what a client is given to reach its machine."""

from __future__ import annotations

from dataclasses import dataclass


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
