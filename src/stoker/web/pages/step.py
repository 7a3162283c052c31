"""A step's page: its log in windows, live while the step runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from stoker.domain.steps import may_log_more
from stoker.web.ansi import log_html
from stoker.web.events import MADE_FOR_ONE, event_stream
from stoker.web.live import Subject
from stoker.web.log_view import asked_view
from stoker.web.page import rendered_in_pieces
from stoker.web.seen_build import SeenBuildPages, follows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.domain.steps import Step
    from stoker.services.lookup import ReadableBuild
    from stoker.web.log_view import LogView
    from stoker.web.seen_build import SeenBuild

_DOWNLOADED_LINES = 1000


class StepPages(SeenBuildPages):
    """Steps of builds, and their logs."""

    async def show(self, request: Request) -> Response:
        """GET …/steps/{number}: a window of a step's log; the end, or the part with ``?line=``."""
        seen = await self.seen(request)
        step = await self.step(request, seen.build)
        view = asked_view(request.query_params)
        name = f"/steps/{step.number}{view.query}"
        subject = self._subject(seen.build, step.number)
        return await self.rendering.make(request, seen, subject, name, lambda: self._page(seen, step.number, view))

    async def _page(self, seen: SeenBuild, number: int, view: LogView) -> str:
        build, records, window = seen.build, self.services.records, self.context.page_sizes.window_lines
        summary = await records.summary_of(build)
        analysis = await self.services.analysis.analysis_of(build, summary.state)
        # Not the step as it was when the page was asked for, which was before it had its turn.
        step, now = await records.step_of(build, number), self.context.now()
        first = view.first(step.log_lines, window)
        return await rendered_in_pieces(
            "step.html",
            seen.who,
            seen=seen,
            build=build,
            step=step,
            here=f"{seen.base}/steps/{number}",
            view=view,
            now=now,
            runs=follows(build, summary.state) and step.completed_at is None,
            follows=follows(build, summary.state) and may_log_more(step, now),
            neighbours=await records.neighbours_of(build, number),
            miss=analysis.misses.get(number),
            is_critical=any(one.number == number for one in analysis.path.steps),
            lines=await records.lines_of(build, number, first, window),
            first=first,
            window=window,
            html=log_html(),
        )

    async def events(self, request: Request) -> Response:
        """GET …/steps/{number}/events: server-sent events for changes, until the step has ended."""
        seen = await self.seen(request)
        step = await self.step(request, seen.build)
        weight = 1 if seen.is_same_for_all else MADE_FOR_ONE
        subject = self._subject(seen.build, step.number)
        return event_stream(self.context, self.rendering.live, subject, lambda: self.seen(request), weight)

    async def download(self, request: Request) -> Response:
        """GET …/steps/{number}/log.txt: all stored lines of a step's log, as they were written."""
        seen = await self.seen(request)
        step = await self.step(request, seen.build)
        headers = {"content-disposition": f'attachment; filename="{seen.build.id}-step-{step.number}.txt"'}
        return StreamingResponse(self._log(seen.build, step), 200, headers, "text/plain; charset=utf-8")

    async def _log(self, build: ReadableBuild, step: Step) -> AsyncGenerator[bytes]:
        for first in range(0, step.log_lines, _DOWNLOADED_LINES):
            lines = await self.services.records.lines_of(build, step.number, first, _DOWNLOADED_LINES)
            yield b"".join(line.content for line in lines)

    def _subject(self, build: ReadableBuild, number: int) -> Subject:
        records = self.services.records
        return Subject(
            f"step {number} of build {build.id}",
            lambda: records.follow(build),
            lambda: records.step_may_grow(build, number),
            ages=True,
        )
