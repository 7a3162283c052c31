"""A bridge per machine, to which the network namespaces of its RUN steps are attached.

A bridge's name is made from the server's and the machine's id; its alias holds both in full, so that it can be found
without anything remembered, and is never mistaken for another server's.

Steps get IPv6 where the host has it: addresses of a unique local range (RFC 4193), translated on the way out as those
of IPv4 are, since a host is rarely given addresses to hand on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.process.config import is_name
from stoker.runtimes.programs import find_program, last_line, run

if TYPE_CHECKING:
    from collections.abc import Generator

PREFIX = "stk"
STEPS_DEVICE = "steps"
IPV6_PREFIX = 96
# Without one, the kernel can't ask for the neighbour to which it passes a packet on (its ndisc_send_ns).
LINK_LOCAL = "fe80::1/64"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_NAME_CHARACTERS = 12  # a network device's name has at most 15 (IFNAMSIZ less the final zero)
_DEFAULT_MTU = 1500
_IPV6 = Path("/proc/sys/net/ipv6/conf")
_STEPS_GATEWAY = 3


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """What the host uses now: its networks with the devices they are on, and the MTU of its way out."""

    networks: tuple[tuple[str, IPv4Network], ...]
    mtu: int
    ipv6_networks: tuple[tuple[str, IPv6Network], ...] = ()

    @property
    def has_ipv6(self) -> bool:
        """Whether it has an IPv6 address that reaches further than a link, besides those of machines' bridges."""
        return any(device != "lo" and not device.startswith(PREFIX) for device, _ in self.ipv6_networks)


@dataclass(frozen=True, slots=True)
class Bridge:
    """One machine's network: a bridge of the host, or (``routed``) a link to a namespace that has the bridge."""

    name: str
    subnet: IPv4Network
    mtu: int
    subnet6: IPv6Network | None = None
    routed: bool = False

    @property
    def mac(self) -> str:
        """The address of the bridge on its link: the same every time."""
        # Without an address of its own a bridge takes that of a port, and changes it when ports come and go.
        octets = hashlib.blake2s(self.name.encode(), digest_size=5).digest()
        return ":".join(["02", *(f"{octet:02x}" for octet in octets)])

    @property
    def host(self) -> IPv4Address:
        """The host's address."""
        return self.subnet[1]

    @property
    def host6(self) -> IPv6Address | None:
        """The host's IPv6 address."""
        return None if self.subnet6 is None else self.subnet6[1]

    @property
    def engine(self) -> IPv4Address:
        """BuildKit's address in a network namespace of its own."""
        return self.subnet[2]

    @property
    def engine6(self) -> IPv6Address | None:
        """BuildKit's IPv6 address there."""
        return None if self.subnet6 is None else self.subnet6[2]

    @property
    def gateway(self) -> IPv4Address:
        """Where steps send what isn't for their neighbours."""
        return self.subnet[_STEPS_GATEWAY if self.routed else 1]

    @property
    def gateway6(self) -> IPv6Address | None:
        """The same for IPv6."""
        return None if self.subnet6 is None else self.subnet6[_STEPS_GATEWAY if self.routed else 1]

    @property
    def steps_device(self) -> str:
        """The bridge to which steps are attached."""
        return STEPS_DEVICE if self.routed else self.name

    @property
    def engine_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """What BuildKit sends from; nothing where that is the host's own network namespace."""
        if not self.routed:
            return ()
        return (IPv4Network(self.engine), *(() if self.engine6 is None else (IPv6Network(self.engine6),)))

    @property
    def host_networks(self) -> tuple[IPv4Network, ...]:
        """Where a namespace of its own reaches the host's loopback address; nothing where it is the host's."""
        return (IPv4Network(self.host),) if self.routed else ()


def bridge_name(server_id: str, machine_id: str) -> str:
    """The name of a machine's bridge: the same every time, and nobody else's."""
    digest = hashlib.blake2s(f"{server_id}/{machine_id}".encode(), digest_size=_NAME_CHARACTERS).digest()
    return PREFIX + "".join(_ALPHABET[byte & 31] for byte in digest)


