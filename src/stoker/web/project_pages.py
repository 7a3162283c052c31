"""The builds of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from stoker.domain.builds import BuildStatus
from stoker.domain.errors import InvalidInput
from stoker.domain.pages import checked_page
from stoker.web.pages import render, sign_in_first
from stoker.web.places import PlacedPages

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_LIST = "depot.core.v1.BuildService/ListBuilds"


class ProjectPages(PlacedPages):
    """A project, for members of its organization."""

    async def show(self, request: Request) -> Response:
        """GET /projects/{project_id}: its builds, with ``?status=`` those that stand so."""
        reader = await self.project_reader(request)
        if reader is None:
            return sign_in_first(request)
        status = _status(request.query_params.get("status", ""))
        after = request.query_params.get("page", "")
        page = checked_page(self.services.page_sizes.builds, after)
        builds = await self.services.overviews.builds(reader.calling(_LIST), reader.project.id, status, page)
        base = f"/projects/{reader.project.id}"
        wanted = {} if status is None else {"status": status.value}
        here = {**wanted, "page": after} if after else wanted
        return render(
            "project.html",
            reader.who,
            reader=reader,
            builds=builds,
            chosen=status,
            statuses=list(BuildStatus),
            first=f"{base}?{urlencode(wanted)}" if after else "",
            more=f"{base}?{urlencode({**wanted, 'page': builds.next_token})}" if builds.next_token else "",
            reload=f"{base}?{urlencode(here)}" if here else base,
            now=self.services.now(),
        )


def _status(text: str) -> BuildStatus | None:
    if not text:
        return None
    try:
        return BuildStatus(text)
    except ValueError:
        raise InvalidInput(f'"{text[:40]}" is not how a build stands; use one of: {", ".join(BuildStatus)}') from None
