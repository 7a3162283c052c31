"""The audit log. Rows are added, never changed, and deleted when they are old or too many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, func, insert, or_, select

from stoker.domain.audit import Action, AuditEvent, Party
from stoker.domain.ids import first_id_at
from stoker.domain.pagination import Page
from stoker.store.tables.audit import audit_events

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.audit import AuditFilter
    from stoker.domain.pagination import PageRequest
    from stoker.domain.retention import Owner
    from stoker.store.database import Transaction

DELETED_AT_ONCE = 1000
"""How many rows one transaction removes: others write between two of them."""


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
    query = select(audit_events).where(audit_events.c.organization_id == organization_id)
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


async def count_events(tx: Transaction) -> dict[Owner, int]:
    """The number of events by owner."""
    owner = (audit_events.c.organization_id, audit_events.c.actor_kind, audit_events.c.actor_id)
    rows = await tx.scan(select(*owner, func.count().label("events")).group_by(*owner))
    return {(row.organization_id, row.actor_kind, row.actor_id): row.events for row in rows}


async def delete_surplus_events(tx: Transaction, owner: Owner, surplus: int) -> int:
    """Remove some of the oldest events of one, so many at most; how many."""
    organization_id, kind, actor_id = owner
    oldest = (
        select(audit_events.c.id)
        .where(
            audit_events.c.organization_id == organization_id,
            audit_events.c.actor_kind == kind,
            audit_events.c.actor_id == actor_id,
        )
        .order_by(audit_events.c.id)
        .limit(min(surplus, DELETED_AT_ONCE))
    )
    return await tx.execute_apart(delete(audit_events).where(audit_events.c.id.in_(oldest)))


async def delete_old_events(tx: Transaction, before: datetime) -> int:
    """Remove some of the events before a time; how many."""
    old = select(audit_events.c.id).where(audit_events.c.id < first_id_at(before)).order_by(audit_events.c.id)
    return await tx.execute_apart(delete(audit_events).where(audit_events.c.id.in_(old.limit(DELETED_AT_ONCE))))
