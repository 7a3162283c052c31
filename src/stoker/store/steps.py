"""Steps of builds."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    select,
    update,
)

from stoker.domain.pacing import paced
from stoker.domain.record_limits import step_cost, transfer_cost
from stoker.domain.step_filter import ALL_STEPS, StepKind
from stoker.domain.steps import CLIENT_REF, Step, Transfer
from stoker.store.inserts import insert_or_replace
from stoker.store.tables.columns import microseconds, moment_of
from stoker.store.tables.records import solves, steps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from stoker.domain.step_filter import StepFilter
    from stoker.store.database import Transaction

_MICROSECOND = timedelta(microseconds=1)
# How much memory the steps of a page take, and all steps of a build for whoever has to look at all of them.
_PAGE_BYTES = 4 * 1024 * 1024
_ALL_BYTES = 10 * 1024 * 1024


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


def _values(step: Step, project_id: str, *, is_trusted: bool) -> dict[str, object]:
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
        "inputs": json.dumps(step.inputs, ensure_ascii=False),
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
            ],
            ensure_ascii=False,
        ),
        "stdout_bytes": step.stdout_bytes,
        "stderr_bytes": step.stderr_bytes,
        "log_lines": step.log_lines,
        "dropped_bytes": step.dropped_bytes,
        "clipped": step.clipped,
        "saved_microseconds": None if step.saved is None else step.saved // _MICROSECOND,
        "tells_duration": is_trusted
        and not step.cached
        and step.error is None
        and step.duration is not None
        and step.solve_ref != CLIENT_REF,
    }


async def save_steps(tx: Transaction, project_id: str, changed: Iterable[Step], *, is_trusted: bool) -> None:
    """Store steps, new ones or what changed of old ones.

    Args:
        tx: where to store them.
        project_id: their build's project.
        changed: the steps.
        is_trusted: whether their build is, so that they tell others how long their work takes.
    """
    rows = await paced(_values(step, project_id, is_trusted=is_trusted) for step in changed)
    if rows:
        await tx.execute_many(insert_or_replace(tx, steps), rows)


async def last_step_number(tx: Transaction, build_id: str) -> int:
    """The number of a build's newest step; 0 when it has none."""
    query = select(func.coalesce(func.max(steps.c.number), 0)).where(steps.c.build_id == build_id)
    return int((await tx.execute(query)).scalar_one())


async def steps_of_machine(tx: Transaction, build_id: str, machine_id: str) -> list[Step]:
    """The steps that a machine did in a build, in the order of their numbers."""
    refs = select(solves.c.ref).where(solves.c.build_id == build_id, solves.c.machine_id == machine_id)
    query = select(steps).where(steps.c.build_id == build_id, steps.c.solve_ref.in_(refs)).order_by(steps.c.number)
    return await tx.scan_into(query, _step)


async def steps_of_digests(tx: Transaction, build_id: str, ref: str, digests: Collection[str]) -> list[Step]:
    """The steps of one solve that have those digests."""
    query = select(steps).where(steps.c.build_id == build_id, steps.c.solve_ref == ref, steps.c.digest.in_(digests))
    return [_step(row) for row in await tx.execute(query)]


# All but their transfers, which pages and lists don't show.
_LISTED = [literal("[]").label("transfers") if column.name == "transfers" else column for column in steps.c]


def _own(build_id: str, columns: Sequence[ColumnElement[Any]] = tuple(steps.c)) -> Select[*tuple[Any, ...]]:
    """The steps that machines did in a build. Of those that several of its solves share, the one seen first."""
    own = (steps.c.build_id == build_id, steps.c.solve_ref != CLIENT_REF)
    # Not by looking for an earlier one of each: SQLite does that in the square of their number.
    first = select(func.min(steps.c.number)).where(*own).group_by(steps.c.digest, steps.c.platform)
    return select(*columns).where(*own, steps.c.number.in_(first))


async def list_steps(
    tx: Transaction, build_id: str, size: int, after: int, wanted: StepFilter = ALL_STEPS
) -> tuple[list[Step], bool]:
    """The next wanted steps of a build after a number, in the order of their numbers, and whether there are more.

    See `_own`.

    They are without transfers, and may be fewer than ``size``, as they take a bounded amount of memory.
    """
    query = _own(build_id, _LISTED).where(steps.c.number > after, *_matching(wanted))
    query = query.order_by(steps.c.number).limit(size + 1)
    found = await tx.scan_into(query, _step, step_cost, _PAGE_BYTES)
    if len(found) > size:
        return found[:size], True
    # Those that take more than a page may are the last of it, and more may come.
    return found, sum(map(step_cost, found)) >= _PAGE_BYTES