def free_subnet(pool: IPv4Network, prefix: int, used: tuple[IPv4Network, ...]) -> IPv4Network:
    """The first subnet of the pool that overlaps nothing that is used.

    Raises:
        RuntimeFailed: there is none.
    """
    taken = [network for network in used if network.overlaps(pool)]
    for subnet in pool.subnets(new_prefix=prefix):
        if not any(subnet.overlaps(network) for network in taken):
            return subnet
    raise RuntimeFailed(f"no /{prefix} is free in {pool} for another machine; set a larger network_pool")


def ipv6_subnet(server_id: str, subnet: IPv4Network) -> IPv6Network:
    """The IPv6 network of a bridge: in the server's own range (RFC 4193), with the IPv4 network, which no other has."""
    digest = hashlib.blake2s(server_id.encode(), digest_size=5).digest()
    return IPv6Network((b"\xfd" + digest + bytes(2) + subnet.network_address.packed + bytes(4), IPV6_PREFIX))


def forward_ipv6() -> None:
    """Let the host pass IPv6 packets on. It goes on to take its own addresses and routes from routers' advertisements,
    which by itself it would not do any more (the kernel's ip-sysctl.rst, accept_ra).

    Raises:
        OSError: it can't be switched on.
    """
    switch = _IPV6 / "all" / "forwarding"
    if switch.read_text().strip() == "1":
        return
    for taken in _IPV6.glob("*/accept_ra"):
        # Devices that are made later, such as those of containers, are none of those.
        if taken.parent.name not in {"all", "default"} and taken.read_text().strip() == "1":
            taken.write_text("2")
    switch.write_text("1")


def forwards_ipv6() -> bool:
    """Whether the host passes IPv6 packets on, and new devices have IPv6."""
    try:
        on = (_IPV6 / "all" / "forwarding").read_text().strip() == "1"
        return on and (_IPV6 / "default" / "disable_ipv6").read_text().strip() == "0"
    except OSError:
        return False


def host_addresses(text: str) -> HostAddresses:
    """Read ``ip -j``'s answers to ``addr show`` and ``route show table all``, one after the other."""
    decoder = json.JSONDecoder()
    links, end = decoder.raw_decode(text)
    routes, _ = decoder.raw_decode(text[end:].lstrip())
    links, routes = cast("list[dict[str, Any]]", links), cast("list[dict[str, Any]]", routes)
    networks = [
        (str(link["ifname"]), IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False))
        for link in links
        for address in link.get("addr_info", [])
        if address.get("family") == "inet"
    ]
    newer = [
        (str(link["ifname"]), IPv6Network(f"{address['local']}/{address['prefixlen']}", strict=False))
        for link in links
        for address in link.get("addr_info", [])
        if address.get("family") == "inet6" and address.get("scope") == "global"
    ]
    networks += [
        (str(route.get("dev", "")), IPv4Network(route["dst"]))
        for route in routes
        if route.get("dst", "default") != "default" and ":" not in route["dst"]
    ]
    ways_out = [route.get("dev") for route in routes if route.get("dst") == "default"]
    mtus = [int(link["mtu"]) for link in links if link.get("ifname") in ways_out]
    used = tuple(dict.fromkeys(entry for entry in networks if entry[1].prefixlen > 0))
    return HostAddresses(used, min(mtus, default=_DEFAULT_MTU), tuple(newer))


