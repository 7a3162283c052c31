"""`depot.core.v1.UsageService`. What each number means is in docs/usage.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.depot.core.v1 import usage_pb as pb
from stoker._gen.depot.core.v1.usage_connect import UsageService as Usages
from stoker.domain.pagination import checked_page
from stoker.rpc.caller import caller
from stoker.rpc.encoding import decode_moment

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.usage import ProjectUsage
    from stoker.services.usage import UsageService

_BYTES_PER_GB = 1000**3
_MOST = 2**31 - 1
_LAYER_CACHE = "layer_cache"


class UsageHandlers(Usages):
    """What was used, by project and by period."""

    def __init__(self, usage: UsageService) -> None:
        self._usage = usage

    async def get_project_usage(
        self, request: pb.GetProjectUsageRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.GetProjectUsageResponse:
        """One project's usage."""
        start, end = decode_moment(request.start_at, "start_at"), decode_moment(request.end_at, "end_at")
        usage = await self._usage.of_project(caller(), request.project_id, start, end)
        return pb.GetProjectUsageResponse(usage=_encode(usage))

    async def list_project_usage(
        self, request: pb.ListProjectUsageRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListProjectUsageResponse:
        """A page of the usage of the organization's projects."""
        start, end = decode_moment(request.start_at, "start_at"), decode_moment(request.end_at, "end_at")
        wanted = checked_page(request.page_size, request.page_token)
        page = await self._usage.of_projects(caller(), start, end, wanted)
        return pb.ListProjectUsageResponse(
            usage=[_encode(usage) for usage in page.items], next_page_token=page.next_token or ""
        )

    async def get_usage(self, request: pb.GetUsageRequest, ctx: RequestContext[Any, Any], /) -> pb.GetUsageResponse:
        """The organization's usage. This server has no GitHub Actions jobs and no agent sandboxes."""
        start, end = decode_moment(request.start_at, "start_at"), decode_moment(request.end_at, "end_at")
        usage = await self._usage.of_organization(caller(), start, end)
        return pb.GetUsageResponse(
            period_start=Timestamp.from_datetime(usage.period.start),
            period_end=Timestamp.from_datetime(usage.period.end),
            container_build=[
                pb.ContainerBuildUsage(
                    project_name=project.project_name,
                    build_count=min(_MOST, project.builds),
                    minutes_saved=_minutes(project.saved_time),
                    minutes_billed=_minutes(project.machine_time),
                )
                for project in usage.projects
            ],
            storage=[pb.StorageUsage(storage_type=_LAYER_CACHE, total_gb=usage.cache_bytes / _BYTES_PER_GB)],
        )


def _encode(usage: ProjectUsage) -> pb.ProjectUsage:
    return pb.ProjectUsage(
        project_id=usage.project_id,
        build_count=min(_MOST, usage.builds),
        build_duration_seconds=min(_MOST, round(usage.build_time.total_seconds())),
        layer_cache_size_gb=min(_MOST, round(usage.cache_bytes / _BYTES_PER_GB)),
    )


def _minutes(time: timedelta) -> float:
    return time.total_seconds() / 60
