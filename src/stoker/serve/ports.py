"""Ports to listen on, kept from other programs."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Self

from stoker.settings.addresses import HostPort

if TYPE_CHECKING:
    from collections.abc import Iterable


class PortUnavailable(Exception):
    """An address can't be listened on; the text says why."""


class HeldPorts:
    """Ports that are bound, and not listened at, so that only those who are told of them can listen there.

    Otherwise the kernel may give a port to anybody's outgoing connection before its listener is there, or while that
    one is restarted. A listener that sets SO_REUSEADDR can have a held port.
    """

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def hold(self, wanted: Iterable[tuple[str, HostPort]]) -> list[HostPort]:
        """Hold the ports of addresses, and choose a free one where 0 is given.

        Raises:
            PortUnavailable: naming the setting whose address can't be had.
        """
        return [self._hold(setting, address) for setting, address in wanted]

    def release(self) -> None:
        """Let everybody have them."""
        for held in self._held:
            held.close()
        self._held.clear()

    def _hold(self, setting: str, address: HostPort) -> HostPort:
        held = socket.socket(address.family, socket.SOCK_STREAM)
        self._held.append(held)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((address.host, address.port))
        except OSError as error:
            raise PortUnavailable(_reason(setting, address, error)) from error
        return HostPort(address.host, held.getsockname()[1])


def _reason(setting: str, address: HostPort, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{address} is in use by another program; choose another with --{setting}"
    return f"can't listen on {address}: {os.strerror(error.errno or 0)}; choose another with --{setting}"