class Bridges:
    """The bridges of one server's machines."""

    def __init__(
        self, server_id: str, pool: IPv4Network, subnet_prefix: int, run_folder: Path, *, ipv6: bool = True
    ) -> None:
        self._server_id = server_id
        self._pool = pool
        self._subnet_prefix = subnet_prefix
        self._run_folder = run_folder
        self._ipv6 = ipv6

    def name(self, machine_id: str) -> str:
        """The name of the machine's bridge."""
        return bridge_name(self._server_id, machine_id)

    def alias(self, machine_id: str) -> str:
        """The alias of the machine's bridge, which says whose it is."""
        return f"stoker/{self._server_id}/{machine_id}"

    @contextmanager
    def choosing(self) -> Generator[HostAddresses]:
        """Hold the host's lock while a subnet is chosen and put to use."""
        self._run_folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self._run_folder / "network.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield read_host_addresses()

    def choose(self, machine_id: str, host: HostAddresses, *, routed: bool) -> Bridge:
        """What the machine's network is to be."""
        used = tuple(network for _, network in host.networks)
        subnet = free_subnet(self._pool, self._subnet_prefix, used)
        with_ipv6 = self._ipv6 and host.has_ipv6 and forwards_ipv6()
        subnet6 = ipv6_subnet(self._server_id, subnet) if with_ipv6 else None
        return Bridge(self.name(machine_id), subnet, host.mtu, subnet6, routed)

    def create(self, machine_id: str, bridge: Bridge) -> None:
        """Make the bridge.

        Raises:
            RuntimeFailed: it could not be made.
        """
        # Nobody else can have that address, so the second that looking for duplicates takes is saved.
        addresses = () if bridge.subnet6 is None else (f"{bridge.gateway6}/{IPV6_PREFIX}", LINK_LOCAL)
        newer = "".join(f"addr add {address} dev {bridge.name} nodad\n" for address in addresses)
        run_ip(
            [],
            f"link add name {bridge.name} address {bridge.mac} mtu {bridge.mtu} "
            "type bridge stp_state 0 forward_delay 0\n"
            f"link set dev {bridge.name} alias {self.alias(machine_id)} addrgenmode none\n"
            f"addr add {bridge.gateway}/{bridge.subnet.prefixlen} dev {bridge.name}\n"
            f"{newer}link set dev {bridge.name} up\n",
        )
        switch_ipv6(bridge)

    def delete(self, machine_id: str) -> bool:
        """Delete the machine's bridge and what is attached to it. False when it is still there afterwards."""
        name = self.name(machine_id)
        if not Path("/sys/class/net", name).exists() or not self._is_ours(name, machine_id):
            return True
        ports = [path.name.removeprefix("lower_") for path in Path("/sys/class/net", name).glob("lower_*")]
        # A network namespace is destroyed some time after its last user; its veth would outlive the bridge till then.
        script = "".join(f"link delete dev {device}\n" for device in [*ports, name])
        run([find_program("ip", package="iproute2"), "-force", "-batch", "-"], script)
        return not Path("/sys/class/net", name).exists()

    def present(self, host: HostAddresses) -> list[Bridge]:
        """The bridges of this server that are there now."""
        ours = set(self.machines().values())
        return [
            Bridge(
                device,
                network,
                host.mtu,
                newer if (device, newer) in host.ipv6_networks else None,
                routed=not Path("/sys/class/net", device, "bridge").exists(),
            )
            for device, network in host.networks
            if device in ours and network.prefixlen == self._subnet_prefix
            for newer in [ipv6_subnet(self._server_id, network)]
        ]

    def machines(self) -> dict[str, str]:
        """The names of this server's bridges by machine id."""
        found: dict[str, str] = {}
        for link in Path("/sys/class/net").glob(f"{PREFIX}*"):
            machine_id = _alias_of(link.name).removeprefix(self.alias(""))
            if is_name(machine_id) and bridge_name(self._server_id, machine_id) == link.name:
                found[machine_id] = link.name
        return found

    def _is_ours(self, name: str, machine_id: str) -> bool:
        # Empty: we were interrupted between making it and naming its owner.
        return _alias_of(name) in {self.alias(machine_id), ""}


def read_host_addresses() -> HostAddresses:
    """What the host uses now.

    Raises:
        RuntimeFailed: it can't be told.
    """
    return host_addresses(run_ip(["-j"], "addr show\nroute show table all\n"))


def switch_ipv6(bridge: Bridge) -> None:
    """Take no routes from a machine, and no IPv6 at all where steps have none."""
    switch, value = ("disable_ipv6", "1") if bridge.subnet6 is None else ("accept_ra", "0")
    if (file := _IPV6 / bridge.name / switch).exists():
        file.write_text(value)


def run_ip(options: list[str], script: str) -> str:
    """The output of ``ip -batch`` for a script.

    Raises:
        RuntimeFailed: it refused a line.
    """
    done = run([find_program("ip", package="iproute2"), *options, "-batch", "-"], script)
    if done.returncode != 0:
        raise RuntimeFailed(f"ip: {last_line(done.stderr)}")
    return done.stdout


def _alias_of(device: str) -> str:
    try:
        return Path("/sys/class/net", device, "ifalias").read_text().strip()
    except OSError:
        return ""
