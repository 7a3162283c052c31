"""The audit log. Rows are added and, when they are old or too many, removed; never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, insert, or_, select

from stoker.domain.audit import Action, AuditEvent, Party
from stoker.domain.ids import first_id_at
from stoker.domain.pages import Page
from stoker.store.tables.audit import audit_events

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.audit import AuditFilter
    from stoker.domain.pages import PageRequest
    from stoker.store.database import Transaction

_FORGET_AT_ONCE = 5000


def _event(row: Row[Any]) -> AuditEvent:
    return AuditEvent(
        id=row.id,
        organization_id=row.organization_id,
        occurred_at=row.occurred_at,
        actor=Party(row.actor_kind, row.actor_id, row.actor_name),
        action=Action(row.action),
        target=Party(row.target_kind, row.target_id, row.target_name),
        detail=row.detail,
        address=row.address,
        request_id=row.request_id,
    )


async def add_event(tx: Transaction, event: AuditEvent) -> None:
    """Store a new event."""
    await tx.execute(
        insert(audit_events).values(
            id=event.id,
            organization_id=event.organization_id,
            occurred_at=event.occurred_at,
            actor_kind=event.actor.kind,
            actor_id=event.actor.id,
            actor_name=event.actor.name,
            action=event.action.value,
            target_kind=event.target.kind,
            target_id=event.target.id,
            target_name=event.target.name,
            detail=event.detail,
            address=event.address,
            request_id=event.request_id,
        )
    )


async def list_events(
    tx: Transaction, organization_id: str | None, wanted: AuditFilter, page: PageRequest
) -> Page[AuditEvent]:
    """A page of an organization's events, or with None of the server's, the newest first.

    Raises:
        InvalidInput: there is no such action.
    """
    query = select(audit_events).where(audit_events.c.organization_id.is_not_distinct_from(organization_id))
    # Ids are in the order of time, so they are what the index is searched by.
    if wanted.since is not None:
        query = query.where(audit_events.c.id >= first_id_at(wanted.since))
    if wanted.until is not None:
        query = query.where(audit_events.c.id < first_id_at(wanted.until))
    if wanted.actor:
        query = query.where(or_(audit_events.c.actor_id == wanted.actor, audit_events.c.actor_name == wanted.actor))
    if wanted.actions:
        query = query.where(audit_events.c.action.in_([one.value for one in wanted.actions]))
    if page.after is not None:
        query = query.where(audit_events.c.id < page.after)
    rows = await tx.scan(query.order_by(audit_events.c.id.desc()).limit(page.size + 1))
    items = tuple(_event(row) for row in rows[: page.size])
    return Page(items, items[-1].id if len(rows) > page.size else None)


async def surplus_until(tx: Transaction, most: int) -> str | None:
    """The id up to which events are more than so many; None when there are not."""
    rows = await tx.scan(select(audit_events.c.id).order_by(audit_events.c.id.desc()).offset(most).limit(1))
    return rows[0].id if rows else None


async def forget_old_events(tx: Transaction, before: datetime | None, until: str | None) -> int:
    """Remove some of the events before a time, and of those up to an id; how many. Call it until there are none."""
    bounds = [audit_events.c.id < first_id_at(before)] if before is not None else []
    bounds += [audit_events.c.id <= until] if until is not None else []
    if not bounds:
        return 0
    old = select(audit_events.c.id).where(or_(*bounds)).order_by(audit_events.c.id).limit(_FORGET_AT_ONCE)
    return (await tx.execute(delete(audit_events).where(audit_events.c.id.in_(old)))).rowcount
