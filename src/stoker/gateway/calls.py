"""Which calls of BuildKit's API a build may make, and which solve a call is about."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from protobuf import Message

from stoker._gen.containerd.services.content.v1.content_pb import InfoRequest, ReadContentRequest
from stoker._gen.moby.buildkit.v1.control_pb import BuildHistoryRequest, SolveRequest, StatusRequest
from stoker.domain.build_origins import NO_ORIGIN
from stoker.domain.errors import InvalidInput, PermissionDenied
from stoker.domain.sent_origins import SolveExport, origin_of_solve
from stoker.gateway.exports import check_exports
from stoker.messages.parts import require_few_parts

if TYPE_CHECKING:
    from stoker.domain.build_origins import BuildOrigin

Some = TypeVar("Some", bound=Message)

_CONTROL = "/moby.buildkit.v1.Control/"
SOLVE_PATH = _CONTROL + "Solve"
_FRONTEND = "/moby.buildkit.v1.frontend.LLBBridge/"
_CONTENT = "/containerd.services.content.v1.Content/"
_LONGEST_PATH = 200
_GRPC_HEADER = struct.Struct(">?I")


# BuildKit makes refs of 25 letters and digits (its package `identity`). They stand in logs, URLs and commands.
_REF = re.compile(r"[A-Za-z0-9-]{1,128}")
_DIGEST = re.compile(r"[a-z0-9]{1,32}:[A-Za-z0-9]{1,256}")
# buildx probes with this ref whether there is a history at all; it is not a solve's.
_HISTORY_TEST = "buildx-test-history-api-feature"


class Subject(Enum):
    """What a call is about, and where the call names it."""

    NONE = "none"
    HEADER = "header"
    SOLVE = "solve"
    STATUS = "status"
    HISTORY = "history"
    BLOB_INFO = "blob info"
    BLOB = "blob"


_CALLS = {
    _CONTROL + "Info": Subject.NONE,
    _CONTROL + "ListWorkers": Subject.NONE,
    _CONTROL + "Session": Subject.NONE,
    SOLVE_PATH: Subject.SOLVE,
    _CONTROL + "Status": Subject.STATUS,
    _CONTROL + "ListenBuildHistory": Subject.HISTORY,
    _CONTENT + "Info": Subject.BLOB_INFO,
    _CONTENT + "Read": Subject.BLOB,
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a build.

    Attributes:
        ref: the ref of its solve, if any.
        entitlements: the privileges that it requests.
        begins: whether it begins a solve.
        origin: what a solve that begins says of its build.
        digest: the blob that it reads, if any.
    """

    ref: str | None = None
    entitlements: tuple[str, ...] = ()
    begins: bool = False
    digest: str | None = None
    origin: BuildOrigin = NO_ORIGIN


def read_call(path: str, solve_header: str | None, body: bytes, most_parts: int) -> Call:
    """Read a call of a build.

    Args:
        path: such as ``/moby.buildkit.v1.Control/Solve``.
        solve_header: the header with which frontends' calls name their solve.
        body: the request's one gRPC message with its five bytes of framing, if the gateway passes it on.
        most_parts: of the message; see `require_few_parts`.

    Raises:
        PermissionDenied: builds may not make this call.
        InvalidInput: the body can't be read.
        ResourceExhausted: it has more parts.
    """

    def decoded(kind: type[Some]) -> Some:
        message = _message(body)
        require_few_parts(message, kind, most_parts)
        return kind.from_binary(message)

    source = Subject.HEADER if path.startswith(_FRONTEND) else _CALLS.get(path)
    match source:
        case Subject.NONE:
            return Call()
        case Subject.HEADER:
            if not solve_header:
                raise PermissionDenied("calls of a frontend must name their solve")
            return Call(_checked(solve_header))
        case Subject.SOLVE:
            return _solve(decoded(SolveRequest))
        case Subject.STATUS:
            return Call(_checked(decoded(StatusRequest).Ref))
        case Subject.HISTORY:
            ref = decoded(BuildHistoryRequest).Ref
            if not ref:
                raise PermissionDenied("the history of other builds is not yours to read; name the ref of a solve")
            return Call() if ref == _HISTORY_TEST else Call(_checked(ref))
        case Subject.BLOB_INFO:
            return _blob(decoded(InfoRequest).digest)
        case Subject.BLOB:
            return _blob(decoded(ReadContentRequest).digest)
        case None:
            raise PermissionDenied(f"a build may not call {path[:_LONGEST_PATH]}")


def _solve(solve: SolveRequest) -> Call:
    ref = _checked(solve.Ref)
    if ref == _HISTORY_TEST:
        raise InvalidInput(f"{_HISTORY_TEST} can't be the ref of a solve")
    check_exports(solve)
    return Call(ref, tuple(solve.Entitlements), begins=True, origin=_origin(solve))


def _origin(solve: SolveRequest) -> BuildOrigin:
    exports = [SolveExport(one.Type, one.Attrs) for one in solve.Exporters]
    if solve.ExporterDeprecated and not exports:
        exports.append(SolveExport(solve.ExporterDeprecated, solve.ExporterAttrsDeprecated))
    return origin_of_solve(solve.Frontend, solve.FrontendAttrs, exports)


def _checked(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise InvalidInput("the ref of a solve must be 1 to 128 letters, digits and dashes")
    return ref


def _blob(digest: str) -> Call:
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput("the digest of a blob must be like sha256:0123abcd")
    return Call(digest=digest)


def _message(body: bytes) -> bytes:
    if len(body) < _GRPC_HEADER.size:
        raise InvalidInput("the call has no message")
    compressed, length = _GRPC_HEADER.unpack_from(body)
    if compressed:
        raise InvalidInput("send this message uncompressed")
    if length != len(body) - _GRPC_HEADER.size:
        raise InvalidInput("the message is cut, or its build sends too many large ones at once")
    return body[_GRPC_HEADER.size :]
