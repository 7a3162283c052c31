"""`stoker.v1.BuildService`: what the Build API lacks about builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker._gen.depot.core.v1.build_pb import Build as CoreBuild
from stoker._gen.stoker.v1 import builds_pb as pb
from stoker._gen.stoker.v1.builds_connect import BuildService as OwnBuilds
from stoker.domain.builds import BuildFilter
from stoker.domain.errors import InvalidInput
from stoker.domain.platforms import platform_named
from stoker.rpc.caller import caller
from stoker.rpc.encoding import decode_moment
from stoker.rpc.stoker.audit import encode_party
from stoker.rpc.stoker.build_origins import encode_origin
from stoker.rpc.summarized_builds import STATUS_ON_WIRE, build_fields

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.builds import Build, BuildStatus
    from stoker.domain.steps import BuildWarning, RecordSummary
    from stoker.rpc.summarized_builds import SummarizedBuilds
    from stoker.services.cancellation import CancellationService
    from stoker.services.records import RecordService

_STATUS = {wire: status for status, wire in STATUS_ON_WIRE.items()}


class OwnBuildHandlers(OwnBuilds):
    """Builds, beyond the Build API."""

    def __init__(self, builds: SummarizedBuilds, records: RecordService, cancellation: CancellationService) -> None:
        self._builds = builds
        self._records = records
        self._cancellation = cancellation

    async def get_build(self, request: pb.GetBuildRequest, ctx: RequestContext[Any, Any], /) -> pb.GetBuildResponse:
        """One build."""
        build, record = await self._builds.get(request.build_id)
        origins = await self._builds.origins([build])
        return pb.GetBuildResponse(build=_encode(build, record, origins[build.id]))

    async def cancel_build(
        self, request: pb.CancelBuildRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.CancelBuildResponse:
        """End a running build as canceled."""
        await self._cancellation.cancel(caller(), request.build_id)
        return pb.CancelBuildResponse()

    async def list_builds(
        self, request: pb.ListBuildsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListBuildsResponse:
        """A page of a project's builds, the newest first."""
        wanted = _decode_filter(request)
        found, next_token = await self._builds.page(request.project_id, request.page_size, request.page_token, wanted)
        origins = await self._builds.origins([build for build, _ in found])
        return pb.ListBuildsResponse(
            builds=[_encode(build, record, origins[build.id]) for build, record in found], next_page_token=next_token
        )

    async def list_build_warnings(
        self, request: pb.ListBuildWarningsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListBuildWarningsResponse:
        """What a build was warned of."""
        found = await self._records.warnings(caller(), request.build_id)
        return pb.ListBuildWarningsResponse(warnings=[_warning(warning) for warning in found])


def _decode_filter(request: pb.ListBuildsRequest) -> BuildFilter:
    return BuildFilter(
        status=_decode_status(request.status),
        begun_by=request.begun_by.strip(),
        search=request.search.strip(),
        branch=request.branch.strip(),
        target=request.target.strip(),
        platform=platform_named(request.platform),
        since=decode_moment(request.since, "since"),
    )


def _decode_status(status: CoreBuild.Status) -> BuildStatus | None:
    if status is CoreBuild.Status.UNSPECIFIED:
        return None
    if status not in _STATUS:
        raise InvalidInput(f"no build has the status {status.name}")
    return _STATUS[status]


def _encode(build: Build, record: RecordSummary, origin: BuildOrigin) -> pb.Build:
    return pb.Build(
        **build_fields(build, record),
        project_id=build.project_id,
        error=build.error or "",
        begun_by=None if build.begun_by is None else encode_party(build.begun_by),
        title=build.title,
        origin=encode_origin(origin),
    )


def _warning(warning: BuildWarning) -> pb.BuildWarning:
    line = warning.ranges[0].first_line if warning.ranges else 0
    return pb.BuildWarning(message=warning.short, filename=warning.filename, line=line, url=warning.url)
