"""The name servers that RUN steps may ask, which buildkitd hands to them, and those that it asks itself."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESOLV_CONF = Path("/etc/resolv.conf")
_SYSTEMD_UPSTREAM = Path("/run/systemd/resolve/resolv.conf")
_SYSTEMD_STUB = IPv4Address("127.0.0.53")


def host_resolvers(
    resolv_conf: Path = _RESOLV_CONF, upstream: Path = _SYSTEMD_UPSTREAM
) -> tuple[IPv4Address | IPv6Address, ...]:
    """Addresses of the host's name servers that can be reached from a step.

    Like BuildKit, looks at systemd-resolved's own upstream servers when its stub is the only one configured. Loopback
    addresses are left out: in a step they are the step's own. So are those of a link: steps have another.
    """
    servers = _name_servers(resolv_conf)
    if servers == (_SYSTEMD_STUB,):
        servers = _name_servers(upstream)
    return tuple(
        server for server in servers if not server.is_loopback and not (server.version == 6 and server.is_link_local)
    )


def resolv_conf(chosen: Sequence[IPv4Address | IPv6Address]) -> str:
    """The text of resolv.conf(5) for a machine with a network of its own."""
    return "".join(f"nameserver {server}\n" for server in chosen or host_resolvers() or engine_resolvers())


def engine_resolvers(resolv_conf: Path = _RESOLV_CONF) -> tuple[IPv4Address | IPv6Address, ...]:
    """Addresses of the name servers that programs of this host ask: without any, the host itself (resolv.conf(5))."""
    servers = _name_servers(resolv_conf) or (IPv4Address("127.0.0.1"), IPv6Address("::1"))
    # A link-local address names its link too, which nftables doesn't understand.
    return tuple(IPv6Address(int(server)) if server.version == 6 else server for server in servers)


def _name_servers(file: Path) -> tuple[IPv4Address | IPv6Address, ...]:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    found = [_address(line[1]) for line in words if len(line) >= 2 and line[0] == "nameserver"]
    return tuple(dict.fromkeys(address for address in found if address is not None))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
