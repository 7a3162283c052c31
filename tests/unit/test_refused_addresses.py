from __future__ import annotations

import pytest

from stoker.domain.failure_hints import refused_address_hint


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
        # git over HTTP, old and new curl.
        (
            "access 'http://192.0.2.2/': Failed to connect to 192.0.2.2 port 1 after 0 ms: Couldn't connect to server",
            "192.0.2.2",
        ),
        ("Failed to connect to 10.0.0.9 port 443 after 3 ms: Could not connect to server", "10.0.0.9"),
        ("Failed to connect to 10.0.0.9 port 443: Connection refused", "10.0.0.9"),
        ("Failed to connect to fd00::7 port 443 after 0 ms: Couldn't connect to server", "fd00::7"),
        ("Failed to connect to 8.8.8.8 port 443 after 3 ms: Couldn't connect to server", None),
        # git's own protocol.
        ("fatal: unable to connect to 127.0.0.1:\n127.0.0.1[0: 127.0.0.1]: errno=Connection refused", "127.0.0.1"),
        ("fatal: unable to connect to git.corp:\ngit.corp[0: 10.1.2.3]: errno=Connection refused\n", "10.1.2.3"),
        ("fatal: unable to connect to git.corp:\ngit.corp[0: fd00::3]: errno=Connection refused\n", "fd00::3"),
        # ssh.
        ("ssh: connect to host 10.0.0.9 port 22: Connection refused", "10.0.0.9"),
        ("ssh: connect to host fd00::9 port 22: Connection refused", "fd00::9"),
        ("ssh: connect to host 8.8.8.8 port 22: Connection refused", None),
        ("dial tcp 10.0.0.5:443: i/o timeout", None),
        ("dial tcp 999.0.0.5:443: connect: connection refused", None),
        ("", None),
        (None, None),
    ],
)
def test_a_refused_private_address_is_explained(error: str | None, address: str | None) -> None:
    hint = refused_address_hint(error)
    assert hint is None if address is None else hint is not None and f"builds reach {address}, " in hint


@pytest.mark.parametrize(
    "error",
    [
        "ssh: connect to host git.corp.example port 22: Connection refused",
        "Failed to connect to git.corp.example port 443 after 1 ms: Couldn't connect to server",
        "Failed to connect to git.corp.example port 443: Connection refused",
    ],
)
def test_a_refused_name_is_explained_for_the_case_that_it_is_private(error: str) -> None:
    hint = refused_address_hint(error) or ""
    assert hint.startswith("if git.corp.example has an address that isn't on the internet, builds reach it only where")
