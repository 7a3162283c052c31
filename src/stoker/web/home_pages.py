"""The start page: my organizations, and how they are doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.overviews import OVERVIEW_PERIOD
from stoker.domain.pages import Page, checked_page
from stoker.web.pages import Pages, render, sign_in_first
from stoker.web.places import Reader

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.domain.overviews import ProjectOverview


class HomePages(Pages):
    """What a person sees first."""

    async def show(self, request: Request) -> Response:
        """GET /: my organizations; of a single one its projects as well."""
        who = await self.who(request)
        if who is None:
            return sign_in_first(request)
        person = await self.services.authentication.person(who.person.id, "session")
        overviews = await self.services.overviews.organizations(person)
        projects: Page[ProjectOverview] = Page((), None)
        if len(overviews) == 1:
            projects = await self.services.overviews.projects(
                person, overviews[0].organization.id, "", checked_page(self.services.page_sizes.projects, "")
            )
        return render(
            "home.html",
            who,
            overviews=[(one, Reader(who, person, one.organization, one.role)) for one in overviews],
            projects=projects,
            days=OVERVIEW_PERIOD.days,
            now=self.services.now(),
        )
