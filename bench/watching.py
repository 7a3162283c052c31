"""`python -m bench.watching URL VIEWERS`: so many browsers that follow the page of a build until it is over.

Each does what ``static/live.js`` does: it keeps the stream of events open, and asks for the page again after each. It
prints a line when all have their first page, and one with what came of it at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_AT_ONCE = 50
_SILENCE_SECONDS = 45
_CHANGED, _END = b"event: changed", b"event: end"


@dataclass(slots=True)
class Tally:
    """What the viewers saw."""

    looks: int = 0
    bytes: int = 0
    refused: int = 0
    reopened: int = 0
    seconds: list[float] = field(default_factory=list[float])


@dataclass(slots=True)
class Viewer:
    """One browser: a connection for events, and one for pages."""

    host: str
    port: int
    path: str
    tally: Tally

    async def watch(self, seen: asyncio.Event) -> None:
        """Follow the build to its end; a stream that falls silent is opened again."""
        while True:
            try:
                await self._watch(seen)
            except TimeoutError:
                self.tally.reopened += 1
            else:
                return

    async def _watch(self, seen: asyncio.Event) -> None:
        events, ask = await asyncio.open_connection(self.host, self.port)
        ask.write(self._request("/events"))
        pages, ask_page = await asyncio.open_connection(self.host, self.port)
        over = False
        while not over and (said := await asyncio.wait_for(events.readline(), _SILENCE_SECONDS)):
            over = said.startswith(_END)
            if over or said.startswith(_CHANGED):
                await self._look(pages, ask_page)
                seen.set()
            if said.startswith(b"HTTP/") and b" 200 " not in said:
                self.tally.refused += 1
                return
        ask.close()
        ask_page.close()

    async def _look(self, pages: asyncio.StreamReader, ask: asyncio.StreamWriter) -> None:
        began = time.perf_counter()
        ask.write(self._request(""))
        head = await pages.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        await pages.readexactly(length)
        self.tally.looks += 1
        self.tally.bytes += length
        self.tally.refused += " 200 " not in lines[0]
        self.tally.seconds.append(time.perf_counter() - began)

    def _request(self, more: str) -> bytes:
        return f"GET {self.path}{more} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n\r\n".encode()


async def watch_together(url: str, viewers: int) -> None:
    """Let them all in, some at a time, and wait until the last has seen the end."""
    where, tally = urlsplit(url), Tally()
    watching: list[asyncio.Task[None]] = []
    for first in range(0, viewers, _AT_ONCE):
        arrived = [asyncio.Event() for _ in range(min(_AT_ONCE, viewers - first))]
        for seen in arrived:
            one = Viewer(where.hostname or "", where.port or 80, where.path, tally)
            watching.append(asyncio.create_task(one.watch(seen)))
        async with asyncio.timeout(60):
            await asyncio.gather(*(seen.wait() for seen in arrived))
    print("ready", flush=True)
    before = tally.looks
    await asyncio.gather(*watching)
    slowest = sorted(tally.seconds)[len(tally.seconds) * 99 // 100]
    result = {"looks": tally.looks - before, "bytes": tally.bytes, "refused": tally.refused}
    result |= {"reopened": tally.reopened, "p99": slowest}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    asyncio.run(watch_together(sys.argv[1], int(sys.argv[2])))
