"""The nftables table of one server, as scripts for nft: what RUN steps, and BuildKit itself, may reach.

Of the family ``inet``, for both versions of IP. Machines are elements of its sets, so starting one adds no rule. What
a step sends comes from the machine's bridge. What BuildKit fetches for a build (``ADD``, base images, git, caches) it
requests from the host's own network namespace. The cgroup of its sockets says for which machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses
from typing import TYPE_CHECKING

from stoker.domain.special_addresses import special_ranges
from stoker.runtimes.process.host.cgroups import ENGINE_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stoker.domain.privileges import Network, Privileges
    from stoker.runtimes.process.network.bridges import Bridge

Address = IPv4Address | IPv6Address

# Whatever is not the internet.
PRIVATE_RANGES, PRIVATE_RANGES_IPV6 = (tuple(map(str, ranges)) for ranges in special_ranges())
# What a neighbour on the bridge has to be asked and answered (RFC 4861), without which IPv6 reaches nobody.
_NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255"
# Every packet of the host comes by here, those between the gateway and machines too: most are through before a set is
# looked into.
_PASSED_EARLY = """\
add rule inet {table} input iif lo accept
add rule inet {table} output ct state established,related accept"""
# By a machine's bridge, and by the cgroup of its engine.
OF_BRIDGES = ("sources", "engine_sources", "hosts", "project_denied", "project_allowed")
OF_ENGINES = ("engine_denied", "engine_allowed")
_BRIDGE, _ENGINE = "iifname", f"socket cgroupv2 level {ENGINE_DEPTH}"
# The kernel walks through a machine's connections for a new one, so these may not come as fast as they can: that many
# at once, and then a fifth of it each second.
_NEW_PART = 5


@dataclass(frozen=True, slots=True)
class Admission:
    """A machine that the table is to know.

    Attributes:
        bridge: what its steps are attached to.
        engine: its engine's cgroup, as nft names it.
        privileges: what its project may reach beyond or short of what all may.
        reaches_loopback: whether the host's address on its link stands for the host's loopback address.
    """

    bridge: Bridge
    engine: str
    privileges: Privileges
    reaches_loopback: bool = False


@dataclass(frozen=True, slots=True)
class Services:
    """What is let through wherever it is.

    Attributes:
        resolvers: name servers of steps.
        engine_resolvers: those that BuildKit asks itself.
        proxies: addresses and ports of the proxies through which it fetches.
    """

    resolvers: tuple[Address, ...] = ()
    engine_resolvers: tuple[Address, ...] = ()
    proxies: frozenset[tuple[Address, int]] = field(default_factory=frozenset[tuple[Address, int]])


def ruleset(table: str, allowed: Iterable[Network], denied: Iterable[Network], max_connections: int) -> str:
    """The server's table, as a script for nft that can be run again at any time and changes everything at once.

    Args:
        table: its name.
        allowed: private ranges that machines may reach.
        denied: other ranges that they may not.
        max_connections: what one machine's steps, and its engine, may have in the host's table of connections.
    """
    filled = _networks(table, "allowed", allowed) + _networks(table, "denied", denied)
    filled += _elements(table, "private", PRIVATE_RANGES) + _elements(table, "private6", PRIVATE_RANGES_IPV6)
    chains = ("refuse", "step_flows", "engine_flows", "from_machine", "to_host", "engine_to_host", "from_engine")
    chains += ("prerouting", "forward", "input", "output", "postrouting")
    return f"""
