"""Follows a solve's status, and decodes its messages into domain values."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType

from stoker._gen.moby.buildkit.v1.control_pb import (
    StatusParts,
    StatusRequest,
    Vertex,
    VertexLog,
    VertexStatus,
    VertexWarning,
)
from stoker.buildkit.cancellation import cancellable
from stoker.buildkit.control import ControlFailed, control_client
from stoker.buildkit.decoding import EPOCH, decode, decode_moment
from stoker.domain.masking import mask_secrets
from stoker.domain.progress import LogEvent, Progress, TransferEvent, VertexEvent, WarningEvent
from stoker.domain.steps import SourceRange, Transfer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from stoker._gen.moby.buildkit.v1 import control_pb as pb
    from stoker.buildkit.control import ControlCredentials
    from stoker.domain.machines import Placement


Part = TypeVar("Part")

_AT_ONCE = 200
# Control/Status as it is generated, but for its answers, which are decoded here.
_STATUS = MethodInfo(
    name="Status",
    service_name="moby.buildkit.v1.Control",
    input=StatusRequest,
    output=StatusParts,
    idempotency_level=IdempotencyLevel.UNKNOWN,
    stream_type=StreamType.SERVER_STREAM,
)


class SolveUnknown(ControlFailed):
    """A machine doesn't know a solve: it never began there, or it ended and left no history."""


async def follow_solve(
    placement: Placement, server_name: str, credentials: ControlCredentials, ref: str
) -> AsyncIterator[Progress]:
    """Stream a solve's status from its beginning to its end.

    BuildKit waits some seconds for a ref that it doesn't know yet. It knows finished solves that have a history, which
    ``Internal`` ones (the depot CLI's) don't.

    Raises:
        SolveUnknown: the machine doesn't know it.
        ControlFailed: the connection broke; following it again repeats what came before.
    """
    try:
        with cancellable():
            async with control_client(placement, server_name, credentials) as client:
                parts = client.execute_server_stream(request=StatusRequest(Ref=ref), method=_STATUS)
                async for status in parts:
                    for progress in _decode_parts(status):
                        yield progress
                        await asyncio.sleep(0)
    except ConnectError as error:
        unknown = error.code is Code.NOT_FOUND or "no such job" in error.message
        raise (SolveUnknown if unknown else ControlFailed)(mask_secrets(error.message)) from error
    except ValueError as error:
        raise ControlFailed(f"its status can't be understood: {error}") from error


def _decode_parts(status: pb.StatusParts) -> Iterator[Progress]:
    """Decode a message of BuildKit in parts."""
    for some in _some(status.vertexes):
        yield Progress(vertexes=tuple(_vertex(decode(one, Vertex)) for one in some))
    for some in _some(status.statuses):
        yield Progress(transfers=tuple(_transfer(decode(one, VertexStatus)) for one in some))
    for some in _some(status.logs):
        yield Progress(logs=tuple(_log(decode(one, VertexLog)) for one in some))
    for some in _some(status.warnings):
        yield Progress(warnings=tuple(_warning(decode(one, VertexWarning)) for one in some))


def decode_in_parts(status: pb.StatusResponse) -> Iterator[Progress]:
    """Decode a client's report, which has BuildKit's form, in parts."""
    for some in _some(status.vertexes):
        yield Progress(vertexes=tuple(map(_vertex, some)))
    for some in _some(status.statuses):
        yield Progress(transfers=tuple(map(_transfer, some)))
    for some in _some(status.logs):
        yield Progress(logs=tuple(map(_log, some)))
    for some in _some(status.warnings):
        yield Progress(warnings=tuple(map(_warning, some)))


def _some(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    return (parts[begin : begin + _AT_ONCE] for begin in range(0, len(parts), _AT_ONCE))


def _vertex(one: Vertex) -> VertexEvent:
    return VertexEvent(
        digest=one.digest,
        inputs=tuple(one.inputs),
        name=one.name,
        group=one.progressGroup.name if one.progressGroup else "",
        cached=one.cached,
        started_at=decode_moment(one.started),
        completed_at=decode_moment(one.completed),
        error=one.error,
    )


def _transfer(one: VertexStatus) -> TransferEvent:
    started, completed = decode_moment(one.started), decode_moment(one.completed)
    return TransferEvent(one.vertex, Transfer(one.ID, one.name, one.current, one.total, started, completed))


def _log(one: VertexLog) -> LogEvent:
    return LogEvent(one.vertex, decode_moment(one.timestamp) or EPOCH, one.stream, bytes(one.msg))


def _warning(warning: VertexWarning) -> WarningEvent:
    info = warning.info
    return WarningEvent(
        digest=warning.vertex,
        level=warning.level,
        short=warning.short.decode(errors="replace"),
        detail=tuple(one.decode(errors="replace") for one in warning.detail),
        url=warning.url,
        filename=info.filename if info else "",
        source=info.data.decode(errors="replace") if info else "",
        ranges=tuple(
            SourceRange(one.start.line if one.start else 0, one.end.line if one.end else 0) for one in warning.ranges
        ),
    )
