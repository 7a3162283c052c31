from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.process.network.bridges import (
    Bridge,
    bridge_name,
    free_subnet,
    host_addresses,
    ipv6_subnet,
)
from stoker.runtimes.process.network.firewall_rules import PRIVATE_RANGES, PRIVATE_RANGES_IPV6, ruleset
from stoker.runtimes.process.network.links import Loopback, host_side, machine_side
from stoker.runtimes.process.network.proxies import proxies
from stoker.runtimes.process.network.resolvers import engine_resolvers, host_resolvers

POOL = IPv4Network("10.210.0.0/16")
LINK = Bridge("stk0", IPv4Network("10.210.0.0/25"), 1400, IPv6Network("fd00:1::/96"), routed=True)


@given(server=st.from_regex(r"[a-z0-9]{1,16}", fullmatch=True), machine=st.from_regex(r"[a-z0-9]{16}", fullmatch=True))
def test_bridge_names_fit_and_are_stable(server: str, machine: str) -> None:
    name = bridge_name(server, machine)
    assert len(name.encode()) == 15
    assert name.isalnum()
    assert name == bridge_name(server, machine)
    assert name != bridge_name(server, machine + "x")
    assert name != bridge_name(server + "x", machine)


def test_subnets_avoid_all_that_is_used() -> None:
    used = (IPv4Network("10.210.0.0/25"), IPv4Network("10.210.0.200/32"), IPv4Network("10.210.1.0/24"))
    assert free_subnet(POOL, 25, used) == IPv4Network("10.210.2.0/25")
    assert free_subnet(POOL, 25, ()) == IPv4Network("10.210.0.0/25")


def test_a_pool_inside_a_used_network_has_no_subnet() -> None:
    with pytest.raises(RuntimeFailed, match="larger network_pool"):
        free_subnet(POOL, 25, (IPv4Network("10.0.0.0/8"),))


def test_what_the_host_uses_is_read_from_ip() -> None:
    links = [
        {"ifname": "lo", "mtu": 65536, "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}]},
        {"ifname": "eth0", "mtu": 1400, "addr_info": [{"family": "inet", "local": "198.51.100.7", "prefixlen": 24}]},
    ]
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "10.8.0.0/16", "dev": "tun0"},
        {"type": "local", "dst": "198.51.100.7", "dev": "eth0"},
    ]
    host = host_addresses(f"{json.dumps(links)}\n{json.dumps(routes)}\n")
    assert host.mtu == 1400
    assert ("eth0", IPv4Network("198.51.100.0/24")) in host.networks
    assert ("tun0", IPv4Network("10.8.0.0/16")) in host.networks


def test_without_a_way_out_the_mtu_is_the_usual_one() -> None:
    assert host_addresses("[]\n[]\n").mtu == 1500


def test_ipv6_of_the_host_is_what_reaches_further_than_a_link() -> None:
    def host(device: str, address: str, scope: str) -> bool:
        info = {"family": "inet6", "local": address, "prefixlen": 64, "scope": scope}
        return host_addresses(json.dumps([{"ifname": device, "mtu": 1500, "addr_info": [info]}]) + "\n[]\n").has_ipv6

    assert host("eth0", "2001:db8::2", "global")
    assert not host("eth0", "fe80::2", "link")
    assert not host("stk0123456789ab", "fd00::1", "global"), "that of another machine's bridge"


def test_each_bridge_has_an_ipv6_network_of_its_own() -> None:
    one, two = (ipv6_subnet("server", IPv4Network(subnet)) for subnet in ("10.210.0.0/25", "10.210.0.128/25"))
    assert one.subnet_of(IPv6Network("fd00::/8"))
    assert not one.overlaps(two)
    assert ipv6_subnet("another", IPv4Network("10.210.0.0/25")) != one


def test_the_rules_hold_every_private_range_and_no_more_than_is_allowed() -> None:
    script = ruleset("stoker_x", [IPv4Network("10.1.0.0/16")], [], 10)
    assert all(network in script for network in PRIVATE_RANGES)
    assert "add element inet stoker_x allowed { 10.1.0.0/16 }" in script
    assert "add element inet stoker_x allowed" not in ruleset("stoker_x", [], [], 10)
    overlapping = [IPv6Network("fd00:1::/32"), IPv6Network("fd00:1:2::/48")]
    assert "add element inet stoker_x denied6 { fd00:1::/32 }" in ruleset("stoker_x", [], overlapping, 10)


def test_connections_of_steps_and_of_engines_are_counted_before_anything_is_accepted() -> None:
    script = ruleset("stoker_x", [], [], 1000)
    for chain, key in (("step_flows", "iifname"), ("engine_flows", "socket cgroupv2 level 4")):
        assert f"ct state new update @{chain}_new {{ {key} limit rate over 200/second burst 1000 packets }}" in script
        assert f"ct state new add @{chain}_held {{ {key} ct count over 1000 }} jump refuse" in script
    lines = script.splitlines()
    for chain, counted in (("from_machine", "step_flows"), ("to_host", "step_flows"), ("from_engine", "engine_flows")):
        own = [line for line in lines if line.startswith(f"add rule inet stoker_x {chain} ")]
        accepting = [
            number for number, line in enumerate(own) if line.endswith(" accept") and "established" not in line
        ]
        assert own.index(f"add rule inet stoker_x {chain} jump {counted}") < min(accepting)


