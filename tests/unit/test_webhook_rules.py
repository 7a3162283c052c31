"""Where webhooks may be sent, when they are tried again, and how they are signed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from stoker.domain.webhooks import (
    BUILD_FINISHED,
    TEST,
    Delivery,
    DeliveryState,
    Patience,
    is_public,
    next_attempt,
    shown_secret,
    signature,
    webhook_key,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = Patience(timedelta(seconds=5), timedelta(hours=24))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "64:ff9b:1::101:101",
        "2001:0:101:101::fefe:fefe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


def delivery(event: str = BUILD_FINISHED) -> Delivery:
    return Delivery("d", "w", "b", event, DeliveryState.WAITING, 0, NOW, NOW)


def test_pauses_double_up_to_an_hour_until_its_time_is_over() -> None:
    now, pauses = NOW, []
    for attempts in range(1, 100):
        again = next_attempt(delivery(), attempts, now, PATIENCE)
        if again is None:
            break
        pauses.append((again - now).total_seconds())
        now = again
    assert pauses[:5] == [5, 10, 20, 40, 80]
    assert max(pauses) == 3600
    assert timedelta(hours=22) < now - NOW <= timedelta(hours=24)


def test_a_test_is_tried_once() -> None:
    assert next_attempt(delivery(TEST), 1, NOW, PATIENCE) is None


def test_each_webhook_has_a_key_of_its_own() -> None:
    one, other = webhook_key(b"server", "one"), webhook_key(b"server", "other")
    assert one != other != webhook_key(b"another server", "other")
    assert one == webhook_key(b"server", "one")


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks, whose secret has 24 bytes."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert shown_secret(key) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
