"""What is asked of an API process on its control socket, besides the gateway's questions.

A Unix socket in the data folder, which nobody else may open. An API process that comes to replace another asks it to
hand its work over, and for as long as that connection stays open the older one answers calls and does nothing else.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

STOP = "/control/stop"
HAND_OVER = "/control/hand-over"
PROCESS = "/control/process"
HANDED_OVER = b"handed over\n"

_ANSWER_SECONDS = 5.0


class Hold:
    """A connection that keeps an API process from its work."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ended(self) -> None:
        """Return when the process at the other end is gone."""
        with suppress(OSError):
            while await self._reader.read(1024):
                pass

    def release(self) -> None:
        """Let it take up its work again, if nobody else holds it."""
        self._writer.close()


async def hand_over(socket_path: Path, patience_seconds: float) -> Hold | None:
    """Have the API process at a control socket hand its work over; None when there is none, or it can't in that time.

    Its calls go on. Once nobody holds it any more, and nobody else answers at the socket, it takes up its work again.
    """
    try:
        async with asyncio.timeout(patience_seconds):
            reader, writer = await _asked(socket_path, HAND_OVER)
            try:
                if await reader.readline() == HANDED_OVER:
                    return Hold(reader, writer)
            except BaseException:
                writer.close()
                raise
            writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        pass
    return None


async def process_at(socket_path: Path) -> int | None:
    """The id of the API process that works and answers at a control socket; None when there is none."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await _asked(socket_path, PROCESS)
            try:
                return int(await reader.readline())
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        return None


async def stop_lines(socket_path: Path, drain_seconds: float) -> AsyncIterator[str]:
    """Ask the API process to bring the server to rest; what it waits for, in lines.

    Raises:
        OSError: nobody answers there.
        asyncio.IncompleteReadError: the process ended at once.
    """
    reader, writer = await _asked(socket_path, f"{STOP}?drain={drain_seconds}")
    try:
        while line := await reader.readline():
            yield line.decode().strip()
    finally:
        writer.close()


async def _asked(socket_path: Path, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which the answer's body comes next."""
    reader, writer = await asyncio.open_unix_connection(str(socket_path))
    try:
        writer.write(f"POST {path} HTTP/1.0\r\nHost: stoker\r\n\r\n".encode())
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
    except BaseException:
        writer.close()
        raise
    return reader, writer
