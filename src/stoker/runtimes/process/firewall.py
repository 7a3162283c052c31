"""What RUN steps may reach: the internet and the host's name servers, and nothing else.

One nftables table per server, of the family ``inet`` so that IPv6 is covered too. Machines are elements of its sets:
starting one adds no rule. Nobody else's tables are touched.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stoker.runtimes.errors import HostUnfit, RuntimeFailed
from stoker.runtimes.process.commands import find_program, last_line, run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv4Network

    from stoker.runtimes.process.bridges import Bridge

# From IANA's special-purpose registry (RFC 6890): whatever is not the internet. IPv6 is refused as a whole.
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
_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def ruleset(table: str, allowed: Iterable[IPv4Network]) -> str:
    """The server's table, as a script for nft that can be run again at any time and changes everything at once."""
    reached = _elements(table, "allowed", [str(network) for network in allowed])
    return f"""
add table inet {table}
add set inet {table} machines {{ type ifname; }}
add set inet {table} sources {{ type ifname . ipv4_addr; flags interval; }}
add set inet {table} resolvers {{ type ipv4_addr; }}
add set inet {table} allowed {{ type ipv4_addr; flags interval; auto-merge; }}
add set inet {table} private {{ type ipv4_addr; flags interval; auto-merge; }}
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
flush set inet {table} allowed
flush set inet {table} private
{reached}{_elements(table, "private", PRIVATE_RANGES)}
add rule inet {table} refuse meta l4proto tcp reject with tcp reset
add rule inet {table} refuse reject with icmpx type admin-prohibited
add rule inet {table} from_machine ct state invalid drop
add rule inet {table} from_machine meta nfproto != ipv4 jump refuse
add rule inet {table} from_machine iifname . ip saddr != @sources drop
add rule inet {table} from_machine ct state established,related accept
add rule inet {table} from_machine oifname @machines jump refuse
add rule inet {table} from_machine ip daddr @resolvers meta l4proto {{ tcp, udp }} th dport 53 accept
add rule inet {table} from_machine ip daddr @allowed accept
add rule inet {table} from_machine ip daddr @private jump refuse
add rule inet {table} from_machine accept
add rule inet {table} to_host ct state established,related accept
add rule inet {table} to_host ip daddr @resolvers meta l4proto {{ tcp, udp }} th dport 53 accept
add rule inet {table} to_host meta pkttype host meta nfproto ipv4 jump refuse
add rule inet {table} to_host drop
add rule inet {table} forward iifname @machines jump from_machine
add rule inet {table} forward oifname @machines ct state established,related accept
add rule inet {table} forward oifname @machines drop
add rule inet {table} input iifname @machines jump to_host
add rule inet {table} postrouting iifname @machines oifname != @machines masquerade
"""


class Firewall:
    """The nftables table of one server."""

    def __init__(self, server_id: str, allowed: tuple[IPv4Network, ...]) -> None:
        self.table = f"stoker_{server_id}"
        self._allowed = allowed

    def prepare(self, bridges: Iterable[Bridge], resolvers: tuple[IPv4Address, ...]) -> None:
        """Make the table, or bring it up to date with the bridges that are there, and let the host pass packets on.

        Raises:
            HostUnfit: nftables or forwarding can't be had.
        """
        try:
            script = f"flush set inet {self.table} machines\nflush set inet {self.table} sources\n"
            script += "".join(self._admission(bridge) for bridge in bridges) + self._name_servers(resolvers)
            self._nft(ruleset(self.table, self._allowed) + script)
            if _IP_FORWARD.read_text().strip() != "1":
                _IP_FORWARD.write_text("1")
        except (RuntimeFailed, OSError) as error:
            raise HostUnfit(f"RUN steps can't be given a network ({error}); run as root with nftables") from error

    def admit(self, bridge: Bridge, resolvers: tuple[IPv4Address, ...]) -> None:
        """Put a bridge under the table's rules, and bring the name servers up to date.

        Raises:
            RuntimeFailed: it could not be done.
        """
        script = self._name_servers(resolvers) + self._admission(bridge)
        try:
            self._nft(script)
        except RuntimeFailed:
            # Somebody flushed the host's rules.
            self._nft(ruleset(self.table, self._allowed) + script)

    def forget(self, bridge_name: str) -> None:
        """Take a bridge out of the sets. One that isn't there is a success.

        Raises:
            RuntimeFailed: it could not be done.
        """
        if not self._exists():
            return
        sources = [source for source in self._sources() if source.startswith(f'"{bridge_name}" ')]
        script = (
            # Deleting what isn't there would fail; adding first makes it a success.
            f'add element inet {self.table} machines {{ "{bridge_name}" }}\n'
            f'delete element inet {self.table} machines {{ "{bridge_name}" }}\n'
        )
        script += "".join(f"delete element inet {self.table} sources {{ {source} }}\n" for source in sources)
        self._nft(script)

    def bridges(self) -> frozenset[str]:
        """The names of the bridges that the table knows."""
        return frozenset(source.split('"')[1] for source in self._sources()) if self._exists() else frozenset()

    def release(self) -> None:
        """Remove the table."""
        self._nft(f"add table inet {self.table}\ndelete table inet {self.table}\n")

    def _admission(self, bridge: Bridge) -> str:
        return _elements(self.table, "machines", [f'"{bridge.name}"']) + _elements(
            self.table, "sources", [f'"{bridge.name}" . {bridge.subnet}']
        )

    def _name_servers(self, resolvers: tuple[IPv4Address, ...]) -> str:
        return f"flush set inet {self.table} resolvers\n" + _elements(
            self.table, "resolvers", [str(address) for address in resolvers]
        )

    def _exists(self) -> bool:
        return run([self._program(), "list", "set", "inet", self.table, "machines"]).returncode == 0

    def _sources(self) -> list[str]:
        done = run([self._program(), "-j", "list", "set", "inet", self.table, "sources"])
        if done.returncode != 0:
            raise RuntimeFailed(f"nft: {last_line(done.stderr)}")
        listed = cast("list[dict[str, Any]]", json.loads(done.stdout)["nftables"])
        found: list[str] = []
        for item in listed:
            for element in item.get("set", {}).get("elem", []):
                name, network = element["concat"]
                prefix = network["prefix"]
                found.append(f'"{name}" . {prefix["addr"]}/{prefix["len"]}')
        return found

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
