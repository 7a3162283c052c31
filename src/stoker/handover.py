"""How an API process leaves its work to the one that replaces it, without a call that fails.

The older one goes on answering calls until the newer one listens, and for some seconds those that it has by then. All
else (machines, records, webhooks, what expires) is done by one of the two at any time.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

from stoker.control import HANDED_OVER, Hold, process_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from pathlib import Path

    from stoker.services.wakeups import Wakeups

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

_LOOK_SECONDS = 0.25

_log = logging.getLogger(__name__)


class Handover:
    """Both sides of it, in one API process."""

    def __init__(
        self,
        control_socket: Path,
        wakeups: Wakeups,
        *,
        leave: Callable[[], Awaitable[None]],
        take_back: Callable[[], Awaitable[None]],
    ) -> None:
        """``leave`` ends all work but calls; ``take_back`` begins it again, and answers at the control socket again."""
        self._control_socket = control_socket
        self._wakeups = wakeups
        self._leave = leave
        self._take_back = take_back
        # How many connections keep this process from its work.
        self._holders = 0
        self._turn = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def answer(self, receive: Receive, send: Send) -> None:
        """Leave all work but calls to the process that asks, for as long as it stays connected."""
        self._holders += 1
        try:
            async with self._turn:
                if self._looking is None:
                    _log.info("another process takes the work over; calls are answered here until it listens")
                    await self._leave()
                    self._looking = asyncio.create_task(self._look(), name="look")
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": HANDED_OVER, "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self._holders -= 1
            self._spawn(self._go_on(), "take back")

    def accompany(self, predecessor: Hold | None) -> None:
        """Notice what the process that this one replaces changes while it answers its last calls."""
        if predecessor is not None:
            self._spawn(self._accompany(predecessor), "predecessor")

    async def close(self) -> None:
        """End what this does itself."""
        self._closed = True
        tasks = [*self._tasks, *([] if self._looking is None else [self._looking])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accompany(self, predecessor: Hold) -> None:
        looking = asyncio.create_task(self._look())
        try:
            await predecessor.ended()
        finally:
            looking.cancel()
            predecessor.release()

    async def _look(self) -> None:
        """Wake-ups stay within a process, so while two of them change things, each looks now and again."""
        while True:
            self._wakeups.wake_all()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _go_on(self) -> None:
        """Take up the work again when whoever wanted it is gone, and nobody else answers in its place."""
        async with self._turn:
            if self._holders or self._looking is None:
                return
            answering = await process_at(self._control_socket)
            if answering is not None and answering != os.getpid():
                return
            _log.warning("whoever took the work over is gone; it goes on here")
            self._looking.cancel()
            self._looking = None
            await self._take_back()

    def _spawn(self, work: Any, name: str) -> None:  # noqa: ANN401
        if self._closed:
            work.close()
            return
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
