"""The webhooks of an organization's projects, for its owners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput, StokerError
from stoker.domain.pages import checked_page
from stoker.web.pages import go_to, render, sign_in_first, status_of
from stoker.web.places import PlacedPages, form_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.services.webhooks import CreatedWebhook
    from stoker.web.places import Reader

_SERVICE = "stoker.v1.WebhookService"


class WebhookPages(PlacedPages):
    """Who is told when builds end."""

    async def show(self, request: Request) -> Response:
        """GET /organizations/{organization_id}/webhooks."""
        reader = await self.reader(request)
        return sign_in_first(request) if reader is None else await self._page(request, reader)

    async def change(self, request: Request) -> Response:
        """POST /organizations/{organization_id}/webhooks: what the form's ``action`` says."""
        reader = await self.reader(request)
        if reader is None:
            return sign_in_first(request)
        form = await form_of(request, reader)
        try:
            created = await self._change(reader, form)
        except StokerError as error:
            return await self._page(request, reader, problem=error, form=form)
        if created is not None:
            return await self._page(request, reader, created=created)
        return go_to(f"{reader.address}/webhooks")

    async def _change(self, reader: Reader, form: dict[str, str]) -> CreatedWebhook | None:
        webhooks, webhook_id = self.services.webhooks, form.get("webhook", "")
        match form.get("action"):
            case "create":
                caller = reader.calling(f"{_SERVICE}/CreateWebhook")
                return await webhooks.create(caller, form.get("project", "").strip(), form.get("url", ""))
            case "test":
                await webhooks.test(reader.calling(f"{_SERVICE}/TestWebhook"), webhook_id)
            case "delete":
                await webhooks.delete(reader.calling(f"{_SERVICE}/DeleteWebhook"), webhook_id)
            case _:
                raise InvalidInput("this form doesn't say what to do; open its page again")
        return None

    async def _page(
        self,
        request: Request,
        reader: Reader,
        *,
        problem: StokerError | None = None,
        form: dict[str, str] | None = None,
        created: CreatedWebhook | None = None,
    ) -> Response:
        caller = reader.calling(f"{_SERVICE}/ListWebhooks")
        asked = checked_page(self.services.page_sizes.rows, request.query_params.get("page", ""))
        webhooks = await self.services.webhooks.of_organization(caller, reader.organization.id, asked)
        projects = await self.services.projects.list(reader.calling("depot.core.v1.ProjectService/ListProjects"))
        return render(
            "webhooks.html",
            reader.who,
            status=200 if problem is None else status_of(problem),
            reader=reader,
            webhooks=webhooks.items,
            is_first=asked.after is None,
            later=f"{reader.address}/webhooks?page={webhooks.next_token}" if webhooks.next_token else "",
            projects=projects if len(projects) <= asked.size else (),
            has_projects=bool(projects),
            created=created,
            url=(form or {}).get("url", ""),
            chosen=(form or {}).get("project", ""),
            now=self.services.now(),
            problem="" if problem is None else problem.message,
        )
