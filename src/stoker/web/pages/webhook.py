"""The webhooks of an organization's projects, for its owners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.pagination import checked_page
from stoker.web.page import render
from stoker.web.pages.form import FormPages, FormState, unknown_action

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.services.webhooks import CreatedWebhook
    from stoker.web.owner import Reader

_SERVICE = "stoker.v1.WebhookService"


class WebhookPages(FormPages["CreatedWebhook"]):
    """Webhooks of projects."""

    async def act(self, reader: Reader, form: dict[str, str]) -> CreatedWebhook | None:
        """POST /organizations/{organization_id}/webhooks: one of its actions."""
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
                raise unknown_action()
        return None

    async def page(self, request: Request, reader: Reader, state: FormState[CreatedWebhook]) -> Response:
        """GET /organizations/{organization_id}/webhooks."""
        caller = reader.calling(f"{_SERVICE}/ListWebhooks")
        asked = checked_page(self.context.page_sizes.rows, request.query_params.get("page", ""))
        webhooks = await self.services.webhooks.of_organization(caller, reader.organization.id, asked)
        projects = await self.services.projects.list(reader.calling("depot.core.v1.ProjectService/ListProjects"))
        return render(
            "webhooks.html",
            reader.who,
            reader=reader,
            webhooks=webhooks.items,
            is_first=asked.after is None,
            later=f"{reader.address}/webhooks?page={webhooks.next_token}" if webhooks.next_token else "",
            projects=projects if len(projects) <= asked.size else (),
            has_projects=bool(projects),
            created=state.created,
            url=state.form.get("url", ""),
            chosen=state.form.get("project", ""),
            now=self.context.now(),
            problem=state.problem,
        )

    def address_after(self, reader: Reader, form: dict[str, str]) -> str:
        """The same page."""
        del form
        return f"{reader.address}/webhooks"
