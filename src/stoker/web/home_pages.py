"""The start page: who I am, and what is mine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.web.pages import Pages, render, sign_in_first

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_MOST_PROJECTS = 200


class HomePages(Pages):
    """What a person sees first."""

    async def show(self, request: Request) -> Response:
        """GET /."""
        who = await self.who(request)
        if who is None:
            return sign_in_first(request)
        caller = await self.services.authentication.person(who.person.id, "session")
        account = await self.services.organizations.account(caller)
        projects = await self.services.projects.list(caller)
        return render(
            "home.html", who, account=account, projects=projects[:_MOST_PROJECTS], project_count=len(projects)
        )
