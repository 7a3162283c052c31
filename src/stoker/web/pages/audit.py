"""The audit log, for owners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import StreamingResponse

from stoker.domain.audit import Action, AuditFilter
from stoker.domain.errors import PermissionDenied
from stoker.domain.pagination import MAX_PAGE_SIZE, PageRequest, checked_page
from stoker.domain.people import Role
from stoker.web.owner import ContextPages, reader_of
from stoker.web.page import render

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.domain.audit import AuditEvent
    from stoker.domain.pagination import Page
    from stoker.domain.projects import Organization
    from stoker.web.owner import Reader

_PAGE_SIZE = 50
_KINDS = tuple(dict.fromkeys(one.value.partition(".")[0] for one in Action))
_METHOD = "stoker.v1.AuditService/ListEvents"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The requested events and organization, and all organizations that the reader owns."""

    reader: Reader
    owned: tuple[Organization, ...]
    filter: AuditFilter

    @property
    def query(self) -> dict[str, str]:
        return {"organization": self.reader.organization.id, "actor": self.filter.actor, "action": self.filter.action}


class AuditPages(ContextPages):
    """Audit logs of the reader's organizations."""

    async def show(self, request: Request) -> Response:
        """GET /audit."""
        wanted = await self._wanted(request)
        events = await self._events(wanted, checked_page(_PAGE_SIZE, request.query_params.get("page", "")))
        older = urlencode({**wanted.query, "page": events.next_token or ""})
        return render(
            "audit.html",
            wanted.reader.who,
            reader=wanted.reader,
            owned=wanted.owned,
            kinds=_KINDS,
            events=events.items,
            older=f"/audit?{older}" if events.next_token else "",
            all=f"/audit/events.json?{urlencode(wanted.query)}",
            actor=wanted.filter.actor,
            action=wanted.filter.action,
        )

    async def download(self, request: Request) -> Response:
        """GET /audit/events.json: all requested events, the newest first, in the API's form."""
        wanted = await self._wanted(request)
        # Before the first byte is sent, so that a refusal gets its own status.
        first = await self._events(wanted, PageRequest(MAX_PAGE_SIZE, None))
        name = f"audit-{wanted.reader.organization.id}.json"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(self._written(wanted, first), 200, headers, "application/json")

    async def _written(self, wanted: _Wanted, page: Page[AuditEvent]) -> AsyncGenerator[str]:
        yield '{"events": ['
        separator = "\n"
        while True:
            for event in page.items:
                yield separator + self.context.audit_json(event)
                separator = ",\n"
            if page.next_token is None:
                break
            page = await self._events(wanted, PageRequest(MAX_PAGE_SIZE, page.next_token))
        yield "\n]}\n"

    async def _events(self, wanted: _Wanted, page: PageRequest) -> Page[AuditEvent]:
        reader = wanted.reader
        return await self.services.audit.list(reader.calling(_METHOD), reader.organization.id, wanted.filter, page)

    async def _wanted(self, request: Request) -> _Wanted:
        """What the address asks for."""
        who = await self.signed_in(request)
        person = await self.services.authentication.person(who.person.id, "session")
        account = await self.services.organizations.account(person)
        owned = tuple(organization for organization, role in account.organizations if role is Role.OWNER)
        if not owned:
            raise PermissionDenied("only owners of an organization can read its audit log")
        query = request.query_params
        reader = reader_of(who, person, account, query.get("organization", "") or owned[0].id)
        actor, action = (query.get(name, "").strip()[:200] for name in ("actor", "action"))
        return _Wanted(reader, owned, AuditFilter(actor=actor, action=action))
