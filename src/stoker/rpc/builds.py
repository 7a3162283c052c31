"""`depot.build.v1.BuildService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf import Oneof

from stoker._gen.depot.build.v1 import build_pb as pb
from stoker._gen.depot.build.v1.build_connect import BuildService as Builds
from stoker.domain.builds import BuildResult, BuildStatus
from stoker.domain.errors import InvalidInput
from stoker.rpc.caller import caller

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.services.builds import BuildService


class BuildHandlers(Builds):
    """Builds, for SDKs."""

    def __init__(self, builds: BuildService) -> None:
        self._builds = builds

    async def create_build(
        self, request: pb.CreateBuildRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.CreateBuildResponse:
        """Create a build, and the token with which its client gets an endpoint."""
        created = await self._builds.create(caller(), request.project_id)
        return pb.CreateBuildResponse(build_id=created.build.id, build_token=created.token)

    async def finish_build(
        self, request: pb.FinishBuildRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.FinishBuildResponse:
        """End a build; its endpoints close."""
        match request.result:
            case Oneof(field="success"):
                result = BuildResult(BuildStatus.SUCCEEDED)
            case Oneof(field="error", value=failure):
                result = BuildResult(BuildStatus.FAILED, failure.error)
            case _:
                raise InvalidInput("result is not given; say success or error")
        await self._builds.finish(caller(), request.build_id, result)
        return pb.FinishBuildResponse()
