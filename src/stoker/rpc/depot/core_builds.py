"""`depot.core.v1.BuildService`: builds to read and to share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker._gen.depot.core.v1 import build_pb as pb
from stoker._gen.depot.core.v1.build_connect import BuildService as CoreBuilds
from stoker.rpc.caller import caller
from stoker.rpc.summarized_builds import build_fields

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.rpc.summarized_builds import SummarizedBuilds
    from stoker.services.sharing import SharingService


class CoreBuildHandlers(CoreBuilds):
    """Builds, as SDKs read and share them."""

    def __init__(self, builds: SummarizedBuilds, sharing: SharingService, public_url: str) -> None:
        self._builds = builds
        self._sharing = sharing
        self._public_url = public_url

    async def get_build(self, request: pb.GetBuildRequest, ctx: RequestContext[Any, Any], /) -> pb.GetBuildResponse:
        """One build."""
        build, record = await self._builds.get(request.build_id)
        return pb.GetBuildResponse(build=pb.Build(**build_fields(build, record)))

    async def list_builds(
        self, request: pb.ListBuildsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListBuildsResponse:
        """A page of a project's builds, the newest first."""
        found, next_token = await self._builds.page(request.project_id, request.page_size, request.page_token)
        return pb.ListBuildsResponse(
            builds=[pb.Build(**build_fields(build, record)) for build, record in found], next_page_token=next_token
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
