"""Prints answers of the API, for people and for programs.

Results go to stdout and messages to stderr, so that `$(...)` captures only the result.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from stoker.cli.terminal import one_line, printable, tell, write, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from protobuf import Message
    from protobuf.wkt import Timestamp
    from rich.table import Table

_PIPED_WIDTH = 10_000  # nothing is folded when no terminal has a width


def print_json(answer: Message) -> None:
    """Print an answer as the API's JSON, including empty fields."""
    write_json(json.loads(answer.to_json(always_emit_implicit=True)))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print rows under titles, as wide as the terminal. The first column, an id, is never folded.

    Args:
        titles: of the columns.
        rows: one text for each title.
        empty: what to say when there are none.
    """
    # Reading rich takes longer than most calls of the API.
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for position, title in enumerate(titles):
        table.add_column(title, overflow="fold", no_wrap=position == 0)
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    if table.row_count:
        _print(table)
    else:
        tell(empty)


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(Text(name, style="bold"), Text(printable(value)))
    _print(table)


def print_made(said: str, value: str) -> None:
    """Print a message to stderr, and the new id, secret or link alone to stdout."""
    tell(said)
    write(value)


def shown_time(moment: Timestamp | None, *, absent: str = "") -> str:
    """A time to the minute, in UTC."""
    return absent if moment is None else moment.to_datetime().strftime("%Y-%m-%d %H:%M")


def shown_duration(seconds: float) -> str:
    """A duration as text, with tenths of a second below a minute."""
    return f"{seconds:.1f}".removesuffix(".0") + " s" if seconds < 60 else shown_seconds(round(seconds))


def shown_seconds(seconds: int) -> str:
    """A duration as text."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _print(table: Table) -> None:
    from rich.console import Console

    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    console = Console(width=_PIPED_WIDTH, highlight=False)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        write(line.rstrip())
