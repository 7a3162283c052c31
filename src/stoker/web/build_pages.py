"""One build: the page that the depot CLI prints the address of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stoker.domain.errors import NotFound
from stoker.domain.people import Role
from stoker.web.pages import Pages, render, sign_in_first

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class BuildPages(Pages):
    """Builds, for members of their organization, and for anyone as long as they are shared."""

    async def show(self, request: Request) -> Response:
        """GET /builds/{build_id}."""
        who = await self.who(request)
        if who is None:
            return sign_in_first(request)
        person = await self.services.authentication.person(who.person.id, "session")
        caller = replace(person, needed_role=Role.VIEWER)
        build = await self.services.builds.get(caller, request.path_params["build_id"])
        project = await self.services.projects.get(caller, build.project_id)
        return render("build.html", who, build=build, project_name=project.name)

    async def show_shared(self, request: Request) -> Response:
        """GET /share/{share_id}."""
        build = await self.services.sharing.shared_build(request.path_params["share_id"])
        if build is None:
            raise NotFound("this build is not shared, or no longer; ask whoever sent you the link")
        return render("build.html", await self.who(request), build=build, project_name="")
