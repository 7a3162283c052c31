"""Which addresses are on the internet, for webhooks and for the firewall of machines alike."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

import pytest

from stoker.domain.special_addresses import SPECIAL_IPV4, SPECIAL_IPV6, embedded_address, is_public, special_ranges
from stoker.runtimes.process.network.firewall_rules import PRIVATE_RANGES, PRIVATE_RANGES_IPV6

PUBLIC = ["1.1.1.1", "93.184.216.34", "192.31.196.1", "2606:4700::1111", "2620:4f:8000::1", "64:ff9b::101:101"]
SPECIAL = [
    "0.0.0.0",  # noqa: S104
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:8.8.8.8",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "64:ff9b:1::101:101",
    "100::1",
    "100:0:0:1::1",
    "2001:0:101:101::fefe:fefe",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:101:101::",
    "3fff::1",
    "3fff:fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", SPECIAL)
def test_the_firewall_of_machines_refuses_the_same(address: str) -> None:
    ranges = [IPv4Network(one) for one in PRIVATE_RANGES] + [IPv6Network(one) for one in PRIVATE_RANGES_IPV6]
    assert any(ip_address(address) in one for one in ranges)


@pytest.mark.parametrize("address", PUBLIC[:-1])
def test_the_firewall_of_machines_lets_the_internet_through(address: str) -> None:
    ranges = [IPv4Network(one) for one in PRIVATE_RANGES] + [IPv6Network(one) for one in PRIVATE_RANGES_IPV6]
    assert not any(ip_address(address) in one for one in ranges)


def test_the_edges_of_every_range_of_the_table_are_refused() -> None:
    for one in (*SPECIAL_IPV4, *SPECIAL_IPV6):
        for address in (one.network[0], one.network[-1]):
            assert not is_public(embedded_address(address) or address), (one, address)


def test_what_a_firewall_is_given_does_not_overlap() -> None:
    for ranges in special_ranges():
        assert all(not one.overlaps(other) for one in ranges for other in ranges if one != other)


def test_addresses_that_stand_for_others() -> None:
    assert embedded_address(ip_address("::ffff:8.8.4.4")) == IPv4Address("8.8.4.4")
    assert embedded_address(ip_address("64:ff9b::808:404")) == IPv4Address("8.8.4.4")
    assert embedded_address(ip_address("2606:4700::1111")) is None
    assert embedded_address(ip_address("8.8.4.4")) is None
