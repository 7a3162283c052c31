"""Reads builds with the summaries of their records, for `depot.core.v1` and `stoker.v1`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from protobuf.wkt import Timestamp

from stoker._gen.depot.core.v1.build_pb import Build as CoreBuild
from stoker.domain.builds import ALL_BUILDS, BuildStatus
from stoker.domain.pagination import checked_page
from stoker.rpc.caller import caller
from stoker.rpc.encoding import encode_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.builds import Build, BuildFilter
    from stoker.domain.steps import RecordSummary
    from stoker.services.builds import BuildService
    from stoker.services.lookup import MemberBuild
    from stoker.services.records import RecordService

STATUS_ON_WIRE = {
    BuildStatus.RUNNING: CoreBuild.Status.RUNNING,
    BuildStatus.SUCCEEDED: CoreBuild.Status.SUCCESS,
    BuildStatus.FAILED: CoreBuild.Status.FAILED,
    BuildStatus.CANCELED: CoreBuild.Status.CANCELED,
}
"""The wire values of builds' states."""


class BuildFields(TypedDict):
    """The fields that both messages of a build have."""

    build_id: str
    status: CoreBuild.Status
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    build_duration_seconds: int | None
    saved_duration_seconds: int
    cached_steps: int
    total_steps: int


class SummarizedBuilds:
    """Reads the caller's builds with the summaries of their records."""

    def __init__(self, builds: BuildService, records: RecordService) -> None:
        self._builds = builds
        self._records = records

    async def get(self, build_id: str) -> tuple[MemberBuild, RecordSummary]:
        """One build; errors are those of `BuildService.get`."""
        build = await self._builds.get(caller(), build_id)
        return build, await self._records.summary_of(build)

    async def page(
        self, project_id: str, page_size: int, page_token: str, wanted: BuildFilter = ALL_BUILDS
    ) -> tuple[list[tuple[MemberBuild, RecordSummary]], str]:
        """A page of a project's builds, the newest first, and the next page's token.

        Errors are those of `BuildService.list`.
        """
        page = await self._builds.list(caller(), project_id, checked_page(page_size, page_token), wanted)
        summaries = await self._records.summaries(page.items)
        return [(build, summaries[build.id]) for build in page.items], page.next_token or ""

    async def origins(self, builds: Sequence[MemberBuild]) -> dict[str, BuildOrigin]:
        """Where builds come from, by their ids."""
        return await self._builds.origins(caller(), builds)


def build_fields(build: Build, record: RecordSummary) -> BuildFields:
    """The fields that both messages of a build have."""
    return BuildFields(
        build_id=build.id,
        status=STATUS_ON_WIRE[build.status],
        created_at=Timestamp.from_datetime(build.created_at),
        started_at=encode_moment(build.started_at),
        finished_at=encode_moment(build.finished_at),
        build_duration_seconds=None if build.duration_seconds is None else round(build.duration_seconds),
        saved_duration_seconds=round(record.saved.total_seconds()),
        cached_steps=record.cached_steps,
        total_steps=record.steps,
    )
