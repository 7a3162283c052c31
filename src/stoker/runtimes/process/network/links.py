"""The link into a machine's own network namespace, and what is made in there."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.process.network.bridges import (
    IPV6_PREFIX,
    LINK_LOCAL,
    STEPS_DEVICE,
    Bridge,
    run_ip,
    switch_ipv6,
)
from stoker.runtimes.programs import find_program, last_line, run

_IPV4 = Path("/proc/sys/net/ipv4/conf")


@dataclass(frozen=True, slots=True)
class Loopback:
    """What BuildKit may reach at the host's IPv4 loopback address, from a network namespace of its own.

    Attributes:
        networks: where everything is allowed.
        services: single TCP ports, of proxies.
        resolvers: name servers.
    """

    networks: tuple[IPv4Network, ...] = ()
    services: tuple[tuple[IPv4Address, int], ...] = ()
    resolvers: tuple[IPv4Address, ...] = ()

    def is_empty(self) -> bool:
        """Whether it is nothing."""
        return not (self.networks or self.services or self.resolvers)

    def matches(self) -> list[str]:
        """What nft tells it by."""
        return [
            *(f"ip daddr {network}" for network in self.networks),
            *(f"ip daddr {address} tcp dport {port}" for address, port in self.services),
            *(f"ip daddr {address} meta l4proto {{ tcp, udp }} th dport 53" for address in self.resolvers),
        ]


def host_side(bridge: Bridge, alias: str, process_id: int) -> str:
    """For ``ip -batch``: a veth to a process's network namespace, and the way to the machine's subnet through it."""
    name, prefix = bridge.name, bridge.subnet.prefixlen
    lines = [
        f"link add name {name} mtu {bridge.mtu} type veth peer name eth0 mtu {bridge.mtu} netns {process_id}",
        f"link set dev {name} alias {alias} addrgenmode none",
        f"addr add {bridge.host}/{prefix} dev {name} noprefixroute",
    ]
    if bridge.subnet6 is not None:
        lines.append(f"addr add {bridge.host6}/{IPV6_PREFIX} dev {name} noprefixroute nodad")
        lines.append(f"addr add {LINK_LOCAL} dev {name} nodad")
    lines += [
        f"link set dev {name} up",
        f"route add {bridge.engine}/32 dev {name} src {bridge.host}",
        f"route add {bridge.subnet} via {bridge.engine} dev {name} src {bridge.host}",
    ]
    if bridge.subnet6 is not None:
        lines += [
            f"route add {bridge.engine6}/128 dev {name}",
            f"route add {bridge.subnet6} via {bridge.engine6} dev {name}",
        ]
    return "".join(f"{line}\n" for line in lines)


def machine_side(bridge: Bridge, loopback: Loopback) -> str:
    """A shell script for the machine's network namespace: its way out, and the bridge for steps.

    Steps send nothing to the namespace itself, where BuildKit listens. What BuildKit is to reach at the host's loopback
    address goes to the host, which sends it on to its own.
    """
    lines = [
        "link set dev lo up",
        f"addr add {bridge.engine}/32 dev eth0",
        f"link add name {STEPS_DEVICE} address {bridge.mac} mtu {bridge.mtu} type bridge stp_state 0 forward_delay 0",
        f"link set dev {STEPS_DEVICE} addrgenmode none",
        f"addr add {bridge.gateway}/{bridge.subnet.prefixlen} dev {STEPS_DEVICE}",
        *([] if bridge.subnet6 is None else [f"addr add {bridge.engine6}/128 dev eth0 nodad"]),
        *([] if bridge.subnet6 is None else [f"addr add {bridge.gateway6}/{IPV6_PREFIX} dev {STEPS_DEVICE} nodad"]),
        *([] if bridge.subnet6 is None else [f"addr add {LINK_LOCAL} dev {STEPS_DEVICE} nodad"]),
        "link set dev eth0 up",
        f"link set dev {STEPS_DEVICE} up",
        f"route add {bridge.host}/32 dev eth0",
        f"route add default via {bridge.host} dev eth0",
        *([] if bridge.subnet6 is None else [f"route add {bridge.host6}/128 dev eth0"]),
        *([] if bridge.subnet6 is None else [f"neigh add proxy {bridge.host6} dev {STEPS_DEVICE}"]),
        *([] if bridge.subnet6 is None else [f"route add default via {bridge.host6} dev eth0"]),
    ]
    switches = "echo 1 >/proc/sys/net/ipv4/ip_forward\n"
    # The host's address is in the subnet of steps, so they look for it on their own link.
    later = f"echo 0 >/proc/sys/net/ipv4/neigh/{STEPS_DEVICE}/proxy_delay\n"
    later += f"echo 1 >/proc/sys/net/ipv4/conf/{STEPS_DEVICE}/proxy_arp\n"
    if bridge.subnet6 is None:
        switches += "[ ! -e /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6\n"
    else:
        switches += "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding\n"
        later += f"echo 0 >/proc/sys/net/ipv6/neigh/{STEPS_DEVICE}/proxy_delay\n"
        later += f"echo 1 >/proc/sys/net/ipv6/conf/{STEPS_DEVICE}/proxy_ndp\n"
    rules = f"""\
add table inet machine
add chain inet machine input {{ type filter hook input priority filter; policy accept; }}
add rule inet machine input iifname != "{STEPS_DEVICE}" accept
add rule inet machine input ct state established,related accept
add rule inet machine input icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} ip6 hoplimit 255 accept
add rule inet machine input meta l4proto tcp reject with tcp reset
add rule inet machine input reject with icmpx type admin-prohibited
"""
    if not loopback.is_empty():
        switches += "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet\n"
        rules += """\
add chain inet machine output { type nat hook output priority -100; policy accept; }
add chain inet machine postrouting { type nat hook postrouting priority srcnat; policy accept; }
add rule inet machine postrouting oifname "eth0" ip saddr 127.0.0.0/8 masquerade
"""
        rules += "".join(
            f"add rule inet machine output {match} dnat ip to {bridge.host}\n" for match in loopback.matches()
        )
    ip, nft = find_program("ip", package="iproute2"), find_program("nft", package="nftables")
    script = "".join(f"{line}\n" for line in lines)
    return f"{switches}{ip} -batch - <<'END'\n{script}END\n{later}{nft} -f - <<'END'\n{rules}END\n"


def make_link(bridge: Bridge, alias: str, process_id: int, loopback: Loopback) -> None:
    """Make the link to a process's network namespace, and all that is in there.

    Raises:
        RuntimeFailed: it could not be made.
    """
    run_ip([], host_side(bridge, alias, process_id))
    switch_ipv6(bridge)
    if not loopback.is_empty():
        # The firewall says what of it may be reached, and by whom.
        (_IPV4 / bridge.name / "route_localnet").write_text("1")
    inside = [find_program("nsenter", package="util-linux"), f"--net=/proc/{process_id}/ns/net"]
    done = run([*inside, "sh", "-ec", machine_side(bridge, loopback)])
    if done.returncode != 0:
        raise RuntimeFailed(f"the machine's network: {last_line(done.stderr)}")
