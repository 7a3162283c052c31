"""A build as the reader of its pages sees it, and how these pages are rendered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from stoker.domain.errors import InvalidInput, NotFound
from stoker.domain.people import Role
from stoker.domain.steps import RecordState
from stoker.web.live import Subject
from stoker.web.page import Pages, SignInFirst
from stoker.web.page_limits import caller_of
from stoker.web.render_queue import RenderQueue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.domain.builds import Build
    from stoker.domain.principals import Principal
    from stoker.domain.projects import Project
    from stoker.domain.rates import Bound
    from stoker.domain.steps import Step
    from stoker.services.lookup import MemberBuild, ReadableBuild
    from stoker.services.records import RecordService
    from stoker.web.live import Live
    from stoker.web.page import WebContext
    from stoker.web.sessions import SignedIn

_MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class SeenBuild:
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


class BuildRendering:
    """Renders pages of builds one at a time, beside searches. Those that all readers share are kept for a second."""

    def __init__(self, live: Live, bound: Bound) -> None:
        self.live = live
        self._pages, self._searches = RenderQueue(bound), RenderQueue(bound)

    async def make(
        self,
        request: Request,
        seen: SeenBuild,
        subject: Subject,
        name: str,
        page: Callable[[], Awaitable[str]],
        *,
        searches: bool = False,
    ) -> Response:
        """Render a page in the queue, once for all readers who aren't signed in.

        Args:
            request: what asks for the page.
            seen: the build, and its reader.
            subject: what the page changes with.
            name: identifies the page among those of the build.
            page: renders it.
            searches: whether that is a search, which has a queue of its own.
        """
        caller, queue = caller_of(request.scope), self._searches if searches else self._pages
        if not seen.is_same_for_all:
            return HTMLResponse(await queue.make(caller, page))
        name = f"{seen.base}{name}"
        return HTMLResponse(await self.live.shared(subject, name, lambda: queue.make(caller, page), unfollowed=True))


class SeenBuildPages(Pages):
    """The base of pages of one build: for members of its organization, and for anyone while it is shared."""

    def __init__(self, context: WebContext, rendering: BuildRendering) -> None:
        super().__init__(context)
        self.rendering = rendering

    async def seen(self, request: Request) -> SeenBuild:
        """The build that a page is about.

        Raises:
            NotFound: it isn't shared, or isn't the reader's.
            SignInFirst: it isn't a shared page, and nobody is signed in.
        """
        who = await self.who(request)
        share_id = request.path_params.get("share_id")
        if share_id is not None:
            build = await self.services.sharing.shared_build(share_id)
            if build is None:
                raise NotFound("this build is not shared, or no longer; ask the person who sent you the link")
            return SeenBuild(build, None, None, f"/share/{share_id}", who, None, share_id, may_work=False)
        if who is None:
            raise SignInFirst(request)
        person = await self.services.authentication.person(who.person.id, "session")
        caller = replace(person, needed_role=Role.VIEWER)
        build = await self.services.builds.get(caller, request.path_params["build_id"])
        project = await self.services.projects.get(caller, build.project_id)
        role = person.roles.get(build.organization_id)
        return SeenBuild(
            build,
            build,
            caller,
            f"/builds/{build.id}",
            who,
            project,
            await self.services.sharing.share_of(caller, build.id),
            may_work=role is not None and role.covers(Role.MEMBER),
        )

    async def step(self, request: Request, build: ReadableBuild) -> Step:
        """The step that a page is about.

        Raises:
            NotFound: the build has none of that number.
        """
        text = request.path_params["number"]
        if not is_number(text):
            raise NotFound("steps have numbers; open the build's page to see its steps")
        return await self.services.records.step_of(build, int(text))


def subject_of(records: RecordService, build: ReadableBuild) -> Subject:
    """A build and its record, to be followed until both are complete."""
    # Running steps' bars reach until now.
    return Subject(f"build {build.id}", lambda: records.follow(build), lambda: records.may_grow(build), ages=True)


def follows(build: Build, state: RecordState) -> bool:
    """Whether the build or its record can still change."""
    return not build.status.finished or state is RecordState.FOLLOWING


def is_number(text: str) -> bool:
    """Whether a part of an address is a number that a build may have of anything."""
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def asked_number(request: Request, name: str, otherwise: int) -> int:
    """A number in a page's address.

    Raises:
        InvalidInput: it is not a number.
    """
    text = request.query_params.get(name)
    if text is None:
        return otherwise
    if not is_number(text):
        raise InvalidInput(f"{name} in the address is not a number; open the build's page again")
    return int(text)
