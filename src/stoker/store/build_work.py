"""How much work builds did: kept in their rows, so that many of them are compared without their steps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, exists, select, update

from stoker.domain.build_work import BuildTrend
from stoker.domain.builds import BuildStatus
from stoker.domain.steps import CLIENT_REF
from stoker.store.tables.builds import builds
from stoker.store.tables.origins import build_origins
from stoker.store.tables.records import solves, steps

if TYPE_CHECKING:
    from collections.abc import Collection

    from stoker.domain.build_work import BuildWork
    from stoker.store.database import Transaction

_MICROSECOND = timedelta(microseconds=1)
_BUILDS_BACK = 200


async def save_work(tx: Transaction, build_id: str, work: BuildWork, *, is_trusted: bool) -> None:
    """Store what a build's steps were, all in all. What an untrusted one saved counts nowhere but on its own page."""
    await tx.execute(
        update(builds)
        .where(builds.c.id == build_id)
        .values(
            steps=work.steps,
            cached_steps=work.cached_steps,
            work_microseconds=work.work // _MICROSECOND,
            saved_microseconds=work.saved // _MICROSECOND if is_trusted else 0,
        )
    )


async def trends_of(tx: Transaction, project_id: str, size: int) -> list[BuildTrend]:
    """The last trusted builds of a project that ended, the oldest first."""
    query = (
        select(builds)
        .where(builds.c.project_id == project_id, builds.c.status != BuildStatus.RUNNING.value, ~builds.c.untrusted)
        .order_by(builds.c.id.desc())
        .limit(size)
    )
    found = [
        BuildTrend(
            build_id=row.id,
            status=BuildStatus(row.status),
            created_at=row.created_at,
            duration=None if row.started_at is None else row.finished_at - row.started_at,
            steps=row.steps,
            cached_steps=row.cached_steps,
            work=None if row.work_microseconds is None else timedelta(microseconds=row.work_microseconds),
            saved=timedelta(microseconds=row.saved_microseconds),
            title=row.title,
        )
        for row in await tx.execute(query)
    ]
    return found[::-1]


async def build_before(tx: Transaction, project_id: str, build_id: str, platform: str) -> str | None:
    """The last trusted build before another one that ended and has steps of a platform, of the last few hundred."""
    recent = (
        select(builds.c.id)
        .where(
            builds.c.project_id == project_id,
            builds.c.id < build_id,
            builds.c.status != BuildStatus.RUNNING.value,
            ~builds.c.untrusted,
        )
        .order_by(builds.c.id.desc())
        .limit(_BUILDS_BACK)
        .subquery()
    )
    has_steps = exists().where(
        steps.c.build_id == recent.c.id, steps.c.platform == platform, steps.c.solve_ref != CLIENT_REF
    )
    query = select(recent.c.id).where(has_steps).order_by(recent.c.id.desc()).limit(1)
    return (await tx.execute(query)).scalar_one_or_none()


async def caches_of(tx: Transaction, refs: Collection[str]) -> set[str]:
    """The volumes with which solves began, as far as they are known."""
    query = select(solves.c.volume_id).where(solves.c.ref.in_(refs), solves.c.volume_id.is_not(None)).distinct()
    return set((await tx.execute(query)).scalars())


async def last_good_build(tx: Transaction, project_id: str, build_id: str) -> str | None:
    """The last trusted build before another one that succeeded, of the same thing (see `subject_of`)."""
    row = (await tx.execute(_good_before(project_id, build_id).limit(1))).first()
    return None if row is None else row.id


async def durations_before(tx: Transaction, project_id: str, build_id: str, most: int) -> list[timedelta]:
    """The durations of the last such builds."""
    query = _good_before(project_id, build_id).where(builds.c.started_at.is_not(None)).limit(most)
    return [max(row.finished_at - row.started_at, timedelta(0)) for row in await tx.execute(query)]


def _good_before(project_id: str, build_id: str) -> Select[*tuple[Any, ...]]:
    """Of the last few hundred builds before another one: those of the same thing that are trusted and succeeded."""
    subject = select(build_origins.c.subject).where(build_origins.c.build_id == build_id).scalar_subquery()
    recent = (
        select(builds.c.id)
        .where(builds.c.project_id == project_id, builds.c.id < build_id)
        .order_by(builds.c.id.desc())
        .limit(_BUILDS_BACK)
        .subquery()
    )
    return (
        select(builds)
        .join(recent, recent.c.id == builds.c.id)
        .join(build_origins, build_origins.c.build_id == builds.c.id)
        .where(
            builds.c.status == BuildStatus.SUCCEEDED.value,
            ~builds.c.untrusted,
            build_origins.c.subject == subject,
            build_origins.c.subject != "",
        )
        .order_by(builds.c.id.desc())
    )
