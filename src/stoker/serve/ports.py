"""Ports to listen on."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from stoker.settings.addresses import HostPort

if TYPE_CHECKING:
    from collections.abc import Iterable


class PortUnavailable(Exception):
    """An address can't be listened on; the text says why."""


def choose_ports(wanted: Iterable[tuple[str, HostPort]]) -> list[HostPort]:
    """Check that addresses can be listened on, and choose a port where 0 is given.

    All are held open until all are chosen, so that none is chosen twice.

    Raises:
        PortUnavailable: naming the setting whose address can't be had.
    """
    held: list[socket.socket] = []
    chosen: list[HostPort] = []
    try:
        for setting, address in wanted:
            listener = socket.socket(address.family, socket.SOCK_STREAM)
            held.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((address.host, address.port))
                listener.listen(1)
            except OSError as error:
                raise PortUnavailable(_reason(setting, address, error)) from error
            chosen.append(HostPort(address.host, listener.getsockname()[1]))
    finally:
        for listener in held:
            listener.close()
    return chosen


def _reason(setting: str, address: HostPort, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{address} is in use by another program; choose another with --{setting}"
    return f"can't listen on {address}: {os.strerror(error.errno or 0)}; choose another with --{setting}"
