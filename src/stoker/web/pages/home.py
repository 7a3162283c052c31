"""The start page: the reader's organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.overviews import OVERVIEW_PERIOD
from stoker.domain.pagination import Page, checked_page
from stoker.web.events import MADE_FOR_ONE, builds_of, event_stream
from stoker.web.owner import Reader
from stoker.web.page import Pages, render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.domain.overviews import ProjectOverview
    from stoker.domain.principals import Principal
    from stoker.web.live import Live, Subject
    from stoker.web.page import WebContext


class HomePages(Pages):
    """The start page."""

    def __init__(self, context: WebContext, live: Live) -> None:
        super().__init__(context)
        self._live = live

    async def show(self, request: Request) -> Response:
        """GET /: the reader's organizations; if there is only one, its projects as well."""
        who = await self.signed_in(request)
        person = await self.services.authentication.person(who.person.id, "session")
        subject = self._subject(person)
        overviews = await self._live.shared(
            subject, f"roles {dict(person.roles)}", lambda: self.services.overviews.organizations(person)
        )
        projects: Page[ProjectOverview] = Page((), None)
        if len(overviews) == 1:
            organization_id, page = overviews[0].organization.id, checked_page(self.context.page_sizes.projects, "")
            projects = await self._live.shared(
                subject, "projects", lambda: self.services.overviews.projects(person, organization_id, "", page)
            )
        return render(
            "home.html",
            who,
            overviews=[(one, Reader(who, person, one.organization, one.role)) for one in overviews],
            projects=projects,
            days=OVERVIEW_PERIOD.days,
            now=self.context.now(),
        )

    async def events(self, request: Request) -> Response:
        """GET /events: an event when builds of the reader's organizations begin or end."""
        who = await self.signed_in(request)
        person = await self.services.authentication.person(who.person.id, "session")
        subject = self._subject(person)
        return event_stream(self.context, self._live, subject, lambda: self.signed_in(request), MADE_FOR_ONE)

    def _subject(self, person: Principal) -> Subject:
        return builds_of(self.services.overviews, person.organization_ids)
