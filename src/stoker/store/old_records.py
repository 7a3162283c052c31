"""Builds whose records have expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from stoker.store.tables.builds import builds
from stoker.store.tables.records import attestations, dockerfiles, log_chunks, record_sizes, steps, timings, warnings

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.store.database import Transaction


async def builds_with_old_records(tx: Transaction, ended_before: datetime, most: int) -> list[str]:
    """Up to ``most`` builds that ended before then and have records, the oldest first.

    Ids of builds begin with the time, so the oldest records are the first ones of each table.
    """
    found: set[str] = set()
    for table in (steps, log_chunks, dockerfiles, timings, warnings, attestations, record_sizes):
        query = (
            select(table.c.build_id)
            .join(builds, builds.c.id == table.c.build_id)
            .where(builds.c.finished_at < ended_before)
            .distinct()
            .order_by(table.c.build_id)
            .limit(most)
        )
        found.update(build_id for (build_id,) in await tx.scan(query))
    return sorted(found)[:most]
