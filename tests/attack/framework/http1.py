"""HTTP/1.1 as an attacker speaks it: any source address, requests that are whole or not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

ANSWER_SECONDS = 30.0


@dataclass
class Http1:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def call(self, path: str, body: bytes, headers: dict[str, str], verb: str = "POST") -> tuple[int, bytes]:
        """Send a whole request and read the whole answer; its status and body.

        Raises:
            OSError, EOFError, TimeoutError: the connection broke, or nothing came.
        """
        self.writer.write(head(verb, path, {**headers, "content-length": str(len(body))}) + body)
        async with asyncio.timeout(ANSWER_SECONDS):
            await self.writer.drain()
            return await self._answer()

    async def begin(self, path: str, beginning: bytes, headers: dict[str, str]) -> None:
        """Send the beginning of a request that never ends."""
        chunk = b"%x\r\n%s\r\n" % (len(beginning), beginning) if beginning else b""
        self.writer.write(head("POST", path, {**headers, "transfer-encoding": "chunked"}) + chunk)
        async with asyncio.timeout(ANSWER_SECONDS):
            await self.writer.drain()

    async def status(self) -> int:
        """The status of the answer, whose body is left unread."""
        line = await self.reader.readuntil(b"\r\n")
        return int(line.split()[1])

    async def _answer(self) -> tuple[int, bytes]:
        status = await self.status()
        length, chunked = 0, False
        while (line := (await self.reader.readuntil(b"\r\n")).strip().lower()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name == b"content-length" else length
            chunked = chunked or (name, value.strip()) == (b"transfer-encoding", b"chunked")
        if not chunked:
            return status, await self.reader.readexactly(length)
        body = b""
        while (size := int(await self.reader.readuntil(b"\r\n"), 16)) > 0:
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")
        return status, body


def head(verb: str, path: str, headers: dict[str, str]) -> bytes:
    """The first line and the headers of a request."""
    named = {"host": "stoker.test"} | headers
    lines = [f"{verb} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def json_headers(token: str = "") -> dict[str, str]:
    """The headers of a call with JSON."""
    return {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}


def enveloped(message: bytes, flags: int = 0) -> bytes:
    """A message of a stream, as Connect and gRPC frame it."""
    return struct.pack(">BI", flags, len(message)) + message


@contextlib.asynccontextmanager
async def http1(address: tuple[str, int], source: str = "127.0.0.1") -> AsyncIterator[Http1]:
    """A connection from one of the loopback addresses."""
    reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0), limit=64 * 1024 * 1024)
    try:
        yield Http1(reader, writer)
    finally:
        writer.close()


async def call_once(
    address: tuple[str, int], method: str, request: dict[str, Any], token: str = "", source: str = "127.0.0.1"
) -> tuple[int, dict[str, Any]]:
    """Call a unary method with JSON over a connection of its own."""
    async with http1(address, source) as connection:
        status, body = await connection.call(f"/{method}", json.dumps(request).encode(), json_headers(token))
        return status, json.loads(body or b"{}")
