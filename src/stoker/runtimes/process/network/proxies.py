"""The proxies through which BuildKit fetches what builds name: those that the server was started with."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.runtimes.process.network.firewall_rules import Address

VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def proxies(environment: Mapping[str, str] = os.environ) -> frozenset[tuple[Address, int]]:
    """Addresses and ports of all that the environment names, as far as their names can be resolved now."""
    found: set[tuple[Address, int]] = set()
    for name, value in environment.items():
        if name.lower() not in VARIABLES or not value:
            continue
        # Go, and curl, take a proxy without a scheme for one that speaks HTTP.
        with suppress(ValueError, OSError):
            parts = urlsplit(value if "://" in value else f"http://{value}")
            port = parts.port or _PORTS.get(parts.scheme, 80)
            answers = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
            found |= {(ip_address(str(answer[4][0]).partition("%")[0]), port) for answer in answers}
    return frozenset(found)
