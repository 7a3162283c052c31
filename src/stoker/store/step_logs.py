"""The lines of steps' logs. A row has many lines; see `log_format`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Integer, Select, column, delete, insert, select, values

from stoker.domain.pacing import paced
from stoker.store.log_format import lines_that, pack_lines, unpack_lines
from stoker.store.tables.records import log_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stoker.domain.steps import LogLine
    from stoker.domain.text_search import TextSearch
    from stoker.store.database import Transaction

Kept = TypeVar("Kept")

_STEPS_AT_ONCE = 20
# Whoever reads a line unpacks all of its row.
_LINES_IN_A_ROW = 2000
_NO_END = 2**62
_ENDS_BYTES = 4 * 1024 * 1024


async def add_lines(tx: Transaction, build_id: str, lines_by_step: Mapping[int, Sequence[LogLine]]) -> None:
    """Store lines that follow the ones that are there, by the number of their step."""
    rows = await paced(_rows(build_id, lines_by_step))
    if rows:
        await tx.execute_many(insert(log_chunks), rows)


def _rows(build_id: str, lines_by_step: Mapping[int, Sequence[LogLine]]) -> Iterator[dict[str, object]]:
    return (
        {
            "build_id": build_id,
            "step_number": number,
            "first_line": lines[begin].number,
            "lines": len(some),
            "size_bytes": sum(len(line.content) for line in some),
            "content": pack_lines(some),
        }
        for number, lines in lines_by_step.items()
        for begin in range(0, len(lines), _LINES_IN_A_ROW)
        if (some := lines[begin : begin + _LINES_IN_A_ROW])
    )


async def read_lines(tx: Transaction, build_id: str, step_number: int, first: int, size: int) -> list[LogLine]:
    """Up to ``size`` lines of a step's log from the line with the number ``first`` on."""
    query = (
        select(log_chunks.c.first_line, log_chunks.c.content)
        .where(
            log_chunks.c.build_id == build_id,
            log_chunks.c.step_number == step_number,
            log_chunks.c.first_line + log_chunks.c.lines > first,
            log_chunks.c.first_line < first + size,
        )
        .order_by(log_chunks.c.first_line)
    )
    rows = await tx.scan(query)
    wanted = range(first, first + size)
    return await paced(line for row in rows for line in unpack_lines(row.content, row.first_line, wanted))


async def read_ends(tx: Transaction, build_id: str, firsts: Mapping[int, int]) -> dict[int, list[LogLine]]:
    """The ends of logs, by the number of their step, each from a line's number on.

    Once they take as much memory as there is for them, the other steps are left out.
    """
    found: dict[int, list[LogLine]] = {}
    wanted = list(firsts.items())
    room = _ENDS_BYTES
    for begin in range(0, len(wanted), _STEPS_AT_ONCE):
        columns = values(column("number", Integer), column("first", Integer))
        from_there = columns.data(wanted[begin : begin + _STEPS_AT_ONCE]).cte("ends")
        query = (
            select(log_chunks.c.step_number, log_chunks.c.first_line, log_chunks.c.content)
            .join(from_there, from_there.c.number == log_chunks.c.step_number)
            .where(log_chunks.c.build_id == build_id, log_chunks.c.first_line + log_chunks.c.lines > from_there.c.first)
            .order_by(log_chunks.c.step_number, log_chunks.c.first_line)
        )
        for row in await tx.scan(query):
            end = range(firsts[row.step_number], _NO_END)
            lines = await paced(unpack_lines(row.content, row.first_line, end))
            found.setdefault(row.step_number, []).extend(lines)
            room -= sum(len(line.content) for line in lines)
        if room <= 0:
            break
    return found


async def search_lines(
    tx: Transaction, build_id: str, search: TextSearch, most_hits: int, most_bytes: int
) -> tuple[list[tuple[int, LogLine]], bool]:
    """Lines of a build's logs that show a text, with the numbers of their steps, and whether all was looked at.

    Args:
        tx: where to look.
        build_id: whose logs.
        search: what to look for.
        most_hits: how many lines are found at most.
        most_bytes: how much of the logs is looked at, from the first step on.
    """
    rows = select(log_chunks).where(log_chunks.c.build_id == build_id)
    return await _search(tx, rows, search, most_hits, most_bytes, lambda number, line: (number, line))


async def search_step(
    tx: Transaction, build_id: str, step_number: int, search: TextSearch, most_hits: int, most_bytes: int
) -> tuple[list[int], bool]:
    """The numbers of the lines of a step's log that show a text, and whether all was looked at.

    Args:
        tx: where to look.
        build_id: whose log.
        step_number: which of its steps.
        search: what to look for.
        most_hits: how many lines are found at most.
        most_bytes: how much of the log is looked at.
    """
    rows = select(log_chunks).where(log_chunks.c.build_id == build_id, log_chunks.c.step_number == step_number)
    return await _search(tx, rows, search, most_hits, most_bytes, lambda _, line: line.number)


async def _search(
    tx: Transaction,
    rows: Select[*tuple[Any, ...]],
    search: TextSearch,
    most_hits: int,
    most_bytes: int,
    keep: Callable[[int, LogLine], Kept],
) -> tuple[list[Kept], bool]:
    places = rows.with_only_columns(log_chunks.c.step_number, log_chunks.c.first_line, log_chunks.c.size_bytes)
    found: list[Kept] = []
    room = most_bytes
    for place in await tx.scan(places.order_by(log_chunks.c.step_number, log_chunks.c.first_line)):
        if room < place.size_bytes:
            return found, False
        room -= place.size_bytes
        one = rows.with_only_columns(log_chunks.c.content).where(
            log_chunks.c.step_number == place.step_number, log_chunks.c.first_line == place.first_line
        )
        content = (await tx.execute(one)).scalar_one()
        # Not on the thread of the event loop, where everybody would wait for it.
        lines = await asyncio.to_thread(lines_that, content, place.first_line, search.is_shown_in)
        found += [keep(place.step_number, line) for line in lines]
        if len(found) > most_hits:
            return found[:most_hits], False
    return found, True


async def delete_lines(tx: Transaction, build_ids: Sequence[str]) -> int:
    """Remove the logs of builds; how many rows those were."""
    return (await tx.execute(delete(log_chunks).where(log_chunks.c.build_id.in_(build_ids)))).rowcount
