"""The lines of steps' logs. A row has many lines; see `log_format`."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from sqlalchemy import Integer, column, delete, insert, select, values

from stoker.domain.pacing import paced
from stoker.domain.terminal_text import has_controls, shows
from stoker.store.log_format import pack_lines, unpack_lines
from stoker.store.tables.records import log_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stoker.domain.steps import LogLine
    from stoker.store.database import Transaction

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
    tx: Transaction, build_id: str, text: bytes, most_hits: int, most_bytes: int
) -> tuple[list[tuple[int, LogLine]], bool]:
    """Lines of a build's logs that hold a text, with the numbers of their steps, and whether all was looked at.

    Args:
        tx: where to look.
        build_id: whose logs.
        text: what to look for, as it is.
        most_hits: how many lines are found at most.
        most_bytes: how much of the logs is looked at, from the first step on.
    """
    places = (
        select(log_chunks.c.step_number, log_chunks.c.first_line, log_chunks.c.size_bytes)
        .where(log_chunks.c.build_id == build_id)
        .order_by(log_chunks.c.step_number, log_chunks.c.first_line)
    )
    found: list[tuple[int, LogLine]] = []
    room = most_bytes
    for place in await tx.scan(places):
        if room < place.size_bytes:
            return found, False
        room -= place.size_bytes
        one = select(log_chunks.c.content).where(
            log_chunks.c.build_id == build_id,
            log_chunks.c.step_number == place.step_number,
            log_chunks.c.first_line == place.first_line,
        )
        content = (await tx.execute(one)).scalar_one()
        # Not on the thread of the event loop, where everybody would wait for it.
        lines = await asyncio.to_thread(_lines_with, content, place.first_line, text)
        found += [(place.step_number, line) for line in lines]
        if len(found) > most_hits:
            return found[:most_hits], False
    return found, True


def _lines_with(content: bytes, first_line: int, text: bytes) -> list[LogLine]:
    whole = zlib.decompress(content)
    if text not in whole and not has_controls(whole):
        return []
    return [line for line in unpack_lines(content, first_line) if shows(line.content, text)]


async def delete_lines(tx: Transaction, build_ids: Sequence[str]) -> int:
    """Remove the logs of builds; how many rows those were."""
    return (await tx.execute(delete(log_chunks).where(log_chunks.c.build_id.in_(build_ids)))).rowcount
