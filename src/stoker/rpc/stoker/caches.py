"""`stoker.v1.CacheService`: what is in a project's caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.stoker.v1 import caches_pb as pb
from stoker._gen.stoker.v1.caches_connect import CacheService
from stoker.domain.cache_contents import largest, shares, total_bytes
from stoker.domain.cache_policy import CachePolicy
from stoker.rpc.caller import caller
from stoker.rpc.encoding import encode_moment

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.cache_contents import CacheRecord, CacheReport, Outlook
    from stoker.services.caches import CacheService as Caches

_LARGEST = 20


class CacheHandlers(CacheService):
    """What is in caches."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches

    async def show_cache(self, request: pb.ShowCacheRequest, ctx: RequestContext[Any, Any], /) -> pb.ShowCacheResponse:
        """What is in a project's caches."""
        policies = [CachePolicy(policy.keep_bytes, policy.keep_days) for policy in request.policies]
        reports = await self._caches.show(caller(), request.project_id, policies)
        return pb.ShowCacheResponse(caches=[_report(report) for report in reports])


def _report(report: CacheReport) -> pb.PlatformCache:
    records = report.contents.records
    return pb.PlatformCache(
        platform=report.platform.value,
        taken_at=Timestamp.from_datetime(report.contents.taken_at),
        total_bytes=total_bytes(records),
        in_use_bytes=total_bytes(record for record in records if record.in_use),
        kinds=[
            pb.CacheShare(kind=share.kind, records=share.records, bytes=share.size_bytes) for share in shares(records)
        ],
        largest=[_record(record) for record in largest(records, _LARGEST)],
        outlooks=[_outlook(outlook) for outlook in report.outlooks],
    )


def _record(record: CacheRecord) -> pb.CacheRecord:
    return pb.CacheRecord(
        record_id=record.id,
        kind=record.kind,
        bytes=record.size_bytes,
        created_at=Timestamp.from_datetime(record.created_at),
        last_used_at=encode_moment(record.last_used_at),
        uses=record.uses,
        in_use=record.in_use,
        description=record.description,
    )


def _outlook(outlook: Outlook) -> pb.CacheOutlook:
    policy = outlook.policy
    return pb.CacheOutlook(
        policy=pb.KeepPolicy(keep_bytes=policy.keep_bytes, keep_days=policy.keep_days),
        is_current=outlook.is_current,
        by_age_bytes=outlook.freed.by_age_bytes,
        by_size_bytes=outlook.freed.by_size_bytes,
    )
