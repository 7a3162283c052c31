"""`stoker.v1.QueueService`: builds that wait in the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.stoker.v1 import queue_pb as pb
from stoker._gen.stoker.v1.queue_connect import QueueService
from stoker.rpc.caller import caller

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.queue import QueuePlace
    from stoker.services.queue import QueueService as Queue


class QueueHandlers(QueueService):
    """The queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def list_queue(self, request: pb.ListQueueRequest, ctx: RequestContext[Any, Any], /) -> pb.ListQueueResponse:
        """Those of an organization who wait."""
        listed = await self._queue.list(caller(), request.organization_id)
        return pb.ListQueueResponse(builds=[_place(place) for place in listed])


def _place(place: QueuePlace) -> pb.WaitingBuild:
    return pb.WaitingBuild(
        position=place.position,
        build_id=place.waiting.build_id,
        project_id=place.waiting.project_id,
        platform=place.waiting.platform.value,
        waits_since=Timestamp.from_datetime(place.waiting.created_at),
        reason=place.reason or "",
    )