add table inet {table}
add set inet {table} machines {{ type ifname; }}
add set inet {table} engines {{ type cgroupsv2; }}
{_sets(table)}
{_counters(table)}
add chain inet {table} refuse
add chain inet {table} step_flows
add chain inet {table} engine_flows
add chain inet {table} from_machine
add chain inet {table} to_host
add chain inet {table} engine_to_host
add chain inet {table} from_engine
add chain inet {table} prerouting {{ type nat hook prerouting priority dstnat; policy accept; }}
add chain inet {table} forward {{ type filter hook forward priority filter - 10; policy accept; }}
add chain inet {table} input {{ type filter hook input priority filter - 10; policy accept; }}
add chain inet {table} output {{ type filter hook output priority filter - 10; policy accept; }}
add chain inet {table} postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
{_lines(f"flush chain inet {table} {chain}" for chain in chains)}
{filled}
add rule inet {table} refuse meta l4proto tcp reject with tcp reset
add rule inet {table} refuse reject with icmpx type admin-prohibited
{_bounds(table, "step_flows", _BRIDGE, max_connections)}
{_bounds(table, "engine_flows", _ENGINE, max_connections)}
add rule inet {table} from_machine ct state invalid drop
add rule inet {table} from_machine iifname . ip saddr != @sources drop
add rule inet {table} from_machine iifname . ip6 saddr != @sources6 drop
add rule inet {table} from_machine ct state established,related accept
add rule inet {table} from_machine oifname @machines jump refuse
add rule inet {table} from_machine jump step_flows
add rule inet {table} from_machine iifname . ip saddr @engine_sources ip daddr . tcp dport @proxies accept
add rule inet {table} from_machine iifname . ip6 saddr @engine_sources6 ip6 daddr . tcp dport @proxies6 accept
{_decisions(table, "from_machine", _BRIDGE, "project", "resolvers")}
add rule inet {table} from_machine accept
add rule inet {table} to_host ct state established,related accept
add rule inet {table} to_host jump step_flows
add rule inet {table} to_host ip daddr @resolvers meta l4proto {{ tcp, udp }} th dport 53 accept
add rule inet {table} to_host ip6 daddr @resolvers6 meta l4proto {{ tcp, udp }} th dport 53 accept
add rule inet {table} to_host {_NEIGHBOURS} accept
add rule inet {table} to_host iifname . ip saddr @engine_sources jump engine_to_host
add rule inet {table} to_host iifname . ip6 saddr @engine_sources6 jump engine_to_host
add rule inet {table} to_host meta pkttype host jump refuse
add rule inet {table} to_host drop
add rule inet {table} from_engine jump engine_flows
add rule inet {table} engine_to_host ip daddr . tcp dport @proxies accept
add rule inet {table} engine_to_host ip6 daddr . tcp dport @proxies6 accept
{_decisions(table, "engine_to_host", _BRIDGE, "project", "engine_resolvers")}
add rule inet {table} from_engine oifname @machines jump refuse
add rule inet {table} from_engine ip daddr . tcp dport @proxies accept
add rule inet {table} from_engine ip6 daddr . tcp dport @proxies6 accept
{_decisions(table, "from_engine", _ENGINE, "engine", "engine_resolvers")}
add rule inet {table} from_engine fib daddr type local jump refuse
add rule inet {table} prerouting iifname . ip daddr @hosts dnat ip to 127.0.0.1
add rule inet {table} forward iifname @machines jump from_machine
add rule inet {table} forward oifname @machines ct state established,related accept
add rule inet {table} forward oifname @machines drop
{_PASSED_EARLY.format(table=table)}
add rule inet {table} input iifname @machines jump to_host
add rule inet {table} output {_ENGINE} @engines jump from_engine
add rule inet {table} postrouting iifname @machines oifname != @machines masquerade
"""


def emptied(table: str) -> str:
    """Take every machine out of the table."""
    names = ["machines", "engines", *(f"{name}{suffix}" for name in (*OF_BRIDGES, *OF_ENGINES) for suffix in ("", "6"))]
    return _lines(f"flush set inet {table} {name}" for name in names) + "\n"


def admission(table: str, admitted: Admission) -> str:
    """Put a machine under the table's rules."""
    bridge, engine, privileges = f'"{admitted.bridge.name}"', f'"{admitted.engine}"', admitted.privileges
    subnets: list[Network] = [admitted.bridge.subnet, *([admitted.bridge.subnet6] if admitted.bridge.subnet6 else [])]
    return (
        _elements(table, "machines", [bridge])
        + _networks(table, "sources", subnets, bridge)
        + _networks(table, "engine_sources", admitted.bridge.engine_networks, bridge)
        + _networks(table, "hosts", admitted.bridge.host_networks if admitted.reaches_loopback else (), bridge)
        + _networks(table, "project_denied", privileges.denied_networks, bridge)
        + _networks(table, "project_allowed", privileges.allowed_networks, bridge)
        + _of_engine(table, engine, privileges)
    )


def services(table: str, given: Services) -> str:
    """Bring what is let through everywhere up to date."""
    script = ""
    for version, suffix in ((4, ""), (6, "6")):
        for name, addresses in (("resolvers", given.resolvers), ("engine_resolvers", given.engine_resolvers)):
            script += f"flush set inet {table} {name}{suffix}\n"
            listed = [str(address) for address in addresses if address.version == version]
            script += _elements(table, f"{name}{suffix}", listed)
        script += f"flush set inet {table} proxies{suffix}\n"
        proxies = [
            f"{address} . {port}" for address, port in sorted(given.proxies, key=str) if address.version == version
        ]
        script += _elements(table, f"proxies{suffix}", proxies)
    return script


