"""One process of a server: started, watched, started again when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from stoker.serve.processes import remember_process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

_STEADY_SECONDS = 10.0
_LONGEST_PAUSE = 10.0


class PartFailed(Exception):
    """A part did not come up; the text names its log."""


class Part:
    """A process in a session of its own, so that the terminal's Ctrl-C reaches only the supervisor."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None,
        ready: Callable[[], Awaitable[bool]],
        log: Path,
        state: Path,
        say: Callable[[str], None],
        start_timeout: float = 30.0,
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._ready = ready
        self._state = state
        self._say = say
        self._start_timeout = start_timeout
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def start(self) -> None:
        """Start the process and return when it is ready.

        Raises:
            PartFailed: it ended, or was not ready in time.
        """
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=self._environment,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        remember_process(self._state, process.pid)
        try:
            async with asyncio.timeout(self._start_timeout):
                while not await self._ready():
                    if process.returncode is not None:
                        raise PartFailed(f"the {self.name} ended at once; its log says why: {self.log}")
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise PartFailed(f"the {self.name} was not ready in time; its log says why: {self.log}") from error

    async def watch(self) -> None:
        """Start the process again whenever it dies; at once the first time, then with growing pauses."""
        pause = 0.0
        while self._process is not None:
            began = time.monotonic()
            code = await self._process.wait()
            if self._stopping:
                return
            if time.monotonic() - began > _STEADY_SECONDS:
                pause = 0.0
            after = f" in {pause:g} s" if pause else ""
            self._say(f"the {self.name} ended ({_cause(code)}); starting it again{after}")
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, max(0.5, pause * 2))
            try:
                await self.start()
            except PartFailed as error:
                self._say(str(error))
                self._process.kill() if self._process.returncode is None else None
            else:
                self._say(f"the {self.name} is back")

    async def stop(self, grace_seconds: float) -> None:
        """Ask the process to end, and make it."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.send_signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await process.wait()
        self._state.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the process now."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()


def _cause(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
