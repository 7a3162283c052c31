"""Steps of builds."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Row, Select, case, delete, func, insert, select, type_coerce, update

from stoker.domain.build_work import BuildWork
from stoker.domain.pacing import paced
from stoker.domain.steps import CLIENT_REF, Step, Transfer
from stoker.store.tables.columns import microseconds, moment_of
from stoker.store.tables.records import steps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from stoker.store.database import Transaction

_MICROSECOND = timedelta(microseconds=1)


def _step(row: Row[Any]) -> Step:
    return Step(
        build_id=row.build_id,
        number=row.number,
        solve_ref=row.solve_ref,
        digest=row.digest,
        name=row.name,
        group=row.group,
        platform=row.platform,
        started_at=row.started_at,
        completed_at=row.completed_at,
        cached=row.cached,
        error=row.error,
        inputs=tuple(json.loads(row.inputs)),
        work_key=row.work_key,
        transfers=tuple(
            Transfer(
                id_,
                name,
                current,
                total,
                None if started is None else moment_of(started),
                None if completed is None else moment_of(completed),
            )
            for id_, name, current, total, started, completed in json.loads(row.transfers)
        ),
        stdout_bytes=row.stdout_bytes,
        stderr_bytes=row.stderr_bytes,
        log_lines=row.log_lines,
        dropped_bytes=row.dropped_bytes,
        clipped=row.clipped,
        saved=None if row.saved_microseconds is None else timedelta(microseconds=row.saved_microseconds),
    )


def _values(step: Step, project_id: str) -> dict[str, object]:
    return {
        "build_id": step.build_id,
        "number": step.number,
        "project_id": project_id,
        "solve_ref": step.solve_ref,
        "digest": step.digest,
        "name": step.name,
        "group": step.group,
        "platform": step.platform,
        "started_at": step.started_at,
        "completed_at": step.completed_at,
        "cached": step.cached,
        "error": step.error,
        "inputs": json.dumps(step.inputs),
        "work_key": step.work_key,
        "transfers": json.dumps(
            [
                (
                    one.id,
                    one.name,
                    one.current,
                    one.total,
                    None if one.started_at is None else microseconds(one.started_at),
                    None if one.completed_at is None else microseconds(one.completed_at),
                )
                for one in step.transfers
            ]
        ),
        "stdout_bytes": step.stdout_bytes,
        "stderr_bytes": step.stderr_bytes,
        "log_lines": step.log_lines,
        "dropped_bytes": step.dropped_bytes,
        "clipped": step.clipped,
        "saved_microseconds": None if step.saved is None else step.saved // _MICROSECOND,
    }


async def save_steps(tx: Transaction, project_id: str, changed: Iterable[Step]) -> None:
    """Store steps, new ones or what changed of old ones."""
    rows = [_values(step, project_id) for step in changed]
    if rows:
        await tx.execute_many(insert(steps).prefix_with("OR REPLACE", dialect="sqlite"), rows)


async def last_step_number(tx: Transaction, build_id: str) -> int:
    """The number of a build's newest step; 0 when it has none."""
    query = select(func.coalesce(func.max(steps.c.number), 0)).where(steps.c.build_id == build_id)
    return int((await tx.execute(query)).scalar_one())


async def steps_of_solve(tx: Transaction, build_id: str, ref: str) -> list[Step]:
    """The steps of one solve, in the order of their numbers."""
    query = select(steps).where(steps.c.build_id == build_id, steps.c.solve_ref == ref).order_by(steps.c.number)
    return [_step(row) for row in await tx.execute(query)]


def _own(build_id: str) -> Select[*tuple[Any, ...]]:
    """The steps that machines did in a build. Of those that several of its solves share, the one seen first."""
    own = (steps.c.build_id == build_id, steps.c.solve_ref != CLIENT_REF)
    # Not by looking for an earlier one of each: SQLite does that in the square of their number.
    first = select(func.min(steps.c.number)).where(*own).group_by(steps.c.digest, steps.c.platform)
    return select(steps).where(*own, steps.c.number.in_(first))


async def list_steps(tx: Transaction, build_id: str, size: int, after: int) -> list[Step]:
    """The next steps of a build after a number, in the order of their numbers; see `_own`."""
    query = _own(build_id).where(steps.c.number > after).order_by(steps.c.number).limit(size)
    return await paced(_step(row) for row in await tx.scan(query))


