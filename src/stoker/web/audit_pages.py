"""Who changed what, for owners."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from stoker.domain.audit import Action, AuditFilter
from stoker.domain.errors import PermissionDenied
from stoker.domain.pages import checked_page
from stoker.domain.people import Role
from stoker.web.pages import Pages, render, sign_in_first

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_PAGE_SIZE = 50
_KINDS = tuple(dict.fromkeys(one.value.partition(".")[0] for one in Action))


class AuditPages(Pages):
    """The audit logs of the organizations that somebody owns."""

    async def show(self, request: Request) -> Response:
        """GET /audit."""
        who = await self.who(request)
        if who is None:
            return sign_in_first(request)
        person = await self.services.authentication.person(who.person.id, "session")
        account = await self.services.organizations.account(person)
        owned = [organization for organization, role in account.organizations if role is Role.OWNER]
        if not owned:
            raise PermissionDenied("only owners of an organization can read who changed what in it")
        query = request.query_params
        chosen = query.get("organization", "") or owned[0].id
        wanted = {name: query.get(name, "").strip()[:200] for name in ("actor", "action")}
        events = await self.services.audit.list(
            replace(person, needed_role=Role.OWNER),
            chosen,
            AuditFilter(actor=wanted["actor"], action=wanted["action"]),
            checked_page(_PAGE_SIZE, query.get("page", "")),
        )
        older = urlencode({"organization": chosen, **wanted, "page": events.next_token or ""})
        return render(
            "audit.html",
            who,
            owned=owned,
            chosen=chosen,
            kinds=_KINDS,
            events=events.items,
            older=f"/audit?{older}" if events.next_token else "",
            actor=wanted["actor"],
            action=wanted["action"],
        )
