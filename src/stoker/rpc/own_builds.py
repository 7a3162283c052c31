"""`stoker.v1.BuildService`: what the Build API doesn't say of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker._gen.stoker.v1 import builds_pb as pb
from stoker._gen.stoker.v1.builds_connect import BuildService
from stoker.rpc.caller import caller

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.steps import BuildWarning
    from stoker.services.records import RecordService


class OwnBuildHandlers(BuildService):
    """Builds, beyond the Build API."""

    def __init__(self, records: RecordService) -> None:
        self._records = records

    async def list_build_warnings(
        self, request: pb.ListBuildWarningsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListBuildWarningsResponse:
        """What a build was warned of."""
        found = await self._records.warnings(caller(), request.build_id)
        return pb.ListBuildWarningsResponse(warnings=[_warning(warning) for warning in found])


def _warning(warning: BuildWarning) -> pb.BuildWarning:
    line = warning.ranges[0].first_line if warning.ranges else 0
    return pb.BuildWarning(message=warning.short, filename=warning.filename, line=line, url=warning.url)
