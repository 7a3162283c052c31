"""Webhooks: who is told when a build of a project has ended, how it is signed, and where it may be sent.

The form is that of https://www.standardwebhooks.com, so that receivers can check it with a library.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_URL_LENGTH = 1000

BUILD_FINISHED = "build.finished"
TEST = "test"

_SECRET_PREFIX = "whsec_"  # noqa: S105
_LONGEST_PAUSE = timedelta(hours=1)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?")
_PORTS = {"http": 80, "https": 443}


class DeliveryState(StrEnum):
    """How a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is told of a project's builds.

    ``dropped`` counts the messages that it never got because too many waited, the last of them at ``dropped_at``.
    """

    id: str
    organization_id: str
    project_id: str
    url: str
    created_at: datetime
    dropped: int = 0
    dropped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one webhook. ``due_at`` is when it is tried next; ``http_status`` and ``error`` are of the last
    attempt. ``build_id`` is None for a test.
    """

    id: str
    webhook_id: str
    build_id: str | None
    event: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    due_at: datetime
    finished_at: datetime | None = None
    http_status: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookStanding:
    """A webhook with the name of its project, and its last delivery; None when there is none that is remembered."""

    webhook: Webhook
    project_name: str
    last: Delivery | None


@dataclass(frozen=True, slots=True)
class DeliveryBounds:
    """How many deliveries may wait: of a webhook, of an organization, and of all."""

    per_webhook: int
    per_organization: int
    on_server: int


@dataclass(frozen=True, slots=True)
class WaitingDeliveries:
    """How many deliveries wait: of each webhook of an organization, and of all organizations."""

    of_webhooks: Mapping[str, int]
    on_server: int

    def has_room(self, webhook_id: str, bounds: DeliveryBounds) -> bool:
        """Whether another one of a webhook may wait too."""
        return (
            self.of_webhooks.get(webhook_id, 0) < bounds.per_webhook
            and sum(self.of_webhooks.values()) < bounds.per_organization
            and self.on_server < bounds.on_server
        )

    def with_one_more(self, webhook_id: str) -> WaitingDeliveries:
        """What it is with another one of a webhook."""
        return WaitingDeliveries(
            {**self.of_webhooks, webhook_id: self.of_webhooks.get(webhook_id, 0) + 1}, self.on_server + 1
        )


@dataclass(frozen=True, slots=True)
class Patience:
    """How a delivery that fails is tried again: after a first pause, which doubles up to an hour, for so long."""

    first_pause: timedelta
    lifetime: timedelta


def next_attempt(delivery: Delivery, attempts: int, now: datetime, patience: Patience) -> datetime | None:
    """When to try again what has failed ``attempts`` times; None for never. A test isn't tried again."""
    if delivery.event == TEST:
        return None
    pause = min(_LONGEST_PAUSE, patience.first_pause * 2 ** min(attempts - 1, 30))
    again = now + pause
    return None if again > delivery.created_at + patience.lifetime else again


def checked_url(url: str) -> str:
    """``url``, when a webhook can be there.

    Raises:
        InvalidInput: it isn't one that we take.
    """
    text = url.strip()
    if len(text) > MAX_URL_LENGTH:
        raise InvalidInput(f"url has {len(text)} characters; {MAX_URL_LENGTH} is the most")
    if not text.isascii() or not text.isprintable() or any(one in text for one in ' \\"<>^`{|}'):
        raise InvalidInput("url has characters that an address can't have; write them in percent encoding")
    parts = _split(text)
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        raise InvalidInput("url is not an address, such as https://ci.example.com/stoker")
    if "@" in parts.netloc or parts.fragment:
        raise InvalidInput("url has a user name or a fragment; leave them out, the signature says who sends")
    if literal_address(parts.hostname) is None and (not _HOST.fullmatch(parts.hostname) or _is_number(parts.hostname)):
        raise InvalidInput("url names a host that can't be one; use a DNS name or a plain IP address")
    return text


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    return None if port == 0 else parts


def _is_number(host: str) -> bool:
    """Whether a host's last part is a number, as in other ways of writing IPv4 addresses (0x7f.1, 2130706433)."""
    last = host.rstrip(".").rpartition(".")[2]
    return last.isdigit() or last[:2].lower() == "0x"


def literal_address(host: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a host is written as; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def host_of(url: str) -> str:
    """The host of a checked address."""
    return urlsplit(url).hostname or ""


def shown_host(url: str) -> str:
    """The part of an address that may be logged: what follows may hold somebody's secret."""
    return urlsplit(url).netloc


def webhook_key(server_key: bytes, webhook_id: str) -> bytes:
    """The key with which messages to a webhook are signed. It is derived, so that none is stored."""
    return hmac.digest(server_key, f"webhook {webhook_id}".encode(), hashlib.sha256)


def shown_secret(key: bytes) -> str:
    """A key as its receiver gets it."""
    return _SECRET_PREFIX + base64.b64encode(key).decode()


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``: version 1 of HMAC-SHA256 over id, time in seconds, and body."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
