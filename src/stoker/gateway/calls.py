"""Which calls of BuildKit's API a build may make, and how it is seen which solve they are about."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from stoker._gen.moby.buildkit.v1.control_pb import BuildHistoryRequest, SolveRequest, StatusRequest
from stoker.domain.errors import InvalidInput, PermissionDenied
from stoker.domain.platforms import Platform, platforms_in

_CONTROL = "/moby.buildkit.v1.Control/"
_FRONTEND = "/moby.buildkit.v1.frontend.LLBBridge/"
_GRPC_HEADER = struct.Struct(">?I")


class RefSource(Enum):
    """Where a call names the solve that it is about."""

    NONE = "none"
    HEADER = "header"
    SOLVE = "solve"
    STATUS = "status"
    HISTORY = "history"


_CALLS = {
    _CONTROL + "Info": RefSource.NONE,
    _CONTROL + "ListWorkers": RefSource.NONE,
    _CONTROL + "Session": RefSource.NONE,
    _CONTROL + "Solve": RefSource.SOLVE,
    _CONTROL + "Status": RefSource.STATUS,
    _CONTROL + "ListenBuildHistory": RefSource.HISTORY,
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a build makes.

    Attributes:
        ref: the solve that it names, if any.
        entitlements: the privileges that it asks for.
        platforms: those for which it names that it builds; none for the machine's own.
        begins: whether a solve begins with it.
    """

    ref: str | None = None
    entitlements: tuple[str, ...] = ()
    platforms: frozenset[Platform] = frozenset()
    begins: bool = False


def read_call(path: str, solve_header: str | None, body: bytes) -> Call:
    """What a call is about.

    Args:
        path: such as ``/moby.buildkit.v1.Control/Solve``.
        solve_header: the header with which frontends' calls name their solve.
        body: the request's one gRPC message with its five bytes of framing, where the gateway passes it on.

    Raises:
        PermissionDenied: builds may not make this call.
        InvalidInput: the body can't be read.
    """
    source = RefSource.HEADER if path.startswith(_FRONTEND) else _CALLS.get(path)
    match source:
        case RefSource.NONE:
            return Call()
        case RefSource.HEADER:
            if not solve_header:
                raise PermissionDenied("calls of a frontend must name their solve")
            return Call(solve_header)
        case RefSource.SOLVE:
            solve = SolveRequest.from_binary(_message(body))
            platforms = platforms_in(solve.FrontendAttrs.get("platform", ""))
            return Call(solve.Ref, tuple(solve.Entitlements), platforms, begins=True)
        case RefSource.STATUS:
            return Call(StatusRequest.from_binary(_message(body)).Ref)
        case RefSource.HISTORY:
            ref = BuildHistoryRequest.from_binary(_message(body)).Ref
            if not ref:
                raise PermissionDenied("the history of other builds is not yours to read; name the ref of a solve")
            return Call(ref)
        case None:
            raise PermissionDenied(f"a build may not call {path}")


def _message(body: bytes) -> bytes:
    if len(body) < _GRPC_HEADER.size:
        raise InvalidInput("the call has no message")
    compressed, length = _GRPC_HEADER.unpack_from(body)
    if compressed:
        raise InvalidInput("send this message uncompressed")
    if length != len(body) - _GRPC_HEADER.size:
        raise InvalidInput("the message is cut")
    return body[_GRPC_HEADER.size :]