def test_every_special_address_is_in_a_private_range() -> None:
    ranges = [IPv4Network(network) for network in PRIVATE_RANGES]
    for address in ("169.254.169.254", "10.0.0.1", "172.31.255.255", "192.168.0.1", "127.0.0.53", "100.100.100.200"):
        assert any(IPv4Address(address) in network for network in ranges), address
    for address in ("1.1.1.1", "172.32.0.1", "192.31.196.2"):
        assert not any(IPv4Address(address) in network for network in ranges), address


def test_every_special_ipv6_address_is_in_a_private_range() -> None:
    ranges = [IPv6Network(network) for network in PRIVATE_RANGES_IPV6]
    special = ["::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "100::1", "fd00::1", "fe80::1", "fec0::1", "ff02::1"]
    for address in (*special, "2001::1", "2001:20::1", "2002:a00:1::1", "5f00::1"):
        assert any(IPv6Address(address) in network for network in ranges), address
    for address in ("2606:4700:4700::1111", "2001:4860:4860::8888", "2a00::1", "3000::1"):
        assert not any(IPv6Address(address) in network for network in ranges), address


@pytest.mark.parametrize(
    ("resolv_conf", "upstream", "expected"),
    [
        ("nameserver 10.0.0.2\nnameserver 1.1.1.1\n", "", ["10.0.0.2", "1.1.1.1"]),
        ("# by systemd-resolved\nnameserver 127.0.0.53\n", "nameserver 192.168.1.1\n", ["192.168.1.1"]),
        ("nameserver 127.0.0.1\n", "nameserver 192.168.1.1\n", []),
        ("nameserver fd00::1\nnameserver\nsearch example.test\n", "", ["fd00::1"]),
        ("nameserver fe80::1%eth0\nnameserver ::1\n", "", []),
        ("nameserver 10.0.0.2\nnameserver 10.0.0.2\n", "", ["10.0.0.2"]),
    ],
)
def test_resolvers_are_those_that_steps_get(
    tmp_path: Path, resolv_conf: str, upstream: str, expected: list[str]
) -> None:
    (tmp_path / "resolv.conf").write_text(resolv_conf)
    (tmp_path / "upstream").write_text(upstream)
    found = host_resolvers(tmp_path / "resolv.conf", tmp_path / "upstream")
    assert [str(address) for address in found] == expected


def test_no_resolver_file_is_no_resolver(tmp_path: Path) -> None:
    assert host_resolvers(tmp_path / "none", tmp_path / "none") == ()


@pytest.mark.parametrize(
    ("resolv_conf", "expected"),
    [
        ("nameserver 127.0.0.53\nnameserver 10.0.0.2\n", ["127.0.0.53", "10.0.0.2"]),
        ("nameserver fe80::1%eth0\n", ["fe80::1"]),
        ("search example.test\n", ["127.0.0.1", "::1"]),
    ],
)
def test_buildkit_asks_the_name_servers_of_the_host(tmp_path: Path, resolv_conf: str, expected: list[str]) -> None:
    (tmp_path / "resolv.conf").write_text(resolv_conf)
    assert [str(address) for address in engine_resolvers(tmp_path / "resolv.conf")] == expected


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("HTTPS_PROXY", "http://10.1.2.3:3128", {(IPv4Address("10.1.2.3"), 3128)}),
        ("http_proxy", "http://somebody:secret@[fd00::7]:8080/", {(IPv6Address("fd00::7"), 8080)}),
        ("all_proxy", "socks5://10.1.2.3", {(IPv4Address("10.1.2.3"), 1080)}),
        ("http_proxy", "10.1.2.3:3128", {(IPv4Address("10.1.2.3"), 3128)}),
        ("http_proxy", "", set()),
        ("https_proxy", "http://10.1.2.3:port", set()),
        ("no_proxy", "10.1.2.3", set()),
    ],
)
def test_proxies_are_read_from_the_environment(
    variable: str, value: str, expected: set[tuple[IPv4Address | IPv6Address, int]]
) -> None:
    assert proxies({variable: value}) == expected


def test_a_link_leads_to_the_machines_whole_subnet_and_nowhere_else() -> None:
    lines = host_side(LINK, "stoker/s/m", 42).splitlines()
    assert lines[0] == "link add name stk0 mtu 1400 type veth peer name eth0 mtu 1400 netns 42"
    assert [line for line in lines if line.startswith("route")] == [
        "route add 10.210.0.2/32 dev stk0 src 10.210.0.1",
        "route add 10.210.0.0/25 via 10.210.0.2 dev stk0 src 10.210.0.1",
        "route add fd00:1::2/128 dev stk0",
        "route add fd00:1::/96 via fd00:1::2 dev stk0",
    ]


def test_a_machine_takes_nothing_from_its_steps_itself() -> None:
    script = machine_side(LINK, Loopback())
    assert "reject with tcp reset" in script
    assert "dnat" not in script
    assert "route_localnet" not in script


def test_only_what_is_allowed_of_the_loopback_address_goes_to_the_host() -> None:
    given = Loopback((IPv4Network("127.0.0.0/8"),), ((IPv4Address("127.0.0.1"), 3128),), (IPv4Address("127.0.0.1"),))
    script = machine_side(LINK, given)
    rules = [line.removeprefix("add rule inet machine output ") for line in script.splitlines() if "dnat" in line]
    assert rules == [
        "ip daddr 127.0.0.0/8 dnat ip to 10.210.0.1",
        "ip daddr 127.0.0.1 tcp dport 3128 dnat ip to 10.210.0.1",
        "ip daddr 127.0.0.1 meta l4proto { tcp, udp } th dport 53 dnat ip to 10.210.0.1",
    ]