def removal(table: str, bridge_name: str, engine: str | None, privileges: Privileges) -> str:
    """Take a machine out of the sets but for what its bridge has in those with addresses."""
    bridge = f'"{bridge_name}"'
    script = _elements(table, "machines", [bridge])
    if engine is not None:
        script += _of_engine(table, f'"{engine}"', privileges)
    # Deleting what isn't there would fail; adding first makes it a success.
    return script + script.replace("add element", "delete element")


def _sets(table: str) -> str:
    """Every set twice: nftables has no type that holds addresses of both versions."""
    lines: list[str] = []
    for suffix, kind in (("", "ipv4_addr"), ("6", "ipv6_addr")):
        for name in ("resolvers", "engine_resolvers"):
            lines += [f"add set inet {table} {name}{suffix} {{ type {kind}; }}"]
        lines += [f"add set inet {table} proxies{suffix} {{ type {kind} . inet_service; }}"]
        for key, names in (("ifname", OF_BRIDGES), ("cgroupsv2", OF_ENGINES)):
            for name in names:
                lines += [f"add set inet {table} {name}{suffix} {{ type {key} . {kind}; flags interval; }}"]
        for name in ("allowed", "denied", "private"):
            lines += [f"add set inet {table} {name}{suffix} {{ type {kind}; flags interval; auto-merge; }}"]
            lines += [f"flush set inet {table} {name}{suffix}"]
    return _lines(lines)


def _counters(table: str) -> str:
    """Empty sets that count connections, with an element for each machine that has any."""
    lines: list[str] = []
    for chain, key in (("step_flows", "ifname"), ("engine_flows", "cgroupsv2")):
        lines += [
            f"add set inet {table} {chain}_held {{ type {key}; flags dynamic; }}",
            f"add set inet {table} {chain}_new {{ type {key}; flags dynamic,timeout; timeout 1m; }}",
            f"flush set inet {table} {chain}_held",
            f"flush set inet {table} {chain}_new",
        ]
    return _lines(lines)


def _bounds(table: str, chain: str, key: str, most: int) -> str:
    """Refuse what is one too many; what is refused gets no place in the host's table."""
    rate = f"limit rate over {max(most // _NEW_PART, 1)}/second burst {most} packets"
    counted = (f"update @{chain}_new {{ {key} {rate} }}", f"add @{chain}_held {{ {key} ct count over {most} }}")
    return _lines(f"add rule inet {table} {chain} ct state new {one} jump refuse" for one in counted)


def _decisions(table: str, chain: str, key: str, own: str, resolvers: str) -> str:
    """The first that says something counts: a project's own rules, the server's, what is not the internet."""
    lines: list[str] = []
    for suffix, header in (("", "ip"), ("6", "ip6")):
        lines += [
            f"{header} daddr @{resolvers}{suffix} meta l4proto {{ tcp, udp }} th dport 53 accept",
            f"{key} . {header} daddr @{own}_denied{suffix} jump refuse",
            f"{key} . {header} daddr @{own}_allowed{suffix} accept",
            f"{header} daddr @denied{suffix} jump refuse",
            f"{header} daddr @allowed{suffix} accept",
            f"{header} daddr @private{suffix} jump refuse",
        ]
    return _lines(f"add rule inet {table} {chain} {line}" for line in lines)


def _of_engine(table: str, engine: str, privileges: Privileges) -> str:
    return (
        _elements(table, "engines", [engine])
        + _networks(table, "engine_denied", privileges.denied_networks, engine)
        + _networks(table, "engine_allowed", privileges.allowed_networks, engine)
    )


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _elements(table: str, name: str, elements: Iterable[str]) -> str:
    listed = ", ".join(elements)
    return f"add element inet {table} {name} {{ {listed} }}\n" if listed else ""


def _networks(table: str, name: str, networks: Iterable[Network], of: str = "") -> str:
    """Fill a set and its twin for IPv6; elements that overlap would be refused."""
    key = f"{of} . " if of else ""
    listed = list(networks)
    old = collapse_addresses(network for network in listed if isinstance(network, IPv4Network))
    new = collapse_addresses(network for network in listed if isinstance(network, IPv6Network))
    return _elements(table, name, [f"{key}{network}" for network in old]) + _elements(
        table, f"{name}6", [f"{key}{network}" for network in new]
    )
