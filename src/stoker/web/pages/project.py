"""The builds of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from stoker.domain.build_titles import origin_pieces, who_began
from stoker.domain.builds import BuildStatus
from stoker.domain.overviews import MAX_SEARCH_LENGTH
from stoker.domain.pagination import checked_page
from stoker.domain.platforms import Platform
from stoker.web.build_filters import asked_filter, shown_filter
from stoker.web.events import MADE_FOR_ONE, builds_of, event_stream
from stoker.web.owner import ContextPages
from stoker.web.page import render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.web.live import Live, Subject
    from stoker.web.owner import ProjectReader
    from stoker.web.page import WebContext

_LIST = "depot.core.v1.BuildService/ListBuilds"


class ProjectPages(ContextPages):
    """A project, for members of its organization."""

    def __init__(self, context: WebContext, live: Live) -> None:
        super().__init__(context)
        self._live = live

    async def show(self, request: Request) -> Response:
        """GET /projects/{project_id}: its builds, filtered by ``?q=``, ``?status=``, ``?branch=`` and so on."""
        reader = await self.project_reader(request)
        asked = asked_filter(request)
        after = request.query_params.get("page", "")
        page = checked_page(self.context.page_sizes.builds, after)
        caller = reader.calling(_LIST)
        builds = await self._live.shared(
            self._subject(reader),
            f"list {after} {asked}",
            lambda: self.services.overviews.builds(caller, reader.project.id, asked, page),
        )
        base = f"/projects/{reader.project.id}"
        fields = shown_filter(asked)
        wanted = {name: value for name, value in fields.items() if value}
        here = {**wanted, "page": after} if after else wanted
        return render(
            "project.html",
            reader.who,
            reader=reader,
            builds=builds,
            fields=fields,
            is_filtered=bool(wanted),
            max_search=MAX_SEARCH_LENGTH,
            statuses=[one.value for one in BuildStatus],
            platforms=[one.value for one in Platform],
            origin_pieces=origin_pieces,
            who_began=who_began,
            first=f"{base}?{urlencode(wanted)}" if after else "",
            more=f"{base}?{urlencode({**wanted, 'page': builds.next_token})}" if builds.next_token else "",
            reload=f"{base}?{urlencode(here)}" if here else base,
            now=self.context.now(),
        )

    async def events(self, request: Request) -> Response:
        """GET /projects/{project_id}/events: an event when its builds change."""
        reader = await self.project_reader(request)
        reader.calling(_LIST)
        subject = self._subject(reader)
        return event_stream(self.context, self._live, subject, lambda: self.project_reader(request), MADE_FOR_ONE)

    def _subject(self, reader: ProjectReader) -> Subject:
        return builds_of(self.services.overviews, [reader.project.id])
