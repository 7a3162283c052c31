"""The webhooks of an organization's projects, for its owners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput, StokerError
from stoker.domain.pages import checked_page
from stoker.web.listing import PAGE_SIZE
from stoker.web.organization_places import PlacePages
from stoker.web.pages import go_to, render, sign_in_first, status_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.services.webhooks import CreatedWebhook
    from stoker.web.organization_places import Place

_SERVICE = "stoker.v1.WebhookService"
_MOST_PROJECTS = 200


class WebhookPages(PlacePages):
    """Who is told when builds end."""

    async def show(self, request: Request) -> Response:
        """GET /organizations/{organization_id}/webhooks."""
        place = await self.place(request)
        return sign_in_first(request) if place is None else await self._page(request, place)

    async def change(self, request: Request) -> Response:
        """POST /organizations/{organization_id}/webhooks: what the form's ``action`` says."""
        place = await self.place(request)
        if place is None:
            return sign_in_first(request)
        form = await self.form(request, place)
        try:
            created = await self._change(place, form)
        except StokerError as error:
            return await self._page(request, place, problem=error, form=form)
        if created is not None:
            return await self._page(request, place, created=created)
        return go_to(f"{place.address}/webhooks")

    async def _change(self, place: Place, form: dict[str, str]) -> CreatedWebhook | None:
        webhooks, webhook_id = self.services.webhooks, form.get("webhook", "")
        match form.get("action"):
            case "create":
                caller = place.caller_of(f"{_SERVICE}/CreateWebhook")
                return await webhooks.create(caller, form.get("project", "").strip(), form.get("url", ""))
            case "test":
                await webhooks.test(place.caller_of(f"{_SERVICE}/TestWebhook"), webhook_id)
            case "delete":
                await webhooks.delete(place.caller_of(f"{_SERVICE}/DeleteWebhook"), webhook_id)
            case _:
                raise InvalidInput("this form doesn't say what to do; open its page again")
        return None

    async def _page(
        self,
        request: Request,
        place: Place,
        *,
        problem: StokerError | None = None,
        form: dict[str, str] | None = None,
        created: CreatedWebhook | None = None,
    ) -> Response:
        caller = place.caller_of(f"{_SERVICE}/ListWebhooks")
        asked = checked_page(PAGE_SIZE, request.query_params.get("page", ""))
        webhooks = await self.services.webhooks.of_organization(caller, place.organization.id, asked)
        projects = await self.services.projects.list(place.caller_of("depot.core.v1.ProjectService/ListProjects"))
        return render(
            "webhooks.html",
            place.who,
            status=200 if problem is None else status_of(problem),
            place=place,
            webhooks=webhooks.items,
            is_first=asked.after is None,
            later=f"{place.address}/webhooks?page={webhooks.next_token}" if webhooks.next_token else "",
            projects=projects if len(projects) <= _MOST_PROJECTS else (),
            has_projects=bool(projects),
            created=created,
            url=(form or {}).get("url", ""),
            chosen=(form or {}).get("project", ""),
            now=self.services.now(),
            problem="" if problem is None else problem.message,
        )