def _matching(wanted: StepFilter) -> Iterator[ColumnElement[bool]]:
    match wanted.kind:
        case StepKind.RAN:
            yield and_(~steps.c.cached, steps.c.started_at.is_not(None))
        case StepKind.CACHED:
            yield steps.c.cached
        case StepKind.FAILED:
            yield steps.c.error.is_not(None)
        case StepKind.ALL:
            pass
    if wanted.name:
        yield func.lower(steps.c.name).contains(wanted.name.lower(), autoescape=True)


async def all_steps(tx: Transaction, build_id: str, most: int, platform: str | None = None) -> list[Step] | None:
    """All steps of a build, or of its ``platform``; see `_own`.

    None if there are more than ``most``, or if they take more memory than there is for them.
    """
    query = _own(build_id).order_by(steps.c.number).limit(most + 1)
    if platform is not None:
        query = query.where(steps.c.platform == platform)
    found = await tx.scan_into(query, _step, _whole_cost, _ALL_BYTES)
    return None if len(found) > most or sum(map(_whole_cost, found)) >= _ALL_BYTES else found


def _whole_cost(step: Step) -> int:
    return step_cost(step) + sum(map(transfer_cost, step.transfers))


async def some_steps(tx: Transaction, build_id: str, after: int, most: int) -> list[Step]:
    """Up to ``most`` steps that machines did in a build, after a number, those that solves share too."""
    query = (
        select(*_LISTED)
        .where(steps.c.build_id == build_id, steps.c.solve_ref != CLIENT_REF, steps.c.number > after)
        .order_by(steps.c.number)
        .limit(most)
    )
    return await tx.scan_into(query, _step, step_cost, _PAGE_BYTES)


async def save_texts(tx: Transaction, changed: Iterable[Step]) -> None:
    """Store the names, groups and errors of steps that are there."""
    query = (
        update(steps)
        .where(steps.c.build_id == bindparam("of_build"), steps.c.number == bindparam("of_number"))
        .values({one: bindparam(f"new_{one}") for one in ("name", "group", "error")})
    )
    rows = [
        {
            "of_build": step.build_id,
            "of_number": step.number,
            "new_name": step.name,
            "new_group": step.group,
            "new_error": step.error,
        }
        for step in changed
    ]
    if rows:
        await tx.execute_many(query, rows)


async def failed_steps(tx: Transaction, build_id: str, most: int) -> list[Step]:
    """Up to ``most`` steps of a build that have an error, those that ended first; see `_own`."""
    failed = _own(build_id, _LISTED).where(steps.c.error.is_not(None))
    query = failed.order_by(steps.c.completed_at.nulls_first(), steps.c.number).limit(most)
    return await tx.scan_into(query, _step, step_cost, _PAGE_BYTES)


async def running_steps(tx: Transaction, build_id: str, most: int) -> list[Step]:
    """Up to ``most`` steps of a build that began and have not ended, those that began first; see `_own`."""
    running = _own(build_id, _LISTED).where(steps.c.started_at.is_not(None), steps.c.completed_at.is_(None))
    query = running.order_by(steps.c.started_at, steps.c.number).limit(most)
    return await tx.scan_into(query, _step, step_cost, _PAGE_BYTES)


async def client_steps(tx: Transaction, build_id: str) -> list[Step]:
    """What the build's client reported of its own work, such as connecting."""
    query = select(*_LISTED).where(steps.c.build_id == build_id, steps.c.solve_ref == CLIENT_REF)
    return await tx.scan_into(query.order_by(steps.c.number), _step, step_cost, _PAGE_BYTES)


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


async def neighbours_of(tx: Transaction, build_id: str, number: int) -> tuple[int | None, int | None]:
    """The numbers of the steps before and after a step, as far as there are any; see `_own`."""
    own = _own(build_id, [steps.c.number]).subquery()
    query = select(
        func.max(case((own.c.number < number, own.c.number))).label("before"),
        func.min(case((own.c.number > number, own.c.number))).label("after"),
    )
    (row,) = await tx.scan(query)
    return row.before, row.after


async def delete_steps(tx: Transaction, build_ids: Sequence[str]) -> int:
    """Remove the steps of builds; returns how many."""
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
