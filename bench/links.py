"""A network between a client and this host that is as slow as those that clients have."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.stack import BenchmarkFailed, BuildKitAddress
from stoker.runtimes.programs import find_program, run

# Set aside for benchmarks (RFC 2544).
_HOST, _CLIENT, _PREFIX = "198.18.78.1", "198.18.78.2", 30
# More than the largest packet that the kernel hands on at once, and less than a millisecond of the rate.
_BURST_BYTES = 96 * 1024
_LONGEST_WAIT = "20ms"


@dataclass(frozen=True, slots=True)
class Link:
    """A network namespace for clients, with one way out: to this host."""

    namespace: str

    def beyond(self, address: BuildKitAddress) -> BuildKitAddress:
        """An address on this host's loopback, for a client at the other end of the link."""
        return replace(address, host=_HOST, enter=("ip", "netns", "exec", self.namespace))


@contextmanager
def slow_link(bits_per_second: int) -> Generator[Link]:
    """Make the link, equally slow both ways, for as long as it is used. This host's loopback is reachable over it."""
    name = f"stoker-bench-{secrets.token_hex(3)}"
    outside, inside = f"stkb{name[-6:]}o", f"stkb{name[-6:]}i"
    rate = f"rate {bits_per_second} burst {_BURST_BYTES} latency {_LONGEST_WAIT}".split()
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        _run("ip", "addr", "add", f"{_HOST}/{_PREFIX}", "dev", outside)
        _run("ip", "link", "set", outside, "up")
        _run("ip", "-n", name, "addr", "add", f"{_CLIENT}/{_PREFIX}", "dev", inside)
        _run("ip", "-n", name, "link", "set", inside, "up")
        _run("tc", "qdisc", "add", "dev", outside, "root", "tbf", *rate)
        _run("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", inside, "root", "tbf", *rate)
        # Of this device alone: packets from it may be for loopback addresses.
        Path(f"/proc/sys/net/ipv4/conf/{outside}/route_localnet").write_text("1")
        rules = (
            f"add table ip {outside}",
            f"add chain ip {outside} arriving {{ type nat hook prerouting priority dstnat; }}",
            f'add rule ip {outside} arriving iifname "{outside}" ip daddr {_HOST} dnat to 127.0.0.1',
        )
        _run("nft", "-f", "-", said="\n".join(rules) + "\n")
        yield Link(name)
    finally:
        for command in (
            ("nft", "delete", "table", "ip", outside),
            ("ip", "link", "del", outside),
            ("ip", "netns", "del", name),
        ):
            run([_program(command[0]), *command[1:]])


def _run(program: str, *arguments: str, said: str = "") -> None:
    done = run([_program(program), *arguments], said)
    if done.returncode != 0:
        raise BenchmarkFailed(f"{program}: {done.stderr.strip()}")


def _program(name: str) -> str:
    return find_program(name, package="nftables" if name == "nft" else "iproute2")
