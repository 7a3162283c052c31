"""A step's page: its log in windows, live while the step runs, and what a search finds in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stoker.domain.steps import may_log_more
from stoker.domain.text_search import MAX_LENGTH, TextSearch
from stoker.web.ansi import log_html
from stoker.web.events import MADE_FOR_ONE, event_stream
from stoker.web.live import Subject
from stoker.web.log_view import asked_view, hits_at
from stoker.web.page import rendered_in_pieces
from stoker.web.seen_build import SeenBuildPages, follows

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.services.lookup import ReadableBuild
    from stoker.web.log_view import Hits, LogView
    from stoker.web.seen_build import SeenBuild


class StepPages(SeenBuildPages):
    """Steps of builds, with their logs to follow and to search."""

    async def show(self, request: Request) -> Response:
        """GET …/steps/{number}: a window of a step's log; the end, the part with ``?line=``, or what ``?q=`` finds."""
        seen = await self.seen(request)
        number = (await self.step(request, seen.build)).number
        view = asked_view(request.query_params)
        search = TextSearch(view.text) if view.text else None
        return await self.rendering.make(
            request,
            seen,
            self._subject(seen.build, number),
            f"/steps/{number}{view.query}",
            lambda: self._page(seen, number, view, search),
            searches=search is not None,
        )

    async def _page(self, seen: SeenBuild, number: int, view: LogView, search: TextSearch | None) -> str:
        build, records, window = seen.build, self.services.records, self.context.page_sizes.window_lines
        summary = await records.summary_of(build)
        analysis = await self.services.analysis.analysis_of(build, summary.state)
        # Not the step as it was before the page waited in the queue.
        step, now = await records.step_of(build, number), self.context.now()
        hits = await self._hits(build, number, search, view.line) if search is not None else None
        shown = view if hits is None or view.line is not None else replace(view, line=hits.current)
        first = shown.first(step.log_lines, window)
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
            html=log_html(search),
            hits=hits,
            max_length=MAX_LENGTH,
        )

    async def events(self, request: Request) -> Response:
        """GET …/steps/{number}/events: server-sent events for changes, until the step has ended."""
        seen = await self.seen(request)
        step = await self.step(request, seen.build)
        weight = 1 if seen.is_same_for_all else MADE_FOR_ONE
        subject = self._subject(seen.build, step.number)
        return event_stream(self.context, self.rendering.live, subject, lambda: self.seen(request), weight)

    async def _hits(self, build: ReadableBuild, number: int, search: TextSearch, line: int | None) -> Hits:
        sizes = self.context.page_sizes
        found, is_whole = await self.services.records.search_step(
            build, number, search, sizes.found_lines, sizes.search_bytes
        )
        return hits_at([one + 1 for one in found], line, is_whole=is_whole)

    def _subject(self, build: ReadableBuild, number: int) -> Subject:
        records = self.services.records
        return Subject(
            f"step {number} of build {build.id}",
            lambda: records.follow(build),
            lambda: records.step_may_grow(build, number),
            ages=True,
        )