async def all_steps(tx: Transaction, build_id: str, most: int, platform: str | None = None) -> list[Step]:
    """Up to ``most`` steps of a build, those of one platform where it is named; see `_own`."""
    query = _own(build_id).order_by(steps.c.number).limit(most)
    if platform is not None:
        query = query.where(steps.c.platform == platform)
    return await paced(_step(row) for row in await tx.scan(query))


async def failed_steps(tx: Transaction, build_id: str, most: int) -> list[Step]:
    """Up to ``most`` steps of a build that have an error, those that ended first; see `_own`."""
    query = _own(build_id).where(steps.c.error.is_not(None)).order_by(steps.c.completed_at, steps.c.number).limit(most)
    return [_step(row) for row in await tx.execute(query)]


async def client_steps(tx: Transaction, build_id: str) -> list[Step]:
    """What the build's client reported of its own work, such as connecting."""
    return await steps_of_solve(tx, build_id, CLIENT_REF)


async def find_step(tx: Transaction, build_id: str, digest: str) -> Step | None:
    """The first step of a build with that digest that has a log, or the first one at all."""
    query = (
        select(steps)
        .where(steps.c.build_id == build_id, steps.c.digest == digest)
        .order_by(steps.c.log_lines == 0, steps.c.number)
        .limit(1)
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _step(row)


async def names_of(tx: Transaction, build_id: str, numbers: Collection[int]) -> dict[int, str]:
    """The names of some steps, by their numbers."""
    query = select(steps.c.number, steps.c.name).where(steps.c.build_id == build_id, steps.c.number.in_(numbers))
    return {row.number: row.name for row in await tx.execute(query)}


async def step_of_number(tx: Transaction, build_id: str, number: int) -> Step | None:
    """A step by its number."""
    row = (await tx.execute(select(steps).where(steps.c.build_id == build_id, steps.c.number == number))).one_or_none()
    return None if row is None else _step(row)


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
    # Those of one build are few; those of a page of builds may be a hundred thousand.
    found = await tx.scan(query) if len(build_ids) > 1 else await tx.execute(query)
    return {row.build_id: (_work(row), int(row.dropped)) for row in found}


def _work(row: Row[Any]) -> BuildWork:
    return BuildWork(
        steps=int(row.steps),
        cached_steps=int(row.cached),
        work=timedelta(microseconds=int(row.work)),
        begun_at=None if row.begun is None else moment_of(row.begun),
        ended_at=None if row.ended is None else moment_of(row.ended),
        saved=timedelta(microseconds=int(row.saved)),
    )


async def last_durations(tx: Transaction, project_id: str, keys: Iterable[str]) -> dict[str, timedelta]:
    """By work key: how long that work took when it was last really done in a project."""
    wanted = list(dict.fromkeys(keys))
    found: dict[str, timedelta] = {}
    for key in wanted:
        query = (
            select(steps.c.started_at, steps.c.completed_at)
            .where(
                steps.c.project_id == project_id,
                steps.c.work_key == key,
                ~steps.c.cached,
                steps.c.completed_at.is_not(None),
                steps.c.error.is_(None),
            )
            .order_by(steps.c.completed_at.desc())
            .limit(1)
        )
        row = (await tx.execute(query)).one_or_none()
        if row is not None and row.started_at is not None:
            found[key] = max(timedelta(0), row.completed_at - row.started_at)
    return found


async def save_savings(tx: Transaction, build_id: str, saved: Mapping[int, timedelta]) -> None:
    """Store what each of some cached steps saved, by their numbers."""
    for number, duration in saved.items():
        await tx.execute(
            update(steps)
            .where(steps.c.build_id == build_id, steps.c.number == number)
            .values(saved_microseconds=duration // _MICROSECOND)
        )


async def forget_steps(tx: Transaction, build_ids: Sequence[str]) -> int:
    """Remove the steps of builds; how many those were."""
    return (await tx.execute(delete(steps).where(steps.c.build_id.in_(build_ids)))).rowcount


async def first_failure(tx: Transaction, build_id: str, solve_ref: str) -> str | None:
    """The error of the step that failed first in a solve. Steps that were canceled because of it don't count."""
    query = (
        select(steps.c.error)
        .where(
            steps.c.build_id == build_id,
            steps.c.solve_ref == solve_ref,
            steps.c.error.is_not(None),
            steps.c.error.not_like("%context canceled%"),
        )
        .order_by(steps.c.completed_at.is_(None), steps.c.completed_at, steps.c.number)
        .limit(1)
    )
    return (await tx.execute(query)).scalar_one_or_none()
