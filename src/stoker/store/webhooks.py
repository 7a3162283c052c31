"""Webhooks and their deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, exists, func, insert, select, update

from stoker.domain.pages import Page
from stoker.domain.webhooks import Delivery, DeliveryState, Webhook, WebhookStanding
from stoker.store.tables.organizations import projects
from stoker.store.tables.webhooks import webhook_deliveries, webhooks

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from stoker.domain.pages import PageRequest
    from stoker.store.database import Transaction

_WAITING = webhook_deliveries.c.state == DeliveryState.WAITING.value
_FORGET_AT_ONCE = 5000


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(row.id, row.organization_id, row.project_id, row.url, row.created_at)


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        webhook_id=row.webhook_id,
        build_id=row.build_id,
        event=row.event,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        created_at=row.created_at,
        due_at=row.due_at,
        finished_at=row.finished_at,
        http_status=row.http_status,
        error=row.error,
    )


async def add_webhook(tx: Transaction, webhook: Webhook) -> None:
    """Store a new webhook."""
    await tx.execute(
        insert(webhooks).values(
            id=webhook.id,
            organization_id=webhook.organization_id,
            project_id=webhook.project_id,
            url=webhook.url,
            created_at=webhook.created_at,
        )
    )


async def find_webhook(tx: Transaction, webhook_id: str) -> Webhook | None:
    """The webhook of that id."""
    row = (await tx.execute(select(webhooks).where(webhooks.c.id == webhook_id))).one_or_none()
    return None if row is None else _webhook(row)


async def list_webhooks(tx: Transaction, project_id: str) -> list[Webhook]:
    """A project's webhooks, the oldest first."""
    query = select(webhooks).where(webhooks.c.project_id == project_id).order_by(webhooks.c.id)
    return [_webhook(row) for row in await tx.execute(query)]


async def list_organization_webhooks(tx: Transaction, organization_id: str, page: PageRequest) -> Page[WebhookStanding]:
    """A page of the webhooks of an organization's projects, the oldest first, with the last delivery of each."""
    latest = (
        select(webhook_deliveries.c.id)
        .where(webhook_deliveries.c.webhook_id == webhooks.c.id)
        .order_by(webhook_deliveries.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(webhooks, projects.c.name.label("project_name"), latest.label("latest"))
        .join(projects, projects.c.id == webhooks.c.project_id)
        .where(projects.c.organization_id == organization_id, projects.c.deleted_at.is_(None))
        .order_by(webhooks.c.id)
        .limit(page.size + 1)
    )
    if page.after is not None:
        query = query.where(webhooks.c.id > page.after)
    rows = await tx.scan(query)
    shown = rows[: page.size]
    ids = [row.latest for row in shown if row.latest is not None]
    deliveries = await tx.execute(select(webhook_deliveries).where(webhook_deliveries.c.id.in_(ids)))
    last = {row.id: _delivery(row) for row in deliveries}
    items = tuple(WebhookStanding(_webhook(row), row.project_name, last.get(row.latest)) for row in shown)
    return Page(items, items[-1].webhook.id if len(rows) > page.size else None)


async def remove_webhook(tx: Transaction, webhook_id: str) -> None:
    """Remove a webhook with its deliveries."""
    await tx.execute(delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id))
    await tx.execute(delete(webhooks).where(webhooks.c.id == webhook_id))


async def add_delivery(tx: Transaction, delivery: Delivery) -> None:
    """Store a new delivery."""
    await tx.execute(
        insert(webhook_deliveries).values(
            id=delivery.id,
            webhook_id=delivery.webhook_id,
            build_id=delivery.build_id,
            event=delivery.event,
            state=delivery.state.value,
            attempts=delivery.attempts,
            created_at=delivery.created_at,
            due_at=delivery.due_at,
        )
    )


async def find_delivery(tx: Transaction, delivery_id: str) -> Delivery | None:
    """The delivery of that id."""
    row = (await tx.execute(select(webhook_deliveries).where(webhook_deliveries.c.id == delivery_id))).one_or_none()
    return None if row is None else _delivery(row)


async def list_deliveries(tx: Transaction, webhook_id: str, page: PageRequest) -> Page[Delivery]:
    """A page of a webhook's deliveries, the newest first."""
    query = select(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id)
    if page.after is not None:
        query = query.where(webhook_deliveries.c.id < page.after)
    rows = (await tx.execute(query.order_by(webhook_deliveries.c.id.desc()).limit(page.size + 1))).all()
    items = tuple(_delivery(row) for row in rows[: page.size])
    return Page(items, items[-1].id if len(rows) > page.size else None)


async def count_waiting(tx: Transaction) -> int:
    """How many deliveries are not done yet."""
    return (await tx.execute(select(func.count()).select_from(webhook_deliveries).where(_WAITING))).scalar_one()


async def due_delivery(tx: Transaction, now: datetime, busy: Collection[str]) -> Delivery | None:
    """The delivery that is due for the longest, of none of the webhooks that are ``busy``."""
    query = select(webhook_deliveries).where(_WAITING, webhook_deliveries.c.due_at <= now)
    if busy:
        query = query.where(webhook_deliveries.c.webhook_id.not_in(busy))
    row = (await tx.execute(query.order_by(webhook_deliveries.c.due_at).limit(1))).one_or_none()
    return None if row is None else _delivery(row)


async def next_due(tx: Transaction, busy: Collection[str]) -> datetime | None:
    """When the next delivery is due, of none of the webhooks that are ``busy``."""
    query = select(webhook_deliveries.c.due_at).where(_WAITING)
    if busy:
        query = query.where(webhook_deliveries.c.webhook_id.not_in(busy))
    return (await tx.execute(query.order_by(webhook_deliveries.c.due_at).limit(1))).scalar_one_or_none()


async def save_attempt(tx: Transaction, delivery: Delivery) -> None:
    """Store what an attempt changed. A delivery that was removed in the meantime stays so."""
    await tx.execute(
        update(webhook_deliveries)
        .where(webhook_deliveries.c.id == delivery.id)
        .values(
            state=delivery.state.value,
            attempts=delivery.attempts,
            due_at=delivery.due_at,
            finished_at=delivery.finished_at,
            http_status=delivery.http_status,
            error=delivery.error,
        )
    )


async def forget_old_deliveries(tx: Transaction, before: datetime) -> int:
    """Remove deliveries that were done before then, and webhooks of deleted projects once theirs are; how many."""
    old = (
        select(webhook_deliveries.c.id)
        .where(webhook_deliveries.c.finished_at < before)
        .order_by(webhook_deliveries.c.finished_at)
        .limit(_FORGET_AT_ONCE)
    )
    removed = (await tx.execute(delete(webhook_deliveries).where(webhook_deliveries.c.id.in_(old)))).rowcount
    gone = select(projects.c.id).where(projects.c.deleted_at.is_not(None))
    unused = ~exists().where(webhook_deliveries.c.webhook_id == webhooks.c.id)
    return removed + (await tx.execute(delete(webhooks).where(webhooks.c.project_id.in_(gone), unused))).rowcount
