"""How much work the steps of builds were, and how much of it caches saved."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Row,
    Select,
    Text,
    bindparam,
    case,
    column,
    func,
    select,
    type_coerce,
    update,
    values,
)

from stoker.domain.build_work import BuildWork
from stoker.domain.steps import CLIENT_REF
from stoker.store.tables.columns import moment_of
from stoker.store.tables.records import steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stoker.store.database import Transaction

_MICROSECOND = timedelta(microseconds=1)
_KEYS_AT_ONCE = 500


async def work_of_builds(tx: Transaction, build_ids: Sequence[str]) -> dict[str, tuple[BuildWork, int]]:
    """By build: what its steps were, and how many bytes of logs were dropped. Builds without any are left out."""
    rows = (
        select(steps)
        .where(steps.c.build_id.in_(build_ids), steps.c.solve_ref != CLIENT_REF)
        .order_by(steps.c.number)
        .subquery()
    )
    begun, ended = type_coerce(rows.c.started_at, BigInteger), type_coerce(rows.c.completed_at, BigInteger)
    done = case((rows.c.cached, 0), (ended > begun, ended - begun), else_=0)
    # Of steps that several solves of a build share, one counts.
    once = (
        select(
            rows.c.build_id,
            func.max(case((rows.c.cached, 1), else_=0)).label("cached"),
            func.max(done).label("work"),
            func.min(begun).label("begun"),
            func.max(ended).label("ended"),
            func.max(func.coalesce(rows.c.saved_microseconds, 0)).label("saved"),
            func.sum(rows.c.dropped_bytes).label("dropped"),
        )
        .group_by(rows.c.build_id, rows.c.digest, rows.c.platform)
        .subquery()
    )
    query = select(
        once.c.build_id,
        func.count().label("steps"),
        func.sum(once.c.cached).label("cached"),
        func.sum(once.c.work).label("work"),
        func.min(once.c.begun).label("begun"),
        func.max(once.c.ended).label("ended"),
        func.sum(once.c.saved).label("saved"),
        func.sum(once.c.dropped).label("dropped"),
    ).group_by(once.c.build_id)
    return {row.build_id: (_work(row), int(row.dropped)) for row in await tx.scan(query)}


def _work(row: Row[Any]) -> BuildWork:
    return BuildWork(
        steps=int(row.steps),
        cached_steps=int(row.cached),
        work=timedelta(microseconds=int(row.work)),
        begun_at=None if row.begun is None else moment_of(row.begun),
        ended_at=None if row.ended is None else moment_of(row.ended),
        saved=timedelta(microseconds=int(row.saved)),
    )


async def new_savings(tx: Transaction, project_id: str, build_id: str) -> dict[int, timedelta]:
    """By number of a build's cached steps: how long the same work took when another build of the project last did it.

    Only trusted builds count. Work that the build did itself, in another of its solves, was not saved. Steps whose
    saving is stored already are left out.
    """
    done = await tx.scan(_own_work(build_id).distinct())
    own = {row.work_key for row in done}
    cached = await tx.scan(
        select(steps.c.number, steps.c.work_key).where(
            steps.c.build_id == build_id,
            steps.c.solve_ref != CLIENT_REF,
            steps.c.cached,
            steps.c.saved_microseconds.is_(None),
        )
    )
    numbers: dict[str, list[int]] = {}
    for row in cached:
        if row.work_key and row.work_key not in own:
            numbers.setdefault(row.work_key, []).append(row.number)
    keys = list(numbers)
    found: dict[int, timedelta] = {}
    for begin in range(0, len(keys), _KEYS_AT_ONCE):
        wanted = (
            values(column("work_key", Text)).data([(key,) for key in keys[begin : begin + _KEYS_AT_ONCE]]).cte("wanted")
        )
        other = steps.alias()
        took = type_coerce(other.c.completed_at, BigInteger) - type_coerce(other.c.started_at, BigInteger)
        last = (
            select(took)
            .where(
                other.c.project_id == project_id,
                other.c.work_key == wanted.c.work_key,
                other.c.tells_duration,
                other.c.build_id != build_id,
            )
            .order_by(other.c.completed_at.desc())
            .limit(1)
            .correlate(wanted)
            .scalar_subquery()
        )
        for row in await tx.scan(select(wanted.c.work_key, last.label("took"))):
            if row.took is not None:
                duration = max(timedelta(), timedelta(microseconds=int(row.took)))
                found |= dict.fromkeys(numbers[row.work_key], duration)
    return found


async def save_savings(tx: Transaction, build_id: str, saved: Mapping[int, timedelta]) -> None:
    """Store what each of some cached steps saved, by their numbers; nothing where the build did the work itself."""
    query = (
        update(steps)
        .where(steps.c.build_id == build_id, steps.c.number == bindparam("of"))
        .values(saved_microseconds=bindparam("took"))
    )
    rows = [{"of": number, "took": duration // _MICROSECOND} for number, duration in saved.items()]
    if rows:
        await tx.execute_many(query, rows)
    done = _own_work(build_id).scalar_subquery()
    await tx.execute(
        update(steps)
        .where(
            steps.c.build_id == build_id,
            steps.c.cached,
            steps.c.saved_microseconds.is_not(None),
            steps.c.work_key.in_(done),
        )
        .values(saved_microseconds=None)
    )


def _own_work(build_id: str) -> Select[str]:
    """Keys of the work that a build did itself, in whichever of its solves."""
    return select(steps.c.work_key).where(
        steps.c.build_id == build_id,
        steps.c.solve_ref != CLIENT_REF,
        ~steps.c.cached,
        steps.c.completed_at.is_not(None),
    )
