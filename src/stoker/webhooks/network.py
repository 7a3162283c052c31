"""Connections to the internet only.

The creator of a webhook chooses where this server connects to. So an address must not lead to what only this server
reaches: itself, by any of its addresses, private networks, a cloud's metadata. Names are resolved here, and the
connection goes to exactly the addresses that were checked, so that a name can't change its meaning in between.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import TYPE_CHECKING

from httpcore2 import AnyIOBackend, AsyncNetworkBackend, ConnectError

from stoker.domain.special_addresses import embedded_address, is_public
from stoker.webhooks.routes import leaves_this_host

if TYPE_CHECKING:
    from collections.abc import Iterable

    from httpcore2 import SOCKET_OPTION, AsyncNetworkStream

    from stoker.domain.special_addresses import Address, Network

_MOST_ADDRESSES = 4


class DestinationRefused(Exception):
    """A host has an address to which nothing is sent."""


class GuardedNetwork(AsyncNetworkBackend):
    """Resolves names and opens connections."""

    def __init__(self, lookups: int, *, allow_private: bool, denied: tuple[Network, ...] = ()) -> None:
        """Prepare to connect.

        Args:
            lookups: how many names are resolved at once, in separate threads, as some take long.
            allow_private: connect to private networks and this host too.
            denied: ranges to which nothing is sent in any case.
        """
        self._allow_private = allow_private
        self._denied = denied
        self._plain = AnyIOBackend()
        self._threads = ThreadPoolExecutor(lookups, "webhook names")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to one of a host's addresses.

        Raises:
            DestinationRefused: one of them isn't public, or is this host's own.
            ConnectError: it has none, or none takes connections.
        """
        problem: Exception | None = None
        for address in await self._addresses(host, port):
            try:
                return await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            except ConnectError as error:
                problem = error
        raise problem or ConnectError(f"{host} has no address")

    def close(self) -> None:
        """Start no more threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _addresses(self, host: str, port: int) -> list[str]:
        def look_up() -> list[str]:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(one[4][0]) for one in found))

        try:
            addresses = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        except (OSError, UnicodeError) as error:
            raise ConnectError(f"{host} can't be found: {error}") from error
        for address in addresses:
            self._require_elsewhere(host, ip_address(address))
        return addresses[:_MOST_ADDRESSES]

    def _require_elsewhere(self, host: str, address: Address) -> None:
        """Refuse a forbidden address, including the IPv4 address that it may embed."""
        both = [one for one in (address, embedded_address(address)) if one is not None]
        if any(one in network for network in self._denied for one in both):
            raise DestinationRefused(f"{host} is in a network that this server's operator denies (denied_networks)")
        if self._allow_private:
            return
        if not is_public(address):
            raise DestinationRefused(f"{host} is in a private network, which this server doesn't send webhooks to")
        try:
            is_elsewhere = all(leaves_this_host(one) for one in both)
        except OSError as error:
            raise ConnectError(f"the way to {host} can't be told: {error.strerror}") from error
        if not is_elsewhere:
            raise DestinationRefused(f"{host} is this server's own host, which it doesn't send webhooks to")
