"""A build's page, whose address clients print, and its shared page."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from starlette.responses import Response

from stoker.domain.build_failure import dockerfile_line, failed_step
from stoker.domain.build_origins import NO_ORIGIN
from stoker.domain.build_titles import origin_line, origin_pieces, web_pages_of, who_began
from stoker.domain.build_waits import build_waits
from stoker.domain.build_work import with_running
from stoker.domain.builds import BuildStatus
from stoker.domain.errors import FailedPrecondition, InvalidInput, NotFound
from stoker.domain.people import Role
from stoker.domain.shortening import shortened
from stoker.domain.step_filter import ALL_STEPS, MAX_NAME_LENGTH, StepKind
from stoker.domain.terminal_text import shown_text
from stoker.domain.text_search import TextSearch
from stoker.web.ansi import log_html, marked_html
from stoker.web.events import MADE_FOR_ONE, event_stream
from stoker.web.folding import folded, unfolded
from stoker.web.forms import read_form
from stoker.web.page import SignInFirst, go_to, rendered_in_pieces
from stoker.web.seen_build import SeenBuildPages, follows, is_number, subject_of
from stoker.web.steps_view import StepsView, asked_steps
from stoker.web.timeline import (
    bars,
    canceled_steps,
    failure_reasons,
    scale_of,
    wait_bars,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from starlette.requests import Request

    from stoker.domain.build_analysis import BuildAnalysis
    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.principals import Principal
    from stoker.domain.steps import LogLine, RecordSummary, Step
    from stoker.services.comparisons import LastGoodBuild
    from stoker.services.lookup import ReadableBuild
    from stoker.web.live import Subject
    from stoker.web.seen_build import SeenBuild

_MOST_RUNNING = 5
_TAIL_LINES = 5
_MOST_WORDS = 300


class BuildPages(SeenBuildPages):
    """Builds, for members of their organization, and for anyone while they are shared."""

    async def show(self, request: Request) -> Response:
        """GET /builds/{build_id} and /share/{share_id}: a build and its steps."""
        seen = await self.seen(request)
        view = asked_steps(request)
        subject = self._subject(seen.build)
        return await self.rendering.make(request, seen, subject, view.query, lambda: self._page(seen, view))

    async def _page(self, seen: SeenBuild, view: StepsView) -> str:
        build, records, sizes = seen.build, self.services.records, self.context.page_sizes
        summary = await records.summary_of(build)
        analysis = await self.services.analysis.analysis_of(build, summary.state)
        shown, has_more = await records.steps_of(build, sizes.steps, view.after, view.wanted)
        is_live = follows(build, summary.state)
        running = await records.running_steps_of(build) if is_live else []
        with_errors = await records.failed_steps_of(build)
        failed = failed_step(with_errors)
        dockerfiles = await records.dockerfiles_of(build) if failed is not None else []
        origin = await self._origin(seen)
        now = self.context.now()
        work = with_running(summary.work, running, now)
        waits = build_waits(build, _first_work(summary), now)
        end = now if is_live else work.ended_at or build.finished_at or now
        scale = scale_of(work.begun_at or end, end, waits)
        critical = {step.number for step in analysis.path.steps}
        return await rendered_in_pieces(
            "build.html",
            seen.who,
            seen=seen,
            build=build,
            origin=origin,
            pieces=origin_pieces(origin, who_began(build.begun_by, origin)) if seen.own is not None else (),
            repository_url=web_pages_of(origin).root,
            summary=summary,
            work=work,
            analysis=analysis,
            last_good=await self._last_good(seen, analysis),
            usual=await self.services.comparisons.usual_duration(seen.own) if seen.own is not None else None,
            compare_url=web_pages_of(origin).comparison,
            origin_line=origin_line,
            warnings=await records.warnings_of(build),
            attestations=await records.attestations_of(seen.own) if seen.own is not None else [],
            sizes=sizes,
            now=now,
            follows=is_live,
            running=running,
            running_numbers={step.number for step in running},
            most_running=_MOST_RUNNING,
            last_words=await self._last_words(build, running[:_MOST_RUNNING]),
            waiting=next((wait for wait in waits if not wait.is_over), None),
            wait_bars=wait_bars(waits, scale) if view == StepsView() else [],
            platforms={
                platform: list(folded(found) if view.wanted == ALL_STEPS else unfolded(found))
                for platform, found in bars(shown, scale, critical, is_over=not is_live).items()
            },
            view=view,
            kinds=[kind.value for kind in StepKind],
            max_name_length=MAX_NAME_LENGTH,
            ticks=scale.ticks(),
            failed=failed,
            canceled=canceled_steps(with_errors),
            reasons=failure_reasons(failed, build.error),
            failed_lines=await self._last_lines(build, failed, sizes.failed_lines) if failed is not None else [],
            failed_place=dockerfile_line(failed, dockerfiles) if failed is not None else None,
            tails=await records.tails_of(build, _by_interest(shown, failed), sizes.step_lines, sizes.lines),
            log_html=log_html,
            next_after=shown[-1].number if has_more and shown else None,
        )

    async def search(self, request: Request) -> Response:
        """GET …/search?q=: lines of the build's logs that contain a text."""
        seen = await self.seen(request)
        text = request.query_params.get("q", "").strip()
        subject, name = self._subject(seen.build), f"/search?{text}"
        return await self.rendering.make(
            request, seen, subject, name, lambda: self._search_page(seen, text), searches=True
        )

    async def _search_page(self, seen: SeenBuild, text: str) -> str:
        sizes = self.context.page_sizes
        search = TextSearch(text)
        found, is_whole = await self.services.records.search(seen.build, search, sizes.search_hits, sizes.search_bytes)
        return await rendered_in_pieces(
            "search.html",
            seen.who,
            seen=seen,
            build=seen.build,
            text=text,
            groups=[(first, list(lines)) for first, lines in groupby(found, lambda one: (one.step, one.name))],
            count=len(found),
            is_whole=is_whole,
            marked_html=partial(marked_html, search=search),
        )

    async def attestation(self, request: Request) -> Response:
        """GET /builds/{build_id}/attestations/{number}: a provenance or an SBOM, for members only."""
        seen = await self.seen(request)
        if seen.own is None:
            raise SignInFirst(request)
        text = request.path_params["number"]
        if not is_number(text):
            raise NotFound("attestations have numbers; open the build's page to see those that it has")
        found = await self.services.records.attestation_of(seen.own, int(text))
        name = f"{seen.build.id}-{found.kind.lower()}-{text}.json"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(found.content, 200, headers, "application/json")

    async def events(self, request: Request) -> Response:
        """GET …/events: server-sent events for changes, until the build and its record are complete."""
        seen = await self.seen(request)
        weight = 1 if seen.is_same_for_all else MADE_FOR_ONE
        subject = self._subject(seen.build)
        return event_stream(self.context, self.rendering.live, subject, lambda: self.seen(request), weight)

    async def share(self, request: Request) -> Response:
        """POST /builds/{build_id}/share: start or stop sharing the build."""
        build_id, caller, form = await self._form_of_member(request)
        if form.get("decision") == "share":
            await self.services.sharing.share(caller, build_id)
        elif form.get("decision") == "stop":
            await self.services.sharing.stop_sharing(caller, build_id)
        else:
            raise InvalidInput("this form says neither to share the build nor to stop sharing it; open its page again")
        return go_to(f"/builds/{build_id}")

    async def cancel(self, request: Request) -> Response:
        """POST /builds/{build_id}/cancel: cancel the build."""
        build_id, caller, _ = await self._form_of_member(request)
        # It may have ended since the page was rendered; then the page says how.
        with suppress(FailedPrecondition):
            await self.services.cancellation.cancel(caller, build_id)
        return go_to(f"/builds/{build_id}")

    async def _form_of_member(self, request: Request) -> tuple[str, Principal, dict[str, str]]:
        """The build of a form, its sender as a member, and its fields."""
        build_id: str = request.path_params["build_id"]
        who = await self.signed_in(request, f"/builds/{build_id}")
        form = await read_form(request)
        who.require_form(form)
        person = await self.services.authentication.person(who.person.id, "session")
        return build_id, replace(person, needed_role=Role.MEMBER), form

    async def _origin(self, seen: SeenBuild) -> BuildOrigin:
        """Where the build comes from. Readers of a shared page see its title alone."""
        if seen.own is None or seen.caller is None:
            return NO_ORIGIN
        return (await self.services.builds.origins(seen.caller, [seen.own]))[seen.own.id]

    async def _last_good(self, seen: SeenBuild, analysis: BuildAnalysis) -> LastGoodBuild | None:
        """The last good build before a failed one, for members."""
        if seen.own is None or seen.caller is None or seen.build.status is not BuildStatus.FAILED:
            return None
        return await self.services.comparisons.last_good_build(seen.caller, seen.own, analysis)

    async def _last_lines(self, build: ReadableBuild, step: Step, size: int) -> Sequence[LogLine]:
        return await self.services.records.lines_of(build, step.number, max(step.log_lines - size, 0), size)

    async def _last_words(self, build: ReadableBuild, running: Sequence[Step]) -> dict[int, str]:
        """The last line that isn't empty of steps' logs, by the steps' numbers."""
        if not any(step.log_lines for step in running):
            return {}
        size = len(running) * _TAIL_LINES
        tails = await self.services.records.tails_of(build, running, _TAIL_LINES, size)
        return {number: words for number, lines in tails.items() if (words := _last_of(lines))}

    def _subject(self, build: ReadableBuild) -> Subject:
        return subject_of(self.services.records, build)


def _first_work(summary: RecordSummary) -> datetime | None:
    """When a build's machine was first seen to be ready: a solve or a step began."""
    return min(filter(None, (summary.first_solve_at, summary.work.begun_at)), default=None)


def _last_of(lines: Sequence[LogLine]) -> str:
    texts = (shown_text(line.text).strip() for line in reversed(lines))
    return shortened(next(filter(None, texts), ""), _MOST_WORDS)


def _by_interest(steps: Sequence[Step], failed: Step | None) -> list[Step]:
    """Steps in the order in which their logs are read: the failed one, then the newest."""
    return sorted(steps, key=lambda one: (failed is None or one.number != failed.number, -one.number))
