"""One process of a server: starts it, watches it, and restarts it when it dies."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from stoker.serve.processes import Detached, NotStarted, start_detached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

_STEADY_SECONDS = 10.0
_LONGEST_PAUSE = 10.0
_LOOK_SECONDS = 0.02
GRACE_SECONDS = 10.0
"""How long a process of a server gets to end by itself."""


class PartFailed(Exception):
    """A part did not come up; the text names its log."""


class Part:
    """A process, and how to know that it is ready. ``command`` is asked for at each start."""

    def __init__(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        *,
        environment: Mapping[str, str] | None,
        ready: Callable[[], Awaitable[bool]],
        log: Path,
        state: Path,
        say: Callable[[str], None],
        start_timeout: float = 30.0,
        oom_score: int | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._ready = ready
        self.state = state
        self._say = say
        self._start_timeout = start_timeout
        self._oom_score = oom_score
        self._process: Detached | None = None
        self._predecessors: list[Detached] = []
        self._stopping = False

    def take_over(self, process: Detached) -> None:
        """Use a process that already runs as this part, instead of starting one."""
        self._process = process

    async def succeed(self, predecessors: Sequence[Detached], command: Sequence[str]) -> None:
        """Start the process by another command, beside older ones, which end by themselves when this one is ready.

        Raises:
            PartFailed: as for `start`; then none of them runs.
        """
        self._predecessors = list(predecessors)
        try:
            await self._start(command)
        except PartFailed:
            self.kill()
            await asyncio.gather(*(process.ended() for process in self._running()))
            self._predecessors, self._process = [], None
            self._stopping = False
            raise

    async def start(self) -> None:
        """Start the process and return when it is ready.

        Raises:
            PartFailed: it ended, or was not ready in time.
        """
        await self._start(self._command())

    def _running(self) -> list[Detached]:
        return [*self._predecessors, *([] if self._process is None else [self._process])]

    async def _start(self, command: Sequence[str]) -> None:
        try:
            self._process = process = await start_detached(
                command, self._environment, self.log, self.state, self._oom_score
            )
        except NotStarted as error:
            raise PartFailed(str(error)) from error
        ended = asyncio.create_task(process.ended())
        try:
            async with asyncio.timeout(self._start_timeout):
                while not await self._ready():
                    if ended.done():
                        raise PartFailed(f"the {self.name} ended at once; its log says why: {self.log}")
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError as error:
            raise PartFailed(f"the {self.name} was not ready in time; its log says why: {self.log}") from error
        finally:
            ended.cancel()

    async def watch(self) -> None:
        """Restart the process whenever it dies: at once the first time, then after growing pauses."""
        pause = 0.0
        while self._process is not None:
            began = time.monotonic()
            await self._process.ended()
            if self._stopping:
                return
            if time.monotonic() - began > _STEADY_SECONDS:
                pause = 0.0
            self._say(f"the {self.name} ended; starting it again{f' in {pause:g} s' if pause else ''}")
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, max(0.5, pause * 2))
            # They no longer listen, but keep the port.
            await asyncio.gather(*(process.end(GRACE_SECONDS) for process in self._predecessors))
            self._predecessors = []
            try:
                await self.start()
            except PartFailed as error:
                self._say(str(error))
                self._process.send(signal.SIGKILL)
            else:
                self._say(f"the {self.name} is back")

    async def stop(self, grace_seconds: float) -> None:
        """Ask the process to end, and make it."""
        self._stopping = True
        await asyncio.gather(*(process.end(grace_seconds) for process in self._running()))
        self.state.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the process now."""
        self._stopping = True
        for process in self._running():
            process.send(signal.SIGKILL)
