"""A build's page, whose address clients print, and its shared page."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response, StreamingResponse

from stoker.domain.build_origins import NO_ORIGIN
from stoker.domain.build_titles import origin_line, origin_pieces, web_pages_of, who_began
from stoker.domain.builds import BuildStatus
from stoker.domain.errors import FailedPrecondition, InvalidInput, NotFound
from stoker.domain.people import Role
from stoker.domain.steps import RecordState
from stoker.web.ansi import log_html, marked_html
from stoker.web.events import MADE_FOR_ONE, event_stream
from stoker.web.forms import read_form
from stoker.web.live import Subject
from stoker.web.page import Pages, SignInFirst, go_to, rendered_in_pieces
from stoker.web.page_limits import caller_of
from stoker.web.render_queue import RenderQueue
from stoker.web.timeline import Scale, bars, canceled_steps, dockerfile_line, failed_step, failure_reasons

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from datetime import datetime

    from starlette.requests import Request

    from stoker.domain.build_analysis import BuildAnalysis
    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.builds import Build
    from stoker.domain.principals import Principal
    from stoker.domain.projects import Project
    from stoker.domain.steps import LogLine, RecordSummary, Step
    from stoker.services.comparisons import LastGoodBuild
    from stoker.services.lookup import MemberBuild, ReadableBuild
    from stoker.web.live import Live
    from stoker.web.page import WebContext
    from stoker.web.sessions import SignedIn

_DOWNLOADED_LINES = 1000
_MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class _Seen:
    """A build, the path of its pages, and its reader, who is None on a shared page.

    ``own`` is the same build for a member of its organization, who is the ``caller``.
    """

    build: ReadableBuild
    own: MemberBuild | None
    caller: Principal | None
    base: str
    who: SignedIn | None
    project: Project | None
    share_id: str | None
    may_work: bool

    @property
    def is_same_for_all(self) -> bool:
        """Whether all readers see the same page."""
        return self.who is None


class BuildPages(Pages):
    """Builds, for members of their organization, and for anyone while they are shared."""

    def __init__(self, context: WebContext, live: Live) -> None:
        super().__init__(context)
        self._live = live
        self._pages, self._searches = RenderQueue(context.build_pages), RenderQueue(context.build_pages)

    async def show(self, request: Request) -> Response:
        """GET /builds/{build_id} and /share/{share_id}: a build and its steps."""
        seen = await self._seen(request)
        after = _number(request, "after", 0)
        return await self._made(request, seen, f"?{after}", lambda: self._page(seen, after))

    async def _made(
        self, request: Request, seen: _Seen, name: str, page: Callable[[], Awaitable[str]], *, searches: bool = False
    ) -> Response:
        """Render a page in the queue, once for all readers who aren't signed in."""
        caller, queue = caller_of(request.scope), self._searches if searches else self._pages
        if not seen.is_same_for_all:
            return HTMLResponse(await queue.make(caller, page))
        subject = self._subject(seen.build)
        made = await self._live.shared(subject, f"{seen.base}{name}", lambda: queue.make(caller, page), unfollowed=True)
        return HTMLResponse(made)

    async def _page(self, seen: _Seen, after: int) -> str:
        build, records, sizes = seen.build, self.services.records, self.context.page_sizes
        summary = await records.summary_of(build)
        analysis = await self.services.analysis.analysis_of(build, summary.state)
        shown, has_more = await records.steps_of(build, sizes.steps, after)
        with_errors = await records.failed_steps_of(build)
        failed = failed_step(with_errors)
        dockerfiles = await records.dockerfiles_of(build) if failed is not None else []
        origin = await self._origin(seen)
        now = self.context.now()
        scale, follows = _scale(build, summary, now), _follows(build, summary.state)
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
            work=summary.work,
            analysis=analysis,
            last_good=await self._last_good(seen, analysis),
            usual=await self.services.comparisons.usual_duration(seen.own) if seen.own is not None else None,
            compare_url=web_pages_of(origin).comparison,
            origin_line=origin_line,
            warnings=await records.warnings_of(build),
            attestations=await records.attestations_of(seen.own) if seen.own is not None else [],
            sizes=sizes,
            now=now,
            follows=follows,
            platforms=bars(shown, scale, critical, is_over=not follows),
            ticks=scale.ticks(),
            failed=failed,
            canceled=canceled_steps(with_errors),
            reasons=failure_reasons(failed, build.error),
            failed_lines=await self._last_lines(build, failed, sizes.failed_lines) if failed is not None else [],
            failed_place=dockerfile_line(failed, dockerfiles) if failed is not None else None,
            tails=await records.tails_of(build, _by_interest(shown, failed), sizes.step_lines, sizes.lines),
            log_html=log_html,
            after=after,
            next_after=shown[-1].number if has_more else None,
        )

    async def show_step(self, request: Request) -> Response:
        """GET …/steps/{number}: a window of a step's log; the last one, or the one with ``?line=``."""
        seen = await self._seen(request)
        step = await self._step(request, seen.build)
        line = _number(request, "line", step.log_lines)
        window = self.context.page_sizes.window_lines
        first = max(min(line, step.log_lines) - 1, 0) // window * window
        return await self._made(request, seen, f"/{step.number}/{first}", lambda: self._step_page(seen, step, first))

    async def _step_page(self, seen: _Seen, step: Step, first: int) -> str:
        summary = await self.services.records.summary_of(seen.build)
        analysis = await self.services.analysis.analysis_of(seen.build, summary.state)
        window = self.context.page_sizes.window_lines
        return await rendered_in_pieces(
            "step.html",
            seen.who,
            seen=seen,
            build=seen.build,
            step=step,
            miss=analysis.misses.get(step.number),
            is_critical=any(one.number == step.number for one in analysis.path.steps),
            lines=await self.services.records.lines_of(seen.build, step.number, first, window),
            first=first,
            window=window,
            log_html=log_html,
        )

    async def search(self, request: Request) -> Response:
        """GET …/search?q=: lines of the build's logs that contain a text."""
        seen = await self._seen(request)
        text = request.query_params.get("q", "").strip()
        return await self._made(request, seen, f"/search?{text}", lambda: self._search_page(seen, text), searches=True)

    async def _search_page(self, seen: _Seen, text: str) -> str:
        sizes = self.context.page_sizes
        found, is_whole = await self.services.records.search(seen.build, text, sizes.search_hits, sizes.search_bytes)
        return await rendered_in_pieces(
            "search.html",
            seen.who,
            seen=seen,
            build=seen.build,
            text=text,
            groups=[(first, list(lines)) for first, lines in groupby(found, lambda one: (one.step, one.name))],
            count=len(found),
            is_whole=is_whole,
            marked_html=marked_html,
        )

    async def download(self, request: Request) -> Response:
        """GET …/steps/{number}/log.txt: all stored lines of a step's log, as they were written."""
        seen = await self._seen(request)
        step = await self._step(request, seen.build)
        headers = {"content-disposition": f'attachment; filename="{seen.build.id}-step-{step.number}.txt"'}
        return StreamingResponse(self._log(seen.build, step), 200, headers, "text/plain; charset=utf-8")

    async def attestation(self, request: Request) -> Response:
        """GET /builds/{build_id}/attestations/{number}: a provenance or an SBOM, for members only."""
        seen = await self._seen(request)
        if seen.own is None:
            raise SignInFirst(request)
        text = request.path_params["number"]
        if not _is_number(text):
            raise NotFound("attestations have numbers; open the build's page to see those that it has")
        found = await self.services.records.attestation_of(seen.own, int(text))
        name = f"{seen.build.id}-{found.kind.lower()}-{text}.json"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(found.content, 200, headers, "application/json")

    async def events(self, request: Request) -> Response:
        """GET …/events: server-sent events for changes, until the build and its record are complete."""
        seen = await self._seen(request)
        weight = 1 if seen.is_same_for_all else MADE_FOR_ONE
        subject = self._subject(seen.build)
        return event_stream(self.context, self._live, subject, lambda: self._seen(request), weight)

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

    async def _seen(self, request: Request) -> _Seen:
        """The build that a page is about."""
        who = await self.who(request)
        share_id = request.path_params.get("share_id")
        if share_id is not None:
            build = await self.services.sharing.shared_build(share_id)
            if build is None:
                raise NotFound("this build is not shared, or no longer; ask the person who sent you the link")
            return _Seen(build, None, None, f"/share/{share_id}", who, None, share_id, may_work=False)
        if who is None:
            raise SignInFirst(request)
        person = await self.services.authentication.person(who.person.id, "session")
        caller = replace(person, needed_role=Role.VIEWER)
        build = await self.services.builds.get(caller, request.path_params["build_id"])
        project = await self.services.projects.get(caller, build.project_id)
        role = person.roles.get(build.organization_id)
        return _Seen(
            build,
            build,
            caller,
            f"/builds/{build.id}",
            who,
            project,
            await self.services.sharing.share_of(caller, build.id),
            may_work=role is not None and role.covers(Role.MEMBER),
        )

    async def _origin(self, seen: _Seen) -> BuildOrigin:
        """Where the build comes from. Readers of a shared page see its title alone."""
        if seen.own is None or seen.caller is None:
            return NO_ORIGIN
        return (await self.services.builds.origins(seen.caller, [seen.own]))[seen.own.id]

    async def _last_good(self, seen: _Seen, analysis: BuildAnalysis) -> LastGoodBuild | None:
        """The last good build before a failed one, for members."""
        if seen.own is None or seen.caller is None or seen.build.status is not BuildStatus.FAILED:
            return None
        return await self.services.comparisons.last_good_build(seen.caller, seen.own, analysis)

    async def _step(self, request: Request, build: ReadableBuild) -> Step:
        text = request.path_params["number"]
        if not _is_number(text):
            raise NotFound("steps have numbers; open the build's page to see its steps")
        return await self.services.records.step_of(build, int(text))

    async def _last_lines(self, build: ReadableBuild, step: Step, size: int) -> Sequence[LogLine]:
        return await self.services.records.lines_of(build, step.number, max(step.log_lines - size, 0), size)

    async def _log(self, build: ReadableBuild, step: Step) -> AsyncGenerator[bytes]:
        for first in range(0, step.log_lines, _DOWNLOADED_LINES):
            lines = await self.services.records.lines_of(build, step.number, first, _DOWNLOADED_LINES)
            yield b"".join(line.content for line in lines)

    def _subject(self, build: ReadableBuild) -> Subject:
        records = self.services.records
        # Running steps' bars reach until now.
        return Subject(f"build {build.id}", lambda: records.follow(build), lambda: records.may_grow(build), ages=True)


def _follows(build: Build, state: RecordState) -> bool:
    """Whether the build or its record can still change."""
    return not build.status.finished or state is RecordState.FOLLOWING


def _scale(build: Build, summary: RecordSummary, now: datetime) -> Scale:
    """From the first step's start to the last one's end, or until now while it can still change."""
    work = summary.work
    end = now if _follows(build, summary.state) else work.ended_at or build.finished_at or now
    return Scale(work.begun_at or end, end)


def _by_interest(steps: Sequence[Step], failed: Step | None) -> list[Step]:
    """Steps in the order in which their logs are read: the failed one, then the newest."""
    return sorted(steps, key=lambda one: (failed is None or one.number != failed.number, -one.number))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _number(request: Request, name: str, otherwise: int) -> int:
    """A number in a page's address.

    Raises:
        InvalidInput: it is not a number.
    """
    text = request.query_params.get(name)
    if text is None:
        return otherwise
    if not _is_number(text):
        raise InvalidInput(f"{name} in the address is not a number; open the build's page again")
    return int(text)
