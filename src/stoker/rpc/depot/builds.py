"""`depot.build.v1.BuildService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf import Oneof
from protobuf.wkt import Timestamp

from stoker._gen.depot.build.v1 import build_pb as pb
from stoker._gen.depot.build.v1.build_connect import BuildService as Builds
from stoker.domain.builds import BuildResult, BuildStatus
from stoker.domain.pagination import checked_numbered_page
from stoker.rpc.caller import caller
from stoker.rpc.encoding import encode_moment

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.steps import Step
    from stoker.services.builds import BuildService
    from stoker.services.records import RecordService

_CacheState = pb.GetBuildStepsResponse.BuildStep.CacheState


class BuildHandlers(Builds):
    """Builds, for SDKs."""

    def __init__(self, builds: BuildService, records: RecordService) -> None:
        self._builds = builds
        self._records = records

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
            case Oneof(field="error", value=failure):
                result = BuildResult(BuildStatus.FAILED, failure.error)
            case _:
                # Depot's documentation: "the error result if there was one".
                result = BuildResult(BuildStatus.SUCCEEDED)
        await self._builds.finish(caller(), request.build_id, result)
        return pb.FinishBuildResponse()

    async def get_build_steps(
        self, request: pb.GetBuildStepsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.GetBuildStepsResponse:
        """A page of a build's steps, in the order in which they were first seen."""
        wanted = checked_numbered_page(request.page_size, request.page_token)
        page = await self._records.list_steps(caller(), request.project_id, request.build_id, wanted)
        response = pb.GetBuildStepsResponse(build_steps=[_encode_step(step) for step in page.items])
        if page.next_token is not None:
            response.next_page_token = page.next_token
        return response

    async def get_build_step_logs(
        self, request: pb.GetBuildStepLogsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.GetBuildStepLogsResponse:
        """A page of a step's log. All messages joined are what the step wrote."""
        wanted = checked_numbered_page(request.page_size, request.page_token)
        page = await self._records.list_lines(
            caller(), request.project_id, request.build_id, request.build_step_digest, wanted
        )
        logs = [
            pb.GetBuildStepLogsResponse.Log(message=line.text, timestamp=Timestamp.from_datetime(line.at))
            for line in page.items
        ]
        response = pb.GetBuildStepLogsResponse(logs=logs)
        if page.next_token is not None:
            response.next_page_token = page.next_token
        return response


def _encode_step(step: Step) -> pb.GetBuildStepsResponse.BuildStep:
    encoded = pb.GetBuildStepsResponse.BuildStep(
        name=step.name,
        digest=step.digest,
        started_at=encode_moment(step.started_at),
        completed_at=encode_moment(step.completed_at),
        cache_state=_CacheState.CACHED if step.cached else _CacheState.UNCACHED,
        has_logs=step.log_bytes > 0,
    )
    if step.error is not None:
        encoded.error = step.error
    return encoded
