"""`depot.cli.v1.BuildService`: what `depot build` and `depot bake` call."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from protobuf import Oneof
from protobuf.wkt import Timestamp

from stoker._gen.depot.cli.v1 import build_pb as pb
from stoker._gen.depot.cli.v1.build_connect import BuildService as CliBuilds
from stoker.buildkit.progress import decode_in_parts
from stoker.domain.builds import BuildResult, BuildStatus
from stoker.domain.masking import mask_secrets
from stoker.domain.pagination import checked_page
from stoker.domain.shortening import shortened
from stoker.domain.steps import Timing
from stoker.rpc.caller import caller
from stoker.rpc.depot.engines import require_buildkit
from stoker.rpc.depot.no_registry import no_registry, require_nothing_saved
from stoker.rpc.depot.requested_origins import requested_origin
from stoker.rpc.encoding import decode_moment, decode_platform, encode_moment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker._gen.moby.buildkit.v1.control_pb import StatusResponse
    from stoker.domain.builds import Build
    from stoker.domain.progress import Progress
    from stoker.services.builds import BuildService
    from stoker.services.endpoints import EndpointService
    from stoker.services.reports import ReportService

_LONGEST_TEXT = 4096

_STATUS = {
    BuildStatus.RUNNING: pb.BuildStatus.RUNNING,
    BuildStatus.SUCCEEDED: pb.BuildStatus.FINISHED,
    BuildStatus.FAILED: pb.BuildStatus.FAILED,
    BuildStatus.CANCELED: pb.BuildStatus.CANCELED,
}


class CliBuildHandlers(CliBuilds):
    """Builds, for the depot CLI."""

    def __init__(
        self,
        builds: BuildService,
        endpoints: EndpointService,
        reports: ReportService,
        public_url: str,
        connection_wait: timedelta,
    ) -> None:
        self._builds = builds
        self._endpoints = endpoints
        self._reports = reports
        self._public_url = public_url
        self._connection_wait = connection_wait

    async def create_build(
        self, request: pb.CreateBuildRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.CreateBuildResponse:
        """Create a build, and the token that the CLI uses from then on."""
        require_buildkit(request.required_engine)
        require_nothing_saved(request.options)
        created = await self._builds.create_or_ask(caller(), request.project_id, requested_origin(request.options))
        return pb.CreateBuildResponse(
            build_id=created.build.id,
            build_token=created.token,
            build_url=self._build_url(created.build.id),
            project_id=created.build.project_id,
        )

    async def get_build(self, request: pb.GetBuildRequest, ctx: RequestContext[Any, Any], /) -> pb.GetBuildResponse:
        """The build that DEPOT_BUILD_ID names."""
        build = await self._builds.get(caller(), request.build_id)
        return pb.GetBuildResponse(build_id=build.id, project_id=build.project_id, build_url=self._build_url(build.id))

    async def finish_build(
        self, request: pb.FinishBuildRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.FinishBuildResponse:
        """End a build; its endpoints close."""
        match request.result:
            case Oneof(field="error", value=failure):
                result = BuildResult(BuildStatus.FAILED, getattr(failure, "error", ""))
            case Oneof(field="canceled"):
                result = BuildResult(BuildStatus.CANCELED)
            case _:
                # Depot's documentation: "the error result if there was one".
                result = BuildResult(BuildStatus.SUCCEEDED)
        await self._builds.finish(caller(), request.build_id, result)
        return pb.FinishBuildResponse()

    async def get_build_kit_connection(
        self, request: pb.GetBuildKitConnectionRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.GetBuildKitConnectionResponse:
        """The endpoint as soon as the machine is ready, or pending after some seconds."""
        require_buildkit(request.required_engine)
        platform = decode_platform(request.platform)
        endpoint = await self._endpoints.get(caller(), request.build_id, platform)
        if endpoint is None:
            wait_ms = max(1, int(self._connection_wait.total_seconds() * 1000))
            pending = pb.GetBuildKitConnectionResponse.PendingConnection(wait_ms=wait_ms)
            return pb.GetBuildKitConnectionResponse(connection=Oneof(field="pending", value=pending))
        active = pb.GetBuildKitConnectionResponse.ActiveConnection(
            endpoint=endpoint.address,
            server_name=endpoint.server_name,
            cert=pb.Cert(cert=endpoint.certificate, key=endpoint.private_key),
            ca_cert=pb.Cert(cert=endpoint.ca_certificate),
        )
        return pb.GetBuildKitConnectionResponse(connection=Oneof(field="active", value=active))

    async def get_pull_info(
        self, request: pb.GetPullInfoRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.GetPullInfoResponse:
        """Refused: there is no registry to pull from."""
        raise no_registry()

    async def get_pull_token(
        self, request: pb.GetPullTokenRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.GetPullTokenResponse:
        """Refused: there is no registry to pull from."""
        raise no_registry()

    async def list_builds(
        self, request: pb.ListBuildsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListBuildsResponse:
        """A page of a project's builds, the newest first."""
        page = await self._builds.list(
            caller(), request.project_id, checked_page(request.page_size, request.page_token)
        )
        return pb.ListBuildsResponse(
            builds=[_listed(build) for build in page.items], next_page_token=page.next_token or ""
        )

    async def report_build_health(
        self, request: pb.ReportBuildHealthRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ReportBuildHealthResponse:
        """Keep the build alive, and tell the CLI when it has ended."""
        platform = decode_platform(request.platform)
        health = await self._endpoints.report_cli_health(caller(), request.build_id, platform)
        if health.cancels_at is None:
            return pb.ReportBuildHealthResponse()
        return pb.ReportBuildHealthResponse(cancels_at=Timestamp.from_datetime(health.cancels_at))

    async def report_status_stream(
        self, request: AsyncIterator[pb.ReportStatusStreamRequest], ctx: RequestContext[Any, Any], /
    ) -> pb.ReportStatusStreamResponse:
        """Record what the CLI reports of its own work, such as connecting, until the stream ends."""
        async for message in request:
            await self._reports.report_progress(caller(), message.build_id, _progress(message.statuses))
        return pb.ReportStatusStreamResponse()

    async def report_status(
        self, request: pb.ReportStatusRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ReportStatusResponse:
        """The same in one message."""
        await self._reports.report_progress(caller(), request.build_id, _progress(request.statuses))
        return pb.ReportStatusResponse()

    async def report_timings(
        self, request: pb.ReportTimingsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ReportTimingsResponse:
        """Record the CLI's own timings of the steps."""
        timings = (_timing(step) for step in request.build_steps)
        await self._reports.report_timings(caller(), request.build_id, timings)
        return pb.ReportTimingsResponse()

    async def report_build_context(
        self, request: pb.ReportBuildContextRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ReportBuildContextResponse:
        """Record the Dockerfiles."""
        dockerfiles = ((one.target, one.filename, one.contents) for one in request.dockerfiles)
        await self._reports.report_dockerfiles(caller(), request.build_id, dockerfiles)
        return pb.ReportBuildContextResponse()

    def _build_url(self, build_id: str) -> str:
        return f"{self._public_url}/builds/{build_id}"


def _progress(statuses: Iterable[StatusResponse]) -> Iterator[Progress]:
    """What a client reports, in parts that are decoded one after the other."""
    for status in statuses:
        yield from decode_in_parts(status)


def _timing(step: pb.BuildStep) -> Timing:
    return Timing(
        name=shortened(mask_secrets(step.name), _LONGEST_TEXT),
        started_at=decode_moment(step.start_time, "start_time"),
        duration=timedelta(milliseconds=step.duration_ms),
        cached=step.cached,
        error=shortened(mask_secrets(step.error), _LONGEST_TEXT) if step.has_field("error") else None,
        stable_digest=step.stable_digest[:256],
    )


def _listed(build: Build) -> pb.Build:
    return pb.Build(
        id=build.id,
        status=_STATUS[build.status],
        created_at=Timestamp.from_datetime(build.created_at),
        finished_at=encode_moment(build.finished_at),
    )
