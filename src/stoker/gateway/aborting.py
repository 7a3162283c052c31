"""Aborts TCP connections of this host's processes, as `ss --kill` does (sock_diag(7), SOCK_DESTROY).

The kernel sends a reset to the other end. It needs CAP_NET_ADMIN, and a kernel with CONFIG_INET_DIAG_DESTROY, as
distributions have it.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stoker.settings.addresses import HostPort

_NETLINK_SOCK_DIAG = 4
_SOCK_DESTROY = 21
_REQUEST_AND_ACK = 0x1 | 0x4
_ANY_SOCKET = 0xFFFFFFFF
# struct nlmsghdr; struct inet_diag_req_v2 up to its id; struct inet_diag_sockid.
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI")
_ADDRESSES = struct.Struct("!HH16s16s")
_SOCKET = struct.Struct("=III")
_ERROR = struct.Struct("=i")
_ANSWER_BYTES = 4096


def abort_connection(local: HostPort, remote: HostPort) -> None:
    """Abort the connection between two addresses. Its process sees an error.

    Raises:
        OSError: there is no such connection, or the kernel doesn't allow it.
    """
    own, other = ip_address(local.host), ip_address(remote.host)
    family = socket.AF_INET if own.version == 4 else socket.AF_INET6
    about = b"".join(
        (
            _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, 0),
            _ADDRESSES.pack(local.port, remote.port, own.packed.ljust(16, b"\0"), other.packed.ljust(16, b"\0")),
            _SOCKET.pack(0, _ANY_SOCKET, _ANY_SOCKET),
        )
    )
    header = _HEADER.pack(_HEADER.size + len(about), _SOCK_DESTROY, _REQUEST_AND_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(header + about)
        answer = kernel.recv(_ANSWER_BYTES)
    (code,) = _ERROR.unpack_from(answer, _HEADER.size)
    if code:
        raise OSError(-code, f"the connection from {local} to {remote} can't be aborted")
