"""`stoker.v1.AuditService`: who changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.stoker.v1 import audit_pb as pb
from stoker._gen.stoker.v1.audit_connect import AuditService
from stoker.domain.audit import AuditFilter
from stoker.domain.pagination import checked_page
from stoker.rpc.caller import caller
from stoker.rpc.codecs import JsonCodec
from stoker.rpc.encoding import decode_moment

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.audit import AuditEvent, Party
    from stoker.services.audit_queries import AuditService as Audit

_JSON = JsonCodec(None)


class AuditHandlers(AuditService):
    """The audit log."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def list_events(
        self, request: pb.ListEventsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListEventsResponse:
        """A page of events."""
        wanted = AuditFilter(
            since=decode_moment(request.since, "since"),
            until=decode_moment(request.until, "until"),
            actor=request.actor,
            action=request.action,
        )
        page = checked_page(request.page_size, request.page_token)
        if request.of_server:
            found = await self._audit.list_of_server(caller(), wanted, page)
        else:
            found = await self._audit.list(caller(), request.organization_id, wanted, page)
        return pb.ListEventsResponse(
            events=[_event(event) for event in found.items], next_page_token=found.next_token or ""
        )


def event_json(event: AuditEvent) -> str:
    """An event as it is in answers in JSON."""
    return _JSON.encode(_event(event)).decode()


def _event(event: AuditEvent) -> pb.AuditEvent:
    return pb.AuditEvent(
        event_id=event.id,
        organization_id=event.organization_id or "",
        occurred_at=Timestamp.from_datetime(event.occurred_at),
        actor=encode_party(event.actor),
        action=event.action.value,
        target=encode_party(event.target),
        detail=event.detail,
        address=event.address,
        request_id=event.request_id,
    )


def encode_party(party: Party) -> pb.AuditParty:
    """Who or what, on the wire."""
    return pb.AuditParty(kind=party.kind, id=party.id, name=party.name)
