"""One attempt to send one message."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from httpcore2 import AsyncConnectionPool, NetworkError, ProtocolError, TimeoutException, UnsupportedProtocol

from stoker.domain.shortening import shortened
from stoker.domain.webhooks import signature
from stoker.webhooks.network import DestinationRefused, GuardedNetwork

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.special_addresses import Network

_LONGEST_ERROR = 300


@dataclass(frozen=True, slots=True)
class Message:
    """A message. Its id stays the same over all attempts, so that a receiver recognizes repetitions."""

    id: str
    url: str
    body: bytes
    key: bytes

    def __repr__(self) -> str:
        """Without the key."""
        return f"Message(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt: ``result`` is delivered, failed or refused (forbidden address)."""

    result: str
    http_status: int | None = None
    error: str | None = None


class Sender:
    """Sends messages, each over its own connection, with a timeout. Follows no redirects, reads no answers."""

    def __init__(
        self, parallel: int, timeout_seconds: float, *, allow_private: bool, denied: tuple[Network, ...] = ()
    ) -> None:
        self._timeout = timeout_seconds
        self._network = GuardedNetwork(parallel, allow_private=allow_private, denied=denied)
        self._pool = AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=parallel,
            max_keepalive_connections=0,
            network_backend=self._network,
        )

    async def send(self, message: Message, now: datetime) -> Outcome:
        """Make one attempt."""
        try:
            async with asyncio.timeout(self._timeout):
                status = await self._post(message, int(now.timestamp()))
        except DestinationRefused as error:
            return Outcome("refused", error=str(error))
        except (TimeoutError, TimeoutException):
            return Outcome("failed", error=f"no answer within {self._timeout:g} s")
        except (NetworkError, ProtocolError, UnsupportedProtocol, OSError, ValueError) as error:
            return Outcome("failed", error=shortened(str(error) or type(error).__name__, _LONGEST_ERROR))
        if 200 <= status < 300:
            return Outcome("delivered", status)
        moved = "; redirects are not followed" if 300 <= status < 400 else ""
        return Outcome("failed", status, f"answered with status {status}{moved}")

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
        self._network.close()

    async def _post(self, message: Message, timestamp: int) -> int:
        headers = {
            "content-type": "application/json",
            "user-agent": "stoker-webhooks",
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(message.key, message.id, timestamp, message.body),
        }
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        async with self._pool.stream("POST", message.url, headers=encoded, content=message.body) as response:
            return response.status
