"""A machine's privileges as a file in its folder, so that a server that comes later knows what it was started with."""

from __future__ import annotations

import json
from ipaddress import ip_network

from stoker.domain.privileges import Entitlement, Privileges


def written_privileges(privileges: Privileges) -> str:
    """The file's text."""
    return json.dumps(
        {
            "allowed_networks": [str(network) for network in privileges.allowed_networks],
            "denied_networks": [str(network) for network in privileges.denied_networks],
            "entitlements": sorted(privileges.entitlements),
        }
    )


def read_privileges(text: str) -> Privileges:
    """Read what `written_privileges` wrote."""
    content = json.loads(text)
    return Privileges(
        allowed_networks=tuple(ip_network(network) for network in content["allowed_networks"]),
        denied_networks=tuple(ip_network(network) for network in content["denied_networks"]),
        entitlements=frozenset(Entitlement(name) for name in content["entitlements"]),
    )
