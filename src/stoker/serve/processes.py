"""Processes that outlive the one that started them, and are found again.

Envoy asks the kernel to be ended when its parent dies (PR_SET_PDEATHSIG). A gateway must survive its supervisor, so we
start processes as orphans: their parent is gone before they are what they are to be. They are remembered by id and
start time, so that none is mistaken for another that got its id later.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REMEMBER_AND_BECOME = 'echo $$ >"$0.new" && mv "$0.new" "$0" && exec "$@"'


class NotStarted(Exception):
    """A process could not be started at all."""


@dataclass(frozen=True, slots=True)
class Detached:
    """A running process that isn't our child."""

    process_id: int
    started: int

    def send(self, number: signal.Signals) -> None:
        """Send a signal. One to a process that has ended is a success."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.process_id)
            try:
                if start_ticks(self.process_id) == self.started:
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)

    async def ended(self) -> None:
        """Return when the process has ended."""
        try:
            descriptor = os.pidfd_open(self.process_id)
        except ProcessLookupError:
            return
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(descriptor, gone.set)
        try:
            if start_ticks(self.process_id) == self.started:
                await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    async def end(self, grace_seconds: float) -> None:
        """Ask the process to end, and make it after a while."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.send(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await self.ended()
                    return


async def start_detached(
    command: Sequence[str], environment: Mapping[str, str] | None, log: Path, state: Path
) -> Detached:
    """Start a process in a session of its own, out of reach of the terminal's Ctrl-C and of our death.

    Args:
        command: what to run.
        environment: its environment; None for ours.
        log: where its output is appended to (0600).
        state: where it is remembered.

    Raises:
        NotStarted: it could not be started.
    """
    pid_file = state.with_suffix(".pid")
    pid_file.unlink(missing_ok=True)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        starter = await asyncio.create_subprocess_exec(
            *("setsid", "--fork", "sh", "-c", _REMEMBER_AND_BECOME, str(pid_file), *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=environment,
        )
    finally:
        os.close(descriptor)
    if await starter.wait() != 0:
        raise NotStarted(f"can't start {command[0]}; see {log}")
    process_id = await _written(pid_file)
    detached = Detached(process_id, start_ticks(process_id) or 0)
    temporary = state.with_suffix(".new")
    temporary.write_text(json.dumps({"process_id": detached.process_id, "started": detached.started}))
    temporary.replace(state)
    pid_file.unlink()
    return detached


def remembered_process(state: Path) -> Detached | None:
    """The process that was written down, if it still runs."""
    try:
        content = json.loads(state.read_text())
        found = Detached(int(content["process_id"]), int(content["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if start_ticks(found.process_id) == found.started else None


def start_ticks(process_id: int) -> int | None:
    """When a process began (clock ticks since boot, /proc/PID/stat field 22); None when it runs no more."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


async def _written(pid_file: Path) -> int:
    """The process id that the process wrote down itself, a moment after its start."""
    async with asyncio.timeout(10):
        while not pid_file.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    return int(pid_file.read_text())
