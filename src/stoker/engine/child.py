"""Runs a long program: yields its lines, logs its output, and ends it when we end."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

_TAIL_LINES = 200
_MAX_LINE_BYTES = 16 * 1024
_MAX_LOG_BYTES = 32 * 1024 * 1024
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: its exit status (negative: the signal) and the last lines of its output."""

    status: int
    tail: tuple[str, ...]


def _ignore(_line: str) -> None:
    pass


async def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    on_line: Callable[[str], None] = _ignore,
) -> Finished:
    """Run ``command`` in a process group of its own, and append its output to ``log``.

    When this is cancelled or fails, the whole group is ended first. When this process is killed outright, the pipe
    breaks, and the program ends at the next line that it writes.

    Raises:
        OSError: it can't be started, or the log can't be written.
    """
    with log.open("ab") as written:
        written.write(f"\n$ {shlex.join(str(word) for word in command)}\n".encode())
        written.flush()
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for above
            async for line in _lines(process.stdout):
                if written.tell() < _MAX_LOG_BYTES:
                    written.write(line.encode() + b"\n")
                    written.flush()
                tail.append(line)
                on_line(line)
            status = await process.wait()
        except BaseException:
            await _end(process)
            raise
        return Finished(status, tuple(tail))


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    rest = b""
    while chunk := await stream.read(64 * 1024):
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield line[:_MAX_LINE_BYTES].decode(errors="replace")
        rest = rest[:_MAX_LINE_BYTES]
    if rest:
        yield rest.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the group to end, and kill what is left of it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
