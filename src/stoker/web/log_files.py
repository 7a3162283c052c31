"""Logs as plain text, without escape sequences, made in pieces beside the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stoker.domain.terminal_text import shown_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from stoker.domain.steps import LogLine, Step
    from stoker.services.lookup import ReadableBuild
    from stoker.services.records import RecordService

_LINES_AT_ONCE = 1000
_STEPS_AT_ONCE = 500
_PIECE_BYTES = 64 * 1024


class LogFiles:
    """Makes files of logs. However many readers ask for them, one piece is made at a time."""

    def __init__(self, records: RecordService) -> None:
        self._records = records
        self._making = asyncio.Lock()

    async def raw(self, build: ReadableBuild, step: Step) -> AsyncGenerator[bytes]:
        """A step's log as it was written."""
        async for lines in self._windows(build, step):
            yield b"".join(line.content for line in lines)

    async def text(self, build: ReadableBuild, step: Step) -> AsyncGenerator[bytes]:
        """A step's log as a terminal shows it, without colours."""
        async for lines in self._windows(build, step):
            async with self._making:
                text = await asyncio.to_thread(_text, lines)
            yield text

    async def whole(self, build: ReadableBuild) -> AsyncGenerator[bytes]:
        """The logs of all steps, one step after the other.

        Each line begins with the step's number and the seconds since its start, as `buildctl --progress plain` has it.
        """
        after, has_more, piece = 0, True, b""
        while has_more:
            steps, has_more = await self._records.steps_of(build, _STEPS_AT_ONCE, after)
            for step in steps:
                after = step.number
                piece += _line(step, step.name)
                async for lines in self._windows(build, step):
                    async with self._making:
                        piece += await asyncio.to_thread(_numbered, step, lines)
                    if len(piece) >= _PIECE_BYTES:
                        yield piece
                        piece = b""
                piece += _line(step, _end(step)) + b"\n"
                if len(piece) >= _PIECE_BYTES:
                    yield piece
                    piece = b""
        yield piece

    async def _windows(self, build: ReadableBuild, step: Step) -> AsyncGenerator[list[LogLine]]:
        for first in range(0, step.log_lines, _LINES_AT_ONCE):
            yield await self._records.lines_of(build, step.number, first, _LINES_AT_ONCE)


def _text(lines: Sequence[LogLine]) -> bytes:
    return "".join(f"{shown_text(line.text)}\n" for line in lines).encode()


def _numbered(step: Step, lines: Sequence[LogLine]) -> bytes:
    begin = f"#{step.number} "
    return "".join(f"{begin}{_seconds(step.started_at, line.at)}{shown_text(line.text)}\n" for line in lines).encode()


def _seconds(start: datetime | None, moment: datetime) -> str:
    return "" if start is None else f"{max((moment - start).total_seconds(), 0):.3f} "


def _line(step: Step, text: str) -> bytes:
    """What is said of a step, in one line."""
    return f"#{step.number} {' '.join(shown_text(part) for part in text.splitlines())}\n".encode(errors="replace")


def _end(step: Step) -> str:
    if step.error:
        return f"ERROR: {step.error}"
    if step.cached:
        return "CACHED"
    if step.started_at is None:
        return "NOT STARTED"
    return "NOT FINISHED" if step.duration is None else f"DONE {step.duration.total_seconds():.1f}s"
