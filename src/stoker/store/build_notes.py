"""What else is known of a build: warnings, Dockerfiles, and its client's timings."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from stoker.domain.steps import BuildWarning, Dockerfile, SourceRange, Timing
from stoker.store.tables.records import dockerfiles, timings, warnings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stoker.store.database import Transaction


def _fingerprint(warning: BuildWarning) -> str:
    """The same for the same warning, however often BuildKit says it."""
    ranges = [(one.first_line, one.last_line) for one in warning.ranges]
    parts = json.dumps([warning.digest, warning.short, warning.filename, ranges])
    return hashlib.sha256(parts.encode(errors="replace")).hexdigest()[:32]


async def add_warnings(tx: Transaction, new: Iterable[BuildWarning]) -> None:
    """Store warnings that aren't there yet."""
    rows = [
        {
            "build_id": one.build_id,
            "fingerprint": _fingerprint(one),
            "solve_ref": one.solve_ref,
            "digest": one.digest,
            "level": one.level,
            "short": one.short,
            "detail": json.dumps(one.detail),
            "url": one.url,
            "filename": one.filename,
            "ranges": json.dumps([(place.first_line, place.last_line) for place in one.ranges]),
        }
        for one in new
    ]
    if rows:
        await tx.execute_many(insert(warnings).prefix_with("OR IGNORE", dialect="sqlite"), rows)


async def warnings_of(tx: Transaction, build_id: str) -> list[BuildWarning]:
    """The warnings of a build."""
    rows = await tx.execute(select(warnings).where(warnings.c.build_id == build_id))
    found = [
        BuildWarning(
            build_id=row.build_id,
            solve_ref=row.solve_ref,
            digest=row.digest,
            level=row.level,
            short=row.short,
            detail=tuple(json.loads(row.detail)),
            url=row.url,
            filename=row.filename,
            ranges=tuple(SourceRange(first, last) for first, last in json.loads(row.ranges)),
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (one.filename, [place.first_line for place in one.ranges], one.short))


async def save_dockerfiles(tx: Transaction, new: Iterable[Dockerfile], *, replace: bool) -> None:
    """Store Dockerfiles; those that are there stay as they are unless they are to be replaced."""
    rows = [
        {"build_id": one.build_id, "target": one.target, "filename": one.filename, "contents": one.contents}
        for one in new
    ]
    if rows:
        way = "OR REPLACE" if replace else "OR IGNORE"
        await tx.execute_many(insert(dockerfiles).prefix_with(way, dialect="sqlite"), rows)


async def dockerfiles_of(tx: Transaction, build_id: str) -> list[Dockerfile]:
    """The Dockerfiles of a build."""
    query = select(dockerfiles).where(dockerfiles.c.build_id == build_id).order_by(dockerfiles.c.target)
    return [Dockerfile(row.build_id, row.target, row.filename, row.contents) for row in await tx.execute(query)]


async def add_timings(tx: Transaction, build_id: str, new: Sequence[Timing], most: int) -> None:
    """Store what a client reported of steps, up to a number for the build."""
    query = select(func.count()).select_from(timings).where(timings.c.build_id == build_id)
    there = int((await tx.execute(query)).scalar_one())
    rows = [
        {
            "build_id": build_id,
            "number": there + place,
            "name": one.name,
            "started_at": one.started_at,
            "duration_microseconds": one.duration // timedelta(microseconds=1),
            "cached": one.cached,
            "error": one.error,
            "stable_digest": one.stable_digest,
        }
        for place, one in enumerate(new[: max(0, most - there)], 1)
    ]
    if rows:
        await tx.execute_many(insert(timings), rows)


async def timings_of(tx: Transaction, build_id: str) -> list[Timing]:
    """What a build's client reported of steps."""
    query = select(timings).where(timings.c.build_id == build_id).order_by(timings.c.number)
    return [
        Timing(
            name=row.name,
            started_at=row.started_at,
            duration=timedelta(microseconds=row.duration_microseconds),
            cached=row.cached,
            error=row.error,
            stable_digest=row.stable_digest,
        )
        for row in await tx.execute(query)
    ]


async def forget_notes(tx: Transaction, build_ids: Sequence[str]) -> int:
    """Remove all of that of builds; how many rows those were."""
    removed = 0
    for table in (warnings, dockerfiles, timings):
        removed += (await tx.execute(delete(table).where(table.c.build_id.in_(build_ids)))).rowcount
    return removed
