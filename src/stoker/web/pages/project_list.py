"""The projects of an organization, and the form of a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from stoker.domain.hardware import Hardware
from stoker.domain.overviews import MAX_SEARCH_LENGTH
from stoker.domain.pagination import checked_page
from stoker.services.projects import NewProject
from stoker.web.events import MADE_FOR_ONE, builds_of, event_stream
from stoker.web.owner import AT_THE_FORM, ContextPages, form_of
from stoker.web.page import go_to, render
from stoker.web.project_forms import hardware_of, new_fields, policy_of, typed_fields

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.domain.errors import StokerError
    from stoker.web.live import Live, Subject
    from stoker.web.owner import Reader
    from stoker.web.page import WebContext

_LIST, _CREATE = "depot.core.v1.ProjectService/ListProjects", "depot.core.v1.ProjectService/CreateProject"


class ProjectListPages(ContextPages):
    """Projects, for members of their organization."""

    def __init__(self, context: WebContext, live: Live) -> None:
        super().__init__(context)
        self._live = live

    async def show(self, request: Request) -> Response:
        """GET /organizations/{organization_id}: its projects, filtered by ``?search=`` for a name or id."""
        reader = await self.reader(request)
        search = request.query_params.get("search", "").strip()
        after = request.query_params.get("page", "")
        page = checked_page(self.context.page_sizes.projects, after)
        caller = reader.calling(_LIST)
        found = await self._live.shared(
            self._subject(reader),
            f"list {after} {search}",
            lambda: self.services.overviews.projects(caller, reader.organization.id, search, page),
        )
        base = reader.address
        wanted = {"search": search} if search else {}
        return render(
            "projects.html",
            reader.who,
            reader=reader,
            search=search,
            max_search=MAX_SEARCH_LENGTH,
            projects=found,
            first=f"{base}?{urlencode(wanted)}" if after else "",
            more=f"{base}?{urlencode({**wanted, 'page': found.next_token})}" if found.next_token else "",
            now=self.context.now(),
        )

    async def events(self, request: Request) -> Response:
        """GET /organizations/{organization_id}/events: an event when its builds begin or end."""
        reader = await self.reader(request)
        reader.calling(_LIST)
        subject = self._subject(reader)
        return event_stream(self.context, self._live, subject, lambda: self.reader(request), MADE_FOR_ONE)

    async def show_new(self, request: Request) -> Response:
        """GET /organizations/{organization_id}/new-project."""
        reader = await self.reader(request)
        reader.calling(_CREATE)
        return self._form(reader, new_fields(self.services.projects.regions[0], self.services.projects.default_policy))

    async def create(self, request: Request) -> Response:
        """POST /organizations/{organization_id}/new-project."""
        reader = await self.reader(request)
        fields, caller = typed_fields(await form_of(request, reader)), reader.calling(_CREATE)
        try:
            project = await self.services.projects.create(
                caller,
                NewProject(
                    name=fields["name"],
                    region_id=fields["region"],
                    organization_id=reader.organization.id,
                    hardware=hardware_of(fields),
                    cache_policy=policy_of(fields, new_fields("", self.services.projects.default_policy)),
                ),
            )
        except AT_THE_FORM as error:
            return self._form(reader, fields, error)
        return go_to(f"/projects/{project.id}")

    def _subject(self, reader: Reader) -> Subject:
        return builds_of(self.services.overviews, [reader.organization.id])

    def _form(self, reader: Reader, fields: dict[str, str], problem: StokerError | None = None) -> Response:
        return render(
            "new_project.html",
            reader.who,
            reader=reader,
            fields=fields,
            regions=self.services.projects.regions,
            sizes=list(Hardware),
            problem=problem,
        )
