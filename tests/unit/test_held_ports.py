"""A held port can be listened at by its owner only, whoever else asks the kernel for one."""

from __future__ import annotations

import socket
import struct

import pytest

from stoker.serve.ports import HeldPorts, PortUnavailable
from stoker.settings.addresses import HostPort

# Linux 6.3: from which the kernel chooses the port of a connection. Python has no name for it.
IP_LOCAL_PORT_RANGE = 51
ANY_PORT = ("metrics", HostPort("127.0.0.1", 0))


def listen(address: HostPort, *, reuse: bool) -> socket.socket:
    listener = socket.socket(address.family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
    try:
        listener.bind((address.host, address.port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def test_its_owner_listens_at_it_again_and_again() -> None:
    with HeldPorts() as ports:
        (address,) = ports.hold([ANY_PORT])
        for _ in range(2):
            with listen(address, reuse=True), socket.create_connection((address.host, address.port), timeout=5):
                pass


def test_the_kernel_gives_it_to_nobody_else() -> None:
    with HeldPorts() as ports:
        (address,) = ports.hold([ANY_PORT])
        with pytest.raises(OSError, match="in use"):
            listen(address, reuse=False)
        with listen(HostPort("127.0.0.1", 0), reuse=False) as other, socket.socket() as connecting:
            only = struct.pack("=HH", address.port, address.port)
            connecting.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, only)
            with pytest.raises(OSError, match="assign"):
                connecting.connect(other.getsockname())


def test_a_port_that_another_listens_at_is_unavailable_by_its_setting() -> None:
    with listen(HostPort("127.0.0.1", 0), reuse=True) as other, HeldPorts() as ports:
        taken = HostPort("127.0.0.1", other.getsockname()[1])
        with pytest.raises(PortUnavailable, match=r"in use by another program; choose another with --listen"):
            ports.hold([("listen", taken)])


def test_two_of_one_server_differ() -> None:
    with HeldPorts() as ports:
        first, second = ports.hold([ANY_PORT, ANY_PORT])
        assert first != second


def test_released_ports_are_anybodys() -> None:
    ports = HeldPorts()
    (address,) = ports.hold([ANY_PORT])
    ports.release()
    listen(address, reuse=False).close()
