"""`depot.core.v1.BuildService`: builds to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.depot.core.v1 import build_pb as pb
from stoker._gen.depot.core.v1.build_connect import BuildService as CoreBuilds
from stoker.domain.builds import Build, BuildStatus
from stoker.domain.pages import checked_page
from stoker.rpc.caller import caller
from stoker.rpc.encoding import encode_moment

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.services.builds import BuildService

_STATUS = {
    BuildStatus.RUNNING: pb.Build.Status.RUNNING,
    BuildStatus.SUCCEEDED: pb.Build.Status.SUCCESS,
    BuildStatus.FAILED: pb.Build.Status.FAILED,
    BuildStatus.CANCELED: pb.Build.Status.CANCELED,
}


class CoreBuildHandlers(CoreBuilds):
    """Builds, as SDKs read them."""

    def __init__(self, builds: BuildService) -> None:
        self._builds = builds

    async def get_build(self, request: pb.GetBuildRequest, ctx: RequestContext[Any, Any], /) -> pb.GetBuildResponse:
        """One build."""
        return pb.GetBuildResponse(build=_encode(await self._builds.get(caller(), request.build_id)))

    async def list_builds(
        self, request: pb.ListBuildsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListBuildsResponse:
        """A page of a project's builds, the newest first."""
        page = await self._builds.list(
            caller(), request.project_id, checked_page(request.page_size, request.page_token)
        )
        return pb.ListBuildsResponse(
            builds=[_encode(build) for build in page.items], next_page_token=page.next_token or ""
        )


def _encode(build: Build) -> pb.Build:
    encoded = pb.Build(
        build_id=build.id,
        status=_STATUS[build.status],
        created_at=Timestamp.from_datetime(build.created_at),
        started_at=encode_moment(build.started_at),
        finished_at=encode_moment(build.finished_at),
    )
    if build.duration_seconds is not None:
        encoded.build_duration_seconds = round(build.duration_seconds)
    return encoded
