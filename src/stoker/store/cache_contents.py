"""Contents of volumes at the last stop of their machines."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from stoker.domain.cache_contents import CacheContents, CacheRecord
from stoker.store.tables.machines import cache_contents

if TYPE_CHECKING:
    from stoker.store.database import Transaction


async def keep_contents(tx: Transaction, volume_id: str, contents: CacheContents) -> None:
    """Store the contents of a volume."""
    await tx.execute(delete(cache_contents).where(cache_contents.c.volume_id == volume_id))
    records = zlib.compress(json.dumps([_written(record) for record in contents.records]).encode())
    await tx.execute(insert(cache_contents).values(volume_id=volume_id, taken_at=contents.taken_at, records=records))


async def find_contents(tx: Transaction, volume_id: str) -> CacheContents | None:
    """The stored contents of a volume."""
    row = (await tx.execute(select(cache_contents).where(cache_contents.c.volume_id == volume_id))).one_or_none()
    if row is None:
        return None
    return CacheContents(row.taken_at, tuple(_read(entry) for entry in json.loads(zlib.decompress(row.records))))


def _written(record: CacheRecord) -> dict[str, Any]:
    used = None if record.last_used_at is None else record.last_used_at.isoformat()
    return {**asdict(record), "created_at": record.created_at.isoformat(), "last_used_at": used}


def _read(entry: dict[str, Any]) -> CacheRecord:
    created, used = entry["created_at"], entry["last_used_at"]
    times: dict[str, Any] = {
        "created_at": datetime.fromisoformat(created),
        "last_used_at": None if used is None else datetime.fromisoformat(used),
    }
    return CacheRecord(**{**entry, **times})
