"""What RUN steps may reach: the internet and the host's name servers, and nothing else.

One nftables table per server, of the family ``inet``, for both versions of IP. Machines are elements of its sets:
starting one adds no rule. Nobody else's tables are touched.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stoker.runtimes.errors import HostUnfit, RuntimeFailed
from stoker.runtimes.process.commands import find_program, last_line, run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv6Address

    from stoker.domain.privileges import Network, Privileges
    from stoker.runtimes.process.bridges import Bridge

# From IANA's special-purpose registries (RFC 6890): whatever is not the internet.
PRIVATE_RANGES = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
# All but 2000::/3, which alone is given out, and what is in there for special uses: protocols such as Teredo, and 6to4,
# whose addresses hold IPv4 ones, private ones too. Outside are those of NAT64, for the same reason.
PRIVATE_RANGES_IPV6 = ("::/3", "2001::/23", "2002::/16", "4000::/2", "8000::/1")
_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
# What a neighbour on the bridge has to be asked and answered (RFC 4861), without which IPv6 reaches nobody.
_NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255"
_PER_MACHINE = ("sources", "project_denied", "project_allowed")


def ruleset(table: str, allowed: Iterable[Network], denied: Iterable[Network] = ()) -> str:
    """The server's table, as a script for nft that can be run again at any time and changes everything at once."""
    filled = _networks(table, "allowed", allowed) + _networks(table, "denied", denied)
    filled += _elements(table, "private", PRIVATE_RANGES) + _elements(table, "private6", PRIVATE_RANGES_IPV6)
    return f"""
add table inet {table}
add set inet {table} machines {{ type ifname; }}
{_sets(table)}
add chain inet {table} refuse
add chain inet {table} from_machine
add chain inet {table} to_host
add chain inet {table} forward {{ type filter hook forward priority filter - 10; policy accept; }}
add chain inet {table} input {{ type filter hook input priority filter - 10; policy accept; }}
add chain inet {table} postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
flush chain inet {table} refuse
flush chain inet {table} from_machine
flush chain inet {table} to_host
flush chain inet {table} forward
flush chain inet {table} input
flush chain inet {table} postrouting
{filled}
add rule inet {table} refuse meta l4proto tcp reject with tcp reset
add rule inet {table} refuse reject with icmpx type admin-prohibited
add rule inet {table} from_machine ct state invalid drop
add rule inet {table} from_machine iifname . ip saddr != @sources drop
add rule inet {table} from_machine iifname . ip6 saddr != @sources6 drop
add rule inet {table} from_machine ct state established,related accept
add rule inet {table} from_machine oifname @machines jump refuse
{_decisions(table)}
add rule inet {table} from_machine accept
add rule inet {table} to_host ct state established,related accept
add rule inet {table} to_host ip daddr @resolvers meta l4proto {{ tcp, udp }} th dport 53 accept
add rule inet {table} to_host ip6 daddr @resolvers6 meta l4proto {{ tcp, udp }} th dport 53 accept
add rule inet {table} to_host {_NEIGHBOURS} accept
add rule inet {table} to_host meta pkttype host jump refuse
add rule inet {table} to_host drop
add rule inet {table} forward iifname @machines jump from_machine
add rule inet {table} forward oifname @machines ct state established,related accept
add rule inet {table} forward oifname @machines drop
add rule inet {table} input iifname @machines jump to_host
add rule inet {table} postrouting iifname @machines oifname != @machines masquerade
"""


def _sets(table: str) -> str:
    """Every set twice: nftables has no type that holds addresses of both versions."""
    lines: list[str] = []
    for suffix, kind in (("", "ipv4_addr"), ("6", "ipv6_addr")):
        lines += [f"add set inet {table} resolvers{suffix} {{ type {kind}; }}"]
        for name in _PER_MACHINE:
            lines += [f"add set inet {table} {name}{suffix} {{ type ifname . {kind}; flags interval; }}"]
        for name in ("allowed", "denied", "private"):
            lines += [f"add set inet {table} {name}{suffix} {{ type {kind}; flags interval; auto-merge; }}"]
            lines += [f"flush set inet {table} {name}{suffix}"]
    return "\n".join(lines)


def _decisions(table: str) -> str:
    """The first that says something counts: a project's own rules, the server's, what is not the internet."""
    lines: list[str] = []
    for suffix, header in (("", "ip"), ("6", "ip6")):
        lines += [
            f"{header} daddr @resolvers{suffix} meta l4proto {{ tcp, udp }} th dport 53 accept",
            f"iifname . {header} daddr @project_denied{suffix} jump refuse",
            f"iifname . {header} daddr @project_allowed{suffix} accept",
            f"{header} daddr @denied{suffix} jump refuse",
            f"{header} daddr @allowed{suffix} accept",
            f"{header} daddr @private{suffix} jump refuse",
        ]
    return "\n".join(f"add rule inet {table} from_machine {line}" for line in lines)


