"""How lines of a log are put into a row: one after the other, each with its time, stream and length, compressed."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from stoker.domain.steps import LogLine
from stoker.store.tables.columns import microseconds, moment_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_HEAD = struct.Struct(">qBI")
_LEVEL = 1


def pack_lines(lines: Sequence[LogLine]) -> bytes:
    """One row's content for lines that follow each other."""
    parts: list[bytes] = []
    for line in lines:
        parts.append(_HEAD.pack(microseconds(line.at), line.stream, len(line.content)))
        parts.append(line.content)
    return zlib.compress(b"".join(parts), _LEVEL)


def unpack_lines(content: bytes, first_line: int, wanted: range | None = None) -> Iterator[LogLine]:
    """The lines of a row whose first line has that number: all of them, or those with the wanted numbers."""
    data = zlib.decompress(content)
    place, number = 0, first_line
    while place < len(data) and (wanted is None or number < wanted.stop):
        at, stream, length = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        if wanted is None or number >= wanted.start:
            yield LogLine(number, moment_of(at), stream, data[place : place + length])
        place += length
        number += 1


def lines_that(content: bytes, first_line: int, is_wanted: Callable[[bytes], bool]) -> list[LogLine]:
    """The lines of a row whose contents are wanted. The others cost little: nothing else is read of them."""
    data = zlib.decompress(content)
    found: list[LogLine] = []
    place, number = 0, first_line
    while place < len(data):
        at, stream, length = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        line = data[place : place + length]
        if is_wanted(line):
            found.append(LogLine(number, moment_of(at), stream, line))
        place += length
        number += 1
    return found
