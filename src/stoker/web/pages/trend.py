"""Trends: a project's last builds, compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stoker.domain.errors import NotFound
from stoker.domain.people import Role
from stoker.web.charts import chart
from stoker.web.page import Pages, render

if TYPE_CHECKING:
    from datetime import timedelta

    from starlette.requests import Request
    from starlette.responses import Response


class TrendPages(Pages):
    """Trends of projects."""

    async def show(self, request: Request) -> Response:
        """GET /projects/{project_id}/trends: duration, work and cache share of its last builds."""
        who = await self.signed_in(request)
        person = await self.services.authentication.person(who.person.id, "session")
        caller = replace(person, needed_role=Role.VIEWER)
        project = await self.services.projects.get(caller, request.path_params["project_id"])
        account = await self.services.organizations.account(person)
        found = [one for one in account.organizations if one[0].id == project.organization_id]
        if not found:
            raise NotFound("there is no such project, or it isn't yours; open the start page to see those that are")
        organization, role = found[0]
        builds = await self.services.analysis.trends(caller, project.id, self.context.page_sizes.trend_builds)
        longest = max((_seconds(one) or 0 for build in builds for one in (build.duration, build.work)), default=0)
        return render(
            "trends.html",
            who,
            project=project,
            organization=organization,
            role=role,
            builds=builds,
            durations=chart([_seconds(build.duration) for build in builds], longest),
            works=chart([_seconds(build.work) for build in builds], longest),
            shares=chart([build.cache_share for build in builds], 1),
        )


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else max(length.total_seconds(), 0)
