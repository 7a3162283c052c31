"""Webhooks and their deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, delete, exists, func, insert, select, update

from stoker.domain.pagination import Page
from stoker.domain.webhooks import TEST, Delivery, DeliveryState, WaitingDeliveries, Webhook, WebhookStanding
from stoker.store.tables.organizations import projects
from stoker.store.tables.webhooks import webhook_deliveries, webhooks

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from stoker.domain.pagination import PageRequest
    from stoker.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Busy:
    """Who is being sent something, so that nothing else of theirs is begun; of tests or of all else."""

    webhooks: Collection[str] = ()
    organizations: Collection[str] = ()
    are_tests: bool = False


_WAITING = webhook_deliveries.c.state == DeliveryState.WAITING.value
_DELETED_AT_ONCE = 1000


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(row.id, row.organization_id, row.project_id, row.url, row.created_at, row.dropped, row.dropped_at)


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


async def waiting_deliveries(tx: Transaction, organization_id: str) -> WaitingDeliveries:
    """How many deliveries are not done yet, of an organization's webhooks and of all."""
    of_webhooks = (
        select(webhook_deliveries.c.webhook_id, func.count().label("waiting"))
        .join(webhooks, webhooks.c.id == webhook_deliveries.c.webhook_id)
        .where(_WAITING, webhooks.c.organization_id == organization_id)
        .group_by(webhook_deliveries.c.webhook_id)
    )
    counted = {row.webhook_id: row.waiting for row in await tx.execute(of_webhooks)}
    return WaitingDeliveries(counted, await count_waiting(tx))


async def count_waiting(tx: Transaction) -> int:
    """How many deliveries are not done yet, of all webhooks."""
    return (await tx.execute(select(func.count()).select_from(webhook_deliveries).where(_WAITING))).scalar_one()


async def has_waiting_test(tx: Transaction, webhook_id: str) -> bool:
    """Whether a test of a webhook is not done yet."""
    query = select(webhook_deliveries.c.id).where(
        webhook_deliveries.c.webhook_id == webhook_id, _WAITING, webhook_deliveries.c.event == TEST
    )
    return (await tx.execute(query.limit(1))).one_or_none() is not None


async def note_dropped(tx: Transaction, webhook_id: str, now: datetime) -> None:
    """Count a delivery that was dropped."""
    dropped = {"dropped": webhooks.c.dropped + 1, "dropped_at": now}
    await tx.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(dropped))


async def due_delivery(tx: Transaction, now: datetime, busy: Busy) -> tuple[Delivery, str] | None:
    """The delivery that is due for the longest, of none who are busy, and the organization that it is of."""
    query = (
        select(webhook_deliveries, webhooks.c.organization_id)
        .join(webhooks, webhooks.c.id == webhook_deliveries.c.webhook_id)
        .where(_WAITING, webhook_deliveries.c.due_at <= now, *_not_of(busy))
        .order_by(webhook_deliveries.c.due_at)
        .limit(1)
    )
    # Those of who is busy are passed over, which may be many.
    rows = await tx.scan(query)
    return (_delivery(rows[0]), rows[0].organization_id) if rows else None


async def next_due(tx: Transaction, busy: Busy) -> datetime | None:
    """When the next delivery is due, of none who are busy."""
    query = (
        select(webhook_deliveries.c.due_at)
        .join(webhooks, webhooks.c.id == webhook_deliveries.c.webhook_id)
        .where(_WAITING, *_not_of(busy))
        .order_by(webhook_deliveries.c.due_at)
        .limit(1)
    )
    rows = await tx.scan(query)
    return rows[0].due_at if rows else None


def _not_of(busy: Busy) -> list[ColumnElement[bool]]:
    event = webhook_deliveries.c.event
    found: list[ColumnElement[bool]] = [event == TEST if busy.are_tests else event != TEST]
    if busy.webhooks:
        found.append(webhook_deliveries.c.webhook_id.not_in(busy.webhooks))
    if busy.organizations:
        found.append(webhooks.c.organization_id.not_in(busy.organizations))
    return found


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


async def delete_old_deliveries(tx: Transaction, before: datetime) -> int:
    """Remove some deliveries that were done before then, and webhooks of deleted projects once theirs are; how many."""
    old = (
        select(webhook_deliveries.c.id)
        .where(webhook_deliveries.c.finished_at < before)
        .order_by(webhook_deliveries.c.finished_at)
        .limit(_DELETED_AT_ONCE)
    )
    removed = await tx.execute_apart(delete(webhook_deliveries).where(webhook_deliveries.c.id.in_(old)))
    gone = select(projects.c.id).where(projects.c.deleted_at.is_not(None))
    unused = ~exists().where(webhook_deliveries.c.webhook_id == webhooks.c.id)
    return removed + (await tx.execute(delete(webhooks).where(webhooks.c.project_id.in_(gone), unused))).rowcount
