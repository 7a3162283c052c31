"""Addresses that are not on the internet: one table for webhooks, for the machines' firewall, and for hints.

The rows are those of IANA's registries of special-purpose addresses that are not globally reachable, or of which the
registry can't say it (deprecated ones). Python's `ipaddress` has such a table too, but it is as old as the interpreter.

- https://www.iana.org/assignments/iana-ipv4-special-registry (RFC 6890)
- https://www.iana.org/assignments/iana-ipv6-special-registry (RFC 6890)
- https://www.iana.org/assignments/multicast-addresses, https://www.iana.org/assignments/ipv6-address-space
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REGISTRIES_OF = date(2025, 10, 9)
"""The date of the registries that the tables were taken from."""


@dataclass(frozen=True, slots=True)
class SpecialRange:
    """A range of addresses with the name and the source that its registry gives."""

    network: Network
    name: str
    source: str


def _old(network: str, name: str, source: str) -> SpecialRange:
    return SpecialRange(IPv4Network(network), name, source)


def _new(network: str, name: str, source: str) -> SpecialRange:
    return SpecialRange(IPv6Network(network), name, source)


# Anycast addresses within 192.0.0.0/24 (RFC 7723, RFC 8155) are globally reachable by the registry, but whoever
# answers there is the nearest router. So the range is taken as a whole, and likewise 2001::/23.
SPECIAL_IPV4 = (
    _old("0.0.0.0/8", "this network", "RFC 791"),
    _old("10.0.0.0/8", "private use", "RFC 1918"),
    _old("100.64.0.0/10", "shared address space", "RFC 6598"),
    _old("127.0.0.0/8", "loopback", "RFC 1122"),
    _old("169.254.0.0/16", "link local", "RFC 3927"),
    _old("172.16.0.0/12", "private use", "RFC 1918"),
    _old("192.0.0.0/24", "protocol assignments", "RFC 6890"),
    _old("192.0.0.0/29", "IPv4 service continuity", "RFC 7335"),
    _old("192.0.0.8/32", "dummy address", "RFC 7600"),
    _old("192.0.0.170/32", "NAT64 discovery", "RFC 8880"),
    _old("192.0.0.171/32", "NAT64 discovery", "RFC 8880"),
    _old("192.0.2.0/24", "documentation", "RFC 5737"),
    _old("192.88.99.0/24", "6to4 relay, deprecated", "RFC 7526"),
    _old("192.88.99.2/32", "6a44 relay", "RFC 6751"),
    _old("192.168.0.0/16", "private use", "RFC 1918"),
    _old("198.18.0.0/15", "benchmarking", "RFC 2544"),
    _old("198.51.100.0/24", "documentation", "RFC 5737"),
    _old("203.0.113.0/24", "documentation", "RFC 5737"),
    _old("224.0.0.0/4", "multicast", "RFC 5771"),
    _old("240.0.0.0/4", "reserved", "RFC 1112"),
    _old("255.255.255.255/32", "limited broadcast", "RFC 8190"),
)
SPECIAL_IPV6 = (
    _new("::/128", "unspecified", "RFC 4291"),
    _new("::1/128", "loopback", "RFC 4291"),
    _new("::/96", "IPv4-compatible, deprecated", "RFC 4291"),
    _new("::ffff:0:0/96", "IPv4-mapped", "RFC 4291"),
    _new("64:ff9b:1::/48", "NAT64 of a network of its own", "RFC 8215"),
    _new("100::/64", "discard only", "RFC 6666"),
    _new("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    _new("2001::/23", "protocol assignments", "RFC 2928"),
    _new("2001::/32", "Teredo", "RFC 4380"),
    _new("2001:2::/48", "benchmarking", "RFC 5180"),
    _new("2001:10::/28", "ORCHID, deprecated", "RFC 4843"),
    _new("2001:db8::/32", "documentation", "RFC 3849"),
    _new("2002::/16", "6to4, deprecated", "RFC 3056"),
    _new("3fff::/20", "documentation", "RFC 9637"),
    _new("5f00::/16", "SRv6 segment identifiers", "RFC 9602"),
    _new("fc00::/7", "unique local", "RFC 4193"),
    _new("fe80::/10", "link local", "RFC 4291"),
    _new("fec0::/10", "site local, deprecated", "RFC 3879"),
    _new("ff00::/8", "multicast", "RFC 4291"),
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The only part of IPv6 from which IANA gives out addresses of the internet (RFC 4291)."""

NAT64 = IPv6Network("64:ff9b::/96")
"""Addresses that stand for that of IPv4 in their last four bytes (RFC 6052)."""


def is_public(address: Address) -> bool:
    """Whether an address is on the internet, and not in a special range.

    An address of IPv6 that stands for one of IPv4 is judged by that one.
    """
    if isinstance(address, IPv4Address):
        return not any(address in one.network for one in SPECIAL_IPV4)
    embedded = embedded_address(address)
    if embedded is not None:
        return is_public(embedded)
    return address in GLOBAL_UNICAST and not any(address in one.network for one in SPECIAL_IPV6)


def embedded_address(address: Address) -> IPv4Address | None:
    """The address of IPv4 that a connection to one of IPv6 may end at: mapped, and through NAT64."""
    if isinstance(address, IPv4Address):
        return None
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address.ipv4_mapped


def special_ranges() -> tuple[tuple[IPv4Network, ...], tuple[IPv6Network, ...]]:
    """Everything that is not the internet, as few networks of each version that don't overlap, for a firewall.

    NAT64 is among them: a packet filter can't look into an address.
    """
    old = collapse_addresses(one.network for one in SPECIAL_IPV4 if isinstance(one.network, IPv4Network))
    outside = IPv6Network("::/0").address_exclude(GLOBAL_UNICAST)
    new = collapse_addresses([*outside, *(one.network for one in SPECIAL_IPV6 if isinstance(one.network, IPv6Network))])
    return tuple(old), tuple(new)
