"""Moves times of ongoing work when the clock jumps, so that durations stay right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, between, not_, select, type_coerce, update

from stoker.domain.principals import CredentialKind
from stoker.domain.webhooks import DeliveryState
from stoker.store.builds import IS_RUNNING
from stoker.store.tables.builds import builds, leases, waiting
from stoker.store.tables.credentials import tokens
from stoker.store.tables.machines import volumes
from stoker.store.tables.webhooks import webhook_deliveries

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement

    from stoker.domain.clock import Jump
    from stoker.store.database import Transaction


async def move_times(tx: Transaction, jump: Jump) -> None:
    """Move when builds that run were made and began and when their tokens end, likewise leases, places in the queue,
    and when to try again what failed.

    Without it a build would be overdue because of the jump, and its duration and its project's usage would be wrong
    by as much.
    """
    await _move(tx, builds.c.created_at, jump, IS_RUNNING)
    await _move(tx, builds.c.started_at, jump, IS_RUNNING)
    await _move(tx, leases.c.created_at, jump, leases.c.ended_at.is_(None))
    await _move(tx, waiting.c.created_at, jump, waiting.c.created_at.is_not(None))
    await _move(tx, volumes.c.retry_at, jump, volumes.c.retry_at.is_not(None))
    of_running = tokens.c.build_id.in_(select(builds.c.id).where(IS_RUNNING))
    await _move(tx, tokens.c.expires_at, jump, of_running & (tokens.c.kind == CredentialKind.BUILD.value))
    is_waiting = webhook_deliveries.c.state == DeliveryState.WAITING.value
    await _move(tx, webhook_deliveries.c.due_at, jump, is_waiting)


async def _move(tx: Transaction, column: Column[datetime], jump: Jump, where: ColumnElement[bool]) -> None:
    # What was written in the meantime is by the new clock already.
    is_old = not_(between(column, jump.now - jump.window, jump.now))
    moved = type_coerce(column, BigInteger) + round(jump.by.total_seconds() * 1_000_000)
    await tx.execute(update(column.table).where(where, is_old).values({column: moved}))
