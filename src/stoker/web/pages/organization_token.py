"""An organization's own tokens, for its owners."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput
from stoker.web.listing import sliced
from stoker.web.page import render
from stoker.web.pages.form import FormPages, FormState, unknown_action

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.services.tokens import CreatedToken
    from stoker.web.owner import Reader

_SERVICE = "stoker.v1.OrganizationService"


class OrganizationTokenPages(FormPages["CreatedToken"]):
    """Tokens of organizations."""

    async def act(self, reader: Reader, form: dict[str, str]) -> CreatedToken | None:
        """POST /organizations/{organization_id}/tokens: one of its actions."""
        tokens, organization_id = self.services.tokens, reader.organization.id
        match form.get("action"):
            case "create":
                caller = reader.calling(f"{_SERVICE}/CreateToken")
                description = form.get("description", "")
                return await tokens.create_for_organization(caller, organization_id, description, _end(form))
            case "revoke":
                caller = reader.calling(f"{_SERVICE}/RevokeToken")
                await tokens.revoke_of_organization(caller, organization_id, form.get("token", ""))
            case _:
                raise unknown_action()
        return None

    async def page(self, request: Request, reader: Reader, state: FormState[CreatedToken]) -> Response:
        """GET /organizations/{organization_id}/tokens."""
        caller = reader.calling(f"{_SERVICE}/ListTokens")
        tokens = await self.services.tokens.list_of_organization(caller, reader.organization.id)
        now = self.context.now()
        return render(
            "organization_tokens.html",
            reader.who,
            reader=reader,
            tokens=sliced(request, tokens, self.context.page_sizes.rows),
            created=state.created,
            description=state.form.get("description", ""),
            last_day=state.form.get("last_day", ""),
            today=now,
            now=now,
            problem=state.problem,
        )

    def address_after(self, reader: Reader, form: dict[str, str]) -> str:
        """The same page."""
        del form
        return f"{reader.address}/tokens"


def _end(form: dict[str, str]) -> datetime | None:
    """The end of a new token's last day, in UTC; None if it has no end."""
    text = form.get("last_day", "").strip()
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise InvalidInput("the last day is not a date; write it as 2027-12-31, or leave it out") from error
