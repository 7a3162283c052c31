"""Queries of the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import PermissionDenied
from stoker.services.lookup import require_organization
from stoker.store import audit as audit_store
from stoker.store import people as person_store

if TYPE_CHECKING:
    from stoker.domain.audit import AuditEvent, AuditFilter
    from stoker.domain.pagination import Page, PageRequest
    from stoker.domain.principals import Principal
    from stoker.services.core import Core


class AuditService:
    """The use cases of the audit log."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def list(
        self, principal: Principal, organization_id: str, wanted: AuditFilter, page: PageRequest
    ) -> Page[AuditEvent]:
        """A page of an organization's events, the newest first.

        Raises:
            InvalidInput: there is no such action.
            NotFound: there is no such organization, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            organization = await require_organization(tx, principal, organization_id)
            return await audit_store.list_events(tx, organization.id, wanted, page)

    async def list_of_server(self, principal: Principal, wanted: AuditFilter, page: PageRequest) -> Page[AuditEvent]:
        """A page of events of no organization, such as failed sign-ins of strangers.

        Raises:
            InvalidInput: there is no such action.
            PermissionDenied: the caller isn't an operator of this server.
        """
        async with self._core.database.read() as tx:
            person = await person_store.find_person(tx, principal.person_id or "")
            if person is None or not person.is_operator:
                raise PermissionDenied("only an operator of this server can read its own events; ask one for it")
            return await audit_store.list_events(tx, None, wanted, page)