class Firewall:
    """The nftables table of one server."""

    def __init__(self, server_id: str, allowed: tuple[Network, ...], denied: tuple[Network, ...] = ()) -> None:
        self.table = f"stoker_{server_id}"
        self._rules = ruleset(self.table, allowed, denied)

    def prepare(
        self,
        machines: Iterable[tuple[Bridge, Privileges]],
        resolvers: tuple[IPv4Address | IPv6Address, ...],
    ) -> None:
        """Make the table, or bring it up to date with the machines that are there, and let the host pass packets on.

        Raises:
            HostUnfit: nftables or forwarding can't be had.
        """
        try:
            names = ("machines", *(f"{name}{suffix}" for name in _PER_MACHINE for suffix in ("", "6")))
            script = "".join(f"flush set inet {self.table} {name}\n" for name in names)
            script += "".join(self._admission(bridge, privileges) for bridge, privileges in machines)
            self._nft(self._rules + script + self._name_servers(resolvers))
            if _IP_FORWARD.read_text().strip() != "1":
                _IP_FORWARD.write_text("1")
        except (RuntimeFailed, OSError) as error:
            raise HostUnfit(f"RUN steps can't be given a network ({error}); run as root with nftables") from error

    def admit(self, bridge: Bridge, privileges: Privileges, resolvers: tuple[IPv4Address | IPv6Address, ...]) -> None:
        """Put a bridge under the table's rules, and bring the name servers up to date.

        Raises:
            RuntimeFailed: it could not be done.
        """
        script = self._name_servers(resolvers) + self._admission(bridge, privileges)
        try:
            self._nft(script)
        except RuntimeFailed:
            # Somebody flushed the host's rules.
            self._nft(self._rules + script)

    def forget(self, bridge_name: str) -> None:
        """Take a bridge out of the sets. One that isn't there is a success.

        Raises:
            RuntimeFailed: it could not be done.
        """
        if not self._exists():
            return
        script = (
            # Deleting what isn't there would fail; adding first makes it a success.
            f'add element inet {self.table} machines {{ "{bridge_name}" }}\n'
            f'delete element inet {self.table} machines {{ "{bridge_name}" }}\n'
        )
        for name, elements in self._listed().items():
            of_bridge = [element for element in elements if element.startswith(f'"{bridge_name}" ')]
            script += "".join(f"delete element inet {self.table} {name} {{ {element} }}\n" for element in of_bridge)
        self._nft(script)

    def bridges(self) -> frozenset[str]:
        """The names of the bridges that the table knows."""
        sources = self._listed().get("sources", []) if self._exists() else []
        return frozenset(source.split('"')[1] for source in sources)

    def release(self) -> None:
        """Remove the table."""
        self._nft(f"add table inet {self.table}\ndelete table inet {self.table}\n")

    def _admission(self, bridge: Bridge, privileges: Privileges) -> str:
        subnets: list[Network] = [bridge.subnet, *([bridge.subnet6] if bridge.subnet6 else [])]
        return (
            _elements(self.table, "machines", [f'"{bridge.name}"'])
            + _networks(self.table, "sources", subnets, bridge)
            + _networks(self.table, "project_denied", privileges.denied_networks, bridge)
            + _networks(self.table, "project_allowed", privileges.allowed_networks, bridge)
        )

    def _name_servers(self, resolvers: tuple[IPv4Address | IPv6Address, ...]) -> str:
        script = ""
        for version, suffix in ((4, ""), (6, "6")):
            addresses = [str(address) for address in resolvers if address.version == version]
            script += f"flush set inet {self.table} resolvers{suffix}\n"
            script += _elements(self.table, f"resolvers{suffix}", addresses)
        return script

    def _exists(self) -> bool:
        # Asking for the table itself would take any failure of nft for its absence, and leave a machine's elements.
        done = run([self._program(), "-j", "list", "tables", "inet"])
        if done.returncode != 0:
            raise RuntimeFailed(f"nft: {last_line(done.stderr)}")
        listed = cast("list[dict[str, Any]]", json.loads(done.stdout)["nftables"])
        return any(item.get("table", {}).get("name") == self.table for item in listed)

    def _listed(self) -> dict[str, list[str]]:
        """The elements of the sets that have some for each machine, as nft reads them."""
        done = run([self._program(), "-j", "list", "table", "inet", self.table])
        if done.returncode != 0:
            raise RuntimeFailed(f"nft: {last_line(done.stderr)}")
        listed = cast("list[dict[str, Any]]", json.loads(done.stdout)["nftables"])
        sets = [item["set"] for item in listed if "set" in item]
        return {
            one["name"]: [_element(*element["concat"]) for element in one.get("elem", [])]
            for one in sets
            if one["name"].removesuffix("6") in _PER_MACHINE
        }

    def _nft(self, script: str) -> None:
        done = run([self._program(), "-f", "-"], script)
        if done.returncode != 0:
            raise RuntimeFailed(f"nft: {_first_error(done.stderr)}")

    def _program(self) -> str:
        return find_program("nft", package="nftables")


def _first_error(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if "Error" in line), last_line(text))


def _elements(table: str, name: str, elements: Iterable[str]) -> str:
    listed = ", ".join(elements)
    return f"add element inet {table} {name} {{ {listed} }}\n" if listed else ""


def _networks(table: str, name: str, networks: Iterable[Network], bridge: Bridge | None = None) -> str:
    """Fill a set and its twin for IPv6; elements that overlap would be refused."""
    key = "" if bridge is None else f'"{bridge.name}" . '
    listed = list(networks)
    old = collapse_addresses(network for network in listed if isinstance(network, IPv4Network))
    new = collapse_addresses(network for network in listed if isinstance(network, IPv6Network))
    return _elements(table, name, [f"{key}{network}" for network in old]) + _elements(
        table, f"{name}6", [f"{key}{network}" for network in new]
    )


def _element(bridge_name: str, network: str | dict[str, Any]) -> str:
    if isinstance(network, str):
        return f'"{bridge_name}" . {network}'
    if "range" in network:
        return f'"{bridge_name}" . {"-".join(network["range"])}'
    return f'"{bridge_name}" . {network["prefix"]["addr"]}/{network["prefix"]["len"]}'
