"""Asks the kernel whether packets to an address stay on this host or leave it.

All addresses of all interfaces are this host's, public ones too, and whole ranges may be (a route of type ``local``).
The kernel's routing tables know; see rtnetlink(7), and RTM_GETROUTE in linux/rtnetlink.h.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stoker.domain.special_addresses import Address

_NETLINK_ROUTE = 0
_NLMSG_ERROR, _RTM_NEWROUTE, _RTM_GETROUTE = 2, 24, 26
_NLM_F_REQUEST = 1
_RTA_DST = 1
_RTN_UNICAST = 1
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ROUTE = struct.Struct("=BBBBBBBBI")  # struct rtmsg: family, lengths of destination and source, …, type, flags
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr: length, type
_ERROR = struct.Struct("=i")
_ANSWER_BYTES = 8192
_TYPE_AT = 7


def leaves_this_host(address: Address) -> bool:
    """Whether packets to an address leave this host. An address without a route counts as leaving.

    Raises:
        OSError: the kernel can't be asked.
    """
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    wanted = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(address.packed), _RTA_DST) + address.packed
    body = _ROUTE.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0) + wanted
    question = _HEADER.pack(_HEADER.size + len(body), _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE) as kernel:
        kernel.sendto(question, (0, 0))
        answer = kernel.recv(_ANSWER_BYTES)
    kind = _HEADER.unpack_from(answer)[1]
    if kind == _NLMSG_ERROR:
        return _ERROR.unpack_from(answer, _HEADER.size)[0] != 0
    return kind == _RTM_NEWROUTE and answer[_HEADER.size + _TYPE_AT] == _RTN_UNICAST
