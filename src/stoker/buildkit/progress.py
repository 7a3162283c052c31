"""Messages of a solve's status as domain values, and following one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from stoker._gen.moby.buildkit.v1.control_pb import StatusRequest
from stoker.buildkit.control import ControlFailed, control_client
from stoker.buildkit.moments import EPOCH, decode_moment
from stoker.domain.masking import mask_secrets
from stoker.domain.progress import LogEvent, Progress, TransferEvent, VertexEvent, WarningEvent
from stoker.domain.steps import SourceRange, Transfer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stoker._gen.moby.buildkit.v1 import control_pb as pb
    from stoker.buildkit.control import ControlCredentials
    from stoker.domain.machines import Placement


class SolveUnknown(ControlFailed):
    """A machine has nothing of a solve: it never began there, or it ended and left no history."""


async def follow_solve(
    placement: Placement, server_name: str, credentials: ControlCredentials, ref: str
) -> AsyncIterator[Progress]:
    """A solve's status from its beginning to its end, live.

    BuildKit waits some seconds for a ref that it doesn't know yet. Of solves that have ended it knows those that keep a
    history, which ``Internal`` ones (the depot CLI's) don't.

    Raises:
        SolveUnknown: the machine has nothing of it.
        ControlFailed: the connection broke; what was said before comes again when it is followed anew.
    """
    try:
        async with control_client(placement, server_name, credentials) as client:
            async for status in client.status(StatusRequest(Ref=ref)):
                yield decode_progress(status)
    except ConnectError as error:
        unknown = error.code is Code.NOT_FOUND or "no such job" in error.message
        raise (SolveUnknown if unknown else ControlFailed)(mask_secrets(error.message)) from error


def decode_progress(status: pb.StatusResponse) -> Progress:
    """A message of BuildKit, or of a client that reports in BuildKit's words."""
    return Progress(
        vertexes=tuple(
            VertexEvent(
                digest=one.digest,
                inputs=tuple(one.inputs),
                name=one.name,
                group=one.progressGroup.name if one.progressGroup else "",
                cached=one.cached,
                started_at=decode_moment(one.started),
                completed_at=decode_moment(one.completed),
                error=one.error,
            )
            for one in status.vertexes
        ),
        transfers=tuple(
            TransferEvent(
                one.vertex,
                Transfer(
                    one.ID, one.name, one.current, one.total, decode_moment(one.started), decode_moment(one.completed)
                ),
            )
            for one in status.statuses
        ),
        logs=tuple(
            LogEvent(one.vertex, decode_moment(one.timestamp) or EPOCH, one.stream, bytes(one.msg))
            for one in status.logs
        ),
        warnings=tuple(_warning(one) for one in status.warnings),
    )


def _warning(warning: pb.VertexWarning) -> WarningEvent:
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
