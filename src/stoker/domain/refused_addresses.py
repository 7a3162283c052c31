"""Why a connection of BuildKit's may have been refused: this server keeps builds from private networks."""

from __future__ import annotations

import re
from ipaddress import ip_address

from stoker.domain.special_addresses import is_public

# How Go names a connection that was refused (net.OpError).
_REFUSED = re.compile(r"dial tcp (?:\[([0-9A-Fa-f:.]+)(?:%[^\]]*)?\]|([0-9.]+)):\d+: connect: connection refused")


def refused_address_hint(error: str | None) -> str | None:
    """What to do about the first address in a build's error that is not on the internet; None without one."""
    for match in _REFUSED.finditer(error or ""):
        try:
            address = ip_address(match[1] or match[2])
        except ValueError:
            continue
        if not is_public(address):
            return (
                f"builds reach {address}, like all addresses that aren't on the internet, only where the operator of "
                "this server names it (setting allowed_networks, or that of the project)"
            )
    return None
