"""`depot.core.v1.BuildService`: builds to read and to share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.depot.core.v1 import build_pb as pb
from stoker._gen.depot.core.v1.build_connect import BuildService as CoreBuilds
from stoker.domain.builds import Build, BuildStatus
from stoker.domain.pagination import checked_page
from stoker.rpc.caller import caller
from stoker.rpc.encoding import encode_moment

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.steps import RecordSummary
    from stoker.services.builds import BuildService
    from stoker.services.records import RecordService
    from stoker.services.sharing import SharingService

STATUS_ON_WIRE = {
    BuildStatus.RUNNING: pb.Build.Status.RUNNING,
    BuildStatus.SUCCEEDED: pb.Build.Status.SUCCESS,
    BuildStatus.FAILED: pb.Build.Status.FAILED,
    BuildStatus.CANCELED: pb.Build.Status.CANCELED,
}
"""How builds' states are told."""


class CoreBuildHandlers(CoreBuilds):
    """Builds, as SDKs read and share them."""

    def __init__(self, builds: BuildService, sharing: SharingService, records: RecordService, public_url: str) -> None:
        self._builds = builds
        self._records = records
        self._sharing = sharing
        self._public_url = public_url

    async def get_build(self, request: pb.GetBuildRequest, ctx: RequestContext[Any, Any], /) -> pb.GetBuildResponse:
        """One build."""
        build = await self._builds.get(caller(), request.build_id)
        return pb.GetBuildResponse(build=_encode(build, await self._records.summary_of(build)))

    async def list_builds(
        self, request: pb.ListBuildsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListBuildsResponse:
        """A page of a project's builds, the newest first."""
        page = await self._builds.list(
            caller(), request.project_id, checked_page(request.page_size, request.page_token)
        )
        summaries = await self._records.summaries(page.items)
        return pb.ListBuildsResponse(
            builds=[_encode(build, summaries[build.id]) for build in page.items], next_page_token=page.next_token or ""
        )

    async def share_build(
        self, request: pb.ShareBuildRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ShareBuildResponse:
        """Where everybody can see a build from now on."""
        share_id = await self._sharing.share(caller(), request.build_id)
        return pb.ShareBuildResponse(share_url=f"{self._public_url}/share/{share_id}")

    async def stop_sharing_build(
        self, request: pb.StopSharingBuildRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.StopSharingBuildResponse:
        """A build is for its organization alone again."""
        await self._sharing.stop_sharing(caller(), request.build_id)
        return pb.StopSharingBuildResponse()


def _encode(build: Build, record: RecordSummary) -> pb.Build:
    encoded = pb.Build(
        build_id=build.id,
        status=STATUS_ON_WIRE[build.status],
        created_at=Timestamp.from_datetime(build.created_at),
        started_at=encode_moment(build.started_at),
        finished_at=encode_moment(build.finished_at),
        saved_duration_seconds=round(record.saved.total_seconds()),
        cached_steps=record.cached_steps,
        total_steps=record.steps,
    )
    if build.duration_seconds is not None:
        encoded.build_duration_seconds = round(build.duration_seconds)
    return encoded
