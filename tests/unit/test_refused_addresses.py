from __future__ import annotations

import pytest

from stoker.domain.refused_addresses import refused_address_hint


@pytest.mark.parametrize(
    ("error", "address"),
    [
        ('Get "http://10.0.0.5/x": dial tcp 10.0.0.5:80: connect: connection refused', "10.0.0.5"),
        ("dial tcp 127.0.0.1:5000: connect: connection refused", "127.0.0.1"),
        ("dial tcp [fd00::7]:443: connect: connection refused", "fd00::7"),
        ("dial tcp [fe80::7%eth0]:443: connect: connection refused", "fe80::7"),
        (
            "dial tcp 8.8.8.8:1: connect: connection refused, dial tcp 192.168.0.1:1: connect: connection refused",
            "192.168.0.1",
        ),
        ("dial tcp 8.8.8.8:443: connect: connection refused", None),
        ("dial tcp 10.0.0.5:443: i/o timeout", None),
        ("dial tcp 999.0.0.5:443: connect: connection refused", None),
        ("", None),
        (None, None),
    ],
)
def test_a_refused_private_address_is_explained(error: str | None, address: str | None) -> None:
    hint = refused_address_hint(error)
    assert hint is None if address is None else hint is not None and f"builds reach {address}, " in hint
