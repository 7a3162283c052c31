"""`stoker.v1.BuildService`: what the Build API lacks about builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker._gen.depot.core.v1.build_pb import Build as CoreBuild
from stoker._gen.stoker.v1 import builds_pb as pb
from stoker._gen.stoker.v1.builds_connect import BuildService as OwnBuilds
from stoker.domain.builds import BuildFilter, is_cancellation
from stoker.domain.errors import InvalidInput
from stoker.domain.pagination import checked_numbered_page
from stoker.domain.platforms import platform_named
from stoker.rpc.caller import caller
from stoker.rpc.encoding import decode_moment, encode_moment
from stoker.rpc.stoker.audit import encode_party
from stoker.rpc.stoker.build_origins import encode_origin
from stoker.rpc.summarized_builds import STATUS_ON_WIRE, build_fields

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.builds import Build, BuildStatus
    from stoker.domain.steps import BuildWarning, LogLine, RecordSummary, Step
    from stoker.rpc.summarized_builds import SummarizedBuilds
    from stoker.services.build_logs import BuildLogService
    from stoker.services.cancellation import CancellationService
    from stoker.services.records import RecordService

_STATUS = {wire: status for status, wire in STATUS_ON_WIRE.items()}
_STDERR = 2


class OwnBuildHandlers(OwnBuilds):
    """Builds, beyond the Build API."""

    def __init__(
        self,
        builds: SummarizedBuilds,
        records: RecordService,
        logs: BuildLogService,
        cancellation: CancellationService,
        public_url: str,
    ) -> None:
        self._builds = builds
        self._records = records
        self._logs = logs
        self._cancellation = cancellation
        self._public_url = public_url

    async def get_build(self, request: pb.GetBuildRequest, ctx: RequestContext[Any, Any], /) -> pb.GetBuildResponse:
        """One build."""
        build, record = await self._builds.get(request.build_id)
        origins = await self._builds.origins([build])
        return pb.GetBuildResponse(build=self._encode(build, record, origins[build.id]))

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
            builds=[self._encode(build, record, origins[build.id]) for build, record in found],
            next_page_token=next_token,
        )

    async def list_build_steps(
        self, request: pb.ListBuildStepsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListBuildStepsResponse:
        """A page of a build's steps, in the order in which they began."""
        wanted = checked_numbered_page(request.page_size, request.page_token)
        page, may_grow = await self._logs.steps(caller(), request.build_id, wanted)
        steps = [_step(step) for step in page.items]
        return pb.ListBuildStepsResponse(steps=steps, next_page_token=page.next_token or "", may_grow=may_grow)

    async def list_log_lines(
        self, request: pb.ListLogLinesRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListLogLinesResponse:
        """A page of the log of a build's step."""
        wanted = checked_numbered_page(request.page_size, request.page_token)
        page = await self._logs.lines(caller(), request.build_id, request.step_number, wanted)
        return pb.ListLogLinesResponse(
            lines=[_line(line) for line in page.items], next_page_token=page.next_token or ""
        )

    async def get_build_failure(
        self, request: pb.GetBuildFailureRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.GetBuildFailureResponse:
        """The step that made a build fail, its line in the Dockerfile, and the end of its log."""
        failure = await self._logs.failure(caller(), request.build_id)
        if failure is None:
            return pb.GetBuildFailureResponse()
        answer = pb.GetBuildFailureResponse(step=_step(failure.step), lines=[_line(line) for line in failure.lines])
        if failure.place is not None:
            answer.filename, answer.line = failure.place.filename, failure.place.number
            answer.instruction = failure.place.text
        return answer

    async def list_build_warnings(
        self, request: pb.ListBuildWarningsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListBuildWarningsResponse:
        """What a build was warned of."""
        found = await self._records.warnings(caller(), request.build_id)
        return pb.ListBuildWarningsResponse(warnings=[_warning(warning) for warning in found])

    def _encode(self, build: Build, record: RecordSummary, origin: BuildOrigin) -> pb.Build:
        return pb.Build(
            **build_fields(build, record),
            project_id=build.project_id,
            error=build.error or "",
            begun_by=None if build.begun_by is None else encode_party(build.begun_by),
            title=build.title,
            origin=encode_origin(origin),
            build_url=f"{self._public_url}/builds/{build.id}",
        )


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


def _warning(warning: BuildWarning) -> pb.BuildWarning:
    line = warning.ranges[0].first_line if warning.ranges else 0
    return pb.BuildWarning(message=warning.short, filename=warning.filename, line=line, url=warning.url)


def _step(step: Step) -> pb.BuildStep:
    return pb.BuildStep(
        number=step.number,
        name=step.name,
        platform=step.platform,
        started_at=encode_moment(step.started_at),
        completed_at=encode_moment(step.completed_at),
        cached=step.cached,
        error=step.error or "",
        canceled=step.error is not None and is_cancellation(step.error),
        log_lines=step.log_lines,
    )


def _line(line: LogLine) -> pb.LogLine:
    return pb.LogLine(
        number=line.number + 1,
        written_at=encode_moment(line.at),
        is_stderr=line.stream == _STDERR,
        text=line.text,
    )
