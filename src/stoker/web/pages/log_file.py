"""Files of logs: of a step, as it was written or as it is shown, and of a whole build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from stoker.web.log_files import LogFiles
from stoker.web.seen_build import SeenBuildPages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.web.page import WebContext
    from stoker.web.seen_build import BuildRendering

# What a build wrote is never more than text, whatever a browser thinks of it.
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"


class LogFilePages(SeenBuildPages):
    """Files of logs, sent in pieces while they are made."""

    def __init__(self, context: WebContext, rendering: BuildRendering) -> None:
        super().__init__(context, rendering)
        self._files = LogFiles(self.services.records)

    async def download_step(self, request: Request) -> Response:
        """GET …/steps/{number}/log.txt: all stored lines of a step's log, as they were written."""
        seen = await self.seen(request)
        step = await self.step(request, seen.build)
        name = f"{seen.build.id}-step-{step.number}.txt"
        return _file(self._files.raw(seen.build, step), f'attachment; filename="{name}"')

    async def show_step(self, request: Request) -> Response:
        """GET …/steps/{number}/raw.txt: the same to read in the browser, without escape sequences."""
        seen = await self.seen(request)
        step = await self.step(request, seen.build)
        return _file(self._files.text(seen.build, step), "inline")

    async def download_build(self, request: Request) -> Response:
        """GET …/log.txt: the logs of all steps of a build in one file, without escape sequences."""
        seen = await self.seen(request)
        return _file(self._files.whole(seen.build), f'attachment; filename="{seen.build.id}.txt"')


def _file(pieces: AsyncGenerator[bytes], disposition: str) -> Response:
    headers = {"content-disposition": disposition, "content-security-policy": _POLICY}
    return StreamingResponse(pieces, 200, headers, "text/plain; charset=utf-8")
