"""Warnings, Dockerfiles, and timings that a client reported, of builds."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, func, insert, select

from stoker.domain.record_limits import dockerfile_cost, warning_cost
from stoker.domain.steps import CLIENT_REF, BuildWarning, Dockerfile, SourceRange, Timing
from stoker.store.inserts import insert_or_ignore, insert_or_replace
from stoker.store.tables.records import dockerfiles, timings, warnings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stoker.store.database import Transaction

# How much memory a list of these takes.
_READ_BYTES = 4 * 1024 * 1024


async def add_warnings(tx: Transaction, new: Iterable[BuildWarning]) -> None:
    """Store warnings that aren't there yet."""
    rows = [
        {
            "build_id": one.build_id,
            "fingerprint": one.fingerprint,
            "solve_ref": one.solve_ref,
            "digest": one.digest,
            "level": one.level,
            "short": one.short,
            "detail": json.dumps(one.detail, ensure_ascii=False),
            "url": one.url,
            "filename": one.filename,
            "ranges": json.dumps([(place.first_line, place.last_line) for place in one.ranges]),
        }
        for one in new
    ]
    if rows:
        await tx.execute_many(insert_or_ignore(tx, warnings), rows)


def _warning(row: Row[Any]) -> BuildWarning:
    return BuildWarning(
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


async def warning_fingerprints(tx: Transaction, build_id: str, *, is_reported: bool) -> list[str]:
    """Those of a build's warnings, of what its client reported or else of what machines said."""
    query = select(warnings.c.fingerprint).where(
        warnings.c.build_id == build_id, (warnings.c.solve_ref == CLIENT_REF) == is_reported
    )
    return list((await tx.execute(query)).scalars())


async def warnings_of(tx: Transaction, build_id: str) -> list[BuildWarning]:
    """The warnings of a build. If they take too much memory, what its client reported is left out first."""
    query = select(warnings).where(warnings.c.build_id == build_id).order_by(warnings.c.solve_ref == CLIENT_REF)
    found = await tx.scan_into(query, _warning, warning_cost, _READ_BYTES)
    return sorted(found, key=lambda one: (one.filename, [place.first_line for place in one.ranges], one.short))


async def save_dockerfiles(tx: Transaction, new: Iterable[Dockerfile], *, replace: bool) -> None:
    """Store Dockerfiles; those that are there stay as they are unless they are to be replaced."""
    rows = [
        {"build_id": one.build_id, "target": one.target, "filename": one.filename, "contents": one.contents}
        for one in new
    ]
    if rows:
        way = insert_or_replace if replace else insert_or_ignore
        await tx.execute_many(way(tx, dockerfiles), rows)


async def dockerfile_names(tx: Transaction, build_id: str) -> list[tuple[str, str]]:
    """The targets and names of a build's Dockerfiles."""
    query = select(dockerfiles.c.target, dockerfiles.c.filename).where(dockerfiles.c.build_id == build_id)
    return [(row.target, row.filename) for row in await tx.execute(query)]


async def dockerfiles_of(tx: Transaction, build_id: str) -> list[Dockerfile]:
    """The Dockerfiles of a build, as many as memory is taken for."""
    query = select(dockerfiles).where(dockerfiles.c.build_id == build_id).order_by(dockerfiles.c.target)
    return await tx.scan_into(
        query,
        lambda row: Dockerfile(row.build_id, row.target, row.filename, row.contents),
        dockerfile_cost,
        _READ_BYTES,
    )


async def add_timings(tx: Transaction, build_id: str, new: Sequence[Timing]) -> None:
    """Store what a client reported of steps, after what it did before."""
    query = select(func.coalesce(func.max(timings.c.number), 0)).where(timings.c.build_id == build_id)
    last = int((await tx.execute(query)).scalar_one())
    rows = [
        {
            "build_id": build_id,
            "number": number,
            "name": one.name,
            "started_at": one.started_at,
            "duration_microseconds": one.duration // timedelta(microseconds=1),
            "cached": one.cached,
            "error": one.error,
            "stable_digest": one.stable_digest,
        }
        for number, one in enumerate(new, last + 1)
    ]
    if rows:
        await tx.execute_many(insert(timings), rows)


async def delete_notes(tx: Transaction, build_ids: Sequence[str]) -> int:
    """Remove all of that of builds; how many rows those were."""
    removed = 0
    for table in (warnings, dockerfiles, timings):
        removed += (await tx.execute(delete(table).where(table.c.build_id.in_(build_ids)))).rowcount
    return removed
