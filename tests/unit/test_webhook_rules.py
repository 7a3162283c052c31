"""Where webhooks may be sent, when they are tried again, and how they are signed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from stoker.domain.webhooks import (
    BUILD_FINISHED,
    TEST,
    Delivery,
    DeliveryState,
    Patience,
    next_attempt,
    shown_secret,
    signature,
    webhook_key,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = Patience(timedelta(seconds=5), timedelta(hours=24))


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
