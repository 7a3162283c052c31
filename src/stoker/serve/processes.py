"""Starts processes that outlive us, and finds them again.

Envoy asks the kernel to kill it when its parent dies (PR_SET_PDEATHSIG). A gateway must survive its supervisor. So we
start processes as orphans: their parent has exited before they execute the program. Id and start time are written down,
so that no process is confused with another one that got its id later.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.runtimes.processes import ended, opened, send, started_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# A user who may not lower the score goes on with that of other processes.
_REMEMBER_AND_BECOME = (
    '[ -z "$1" ] || { echo "$1" >/proc/$$/oom_score_adj; } 2>/dev/null; shift; '
    'echo $$ >"$0.new" && mv "$0.new" "$0" && exec "$@"'
)


class NotStarted(Exception):
    """A process could not be started at all."""


@dataclass(frozen=True, slots=True)
class Detached:
    """A running process that isn't our child."""

    process_id: int
    started: int

    def is_running(self) -> bool:
        """Whether this very process runs."""
        return started_ticks(self.process_id) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send a signal. One to a process that has ended is a success."""
        with opened(self.process_id, lambda _: self.is_running()) as descriptor:
            if descriptor is not None:
                send(descriptor, number)

    async def ended(self) -> None:
        """Return when the process has ended."""
        with opened(self.process_id, lambda _: self.is_running()) as descriptor:
            if descriptor is not None:
                await ended(descriptor)

    async def end(self, grace_seconds: float) -> None:
        """Ask the process to end, and kill it if it doesn't in time."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.send(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await self.ended()
                    return


async def start_detached(
    command: Sequence[str],
    environment: Mapping[str, str] | None,
    log: Path,
    state: Path,
    oom_score: int | None = None,
) -> Detached:
    """Start a process in a session of its own. Neither Ctrl-C in the terminal nor our death ends it.

    Args:
        command: what to run.
        environment: its environment; None for ours.
        log: where its output is appended to (0600).
        state: the file that its id and start time are written to.
        oom_score: its oom_score_adj (proc(5)): with a higher one the kernel kills it earlier when memory runs out. None
            for ours.

    Raises:
        NotStarted: it could not be started.
    """
    pid_file = state.with_suffix(".pid")
    pid_file.unlink(missing_ok=True)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        starter = await asyncio.create_subprocess_exec(
            *(
                "setsid",
                "--fork",
                "sh",
                "-c",
                _REMEMBER_AND_BECOME,
                str(pid_file),
                "" if oom_score is None else str(oom_score),
                *command,
            ),
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
    detached = Detached(process_id, started_ticks(process_id) or 0)
    temporary = state.with_suffix(".new")
    temporary.write_text(json.dumps({"process_id": detached.process_id, "started": detached.started}))
    temporary.replace(state)
    pid_file.unlink()
    return detached


def remembered_process(state: Path) -> Detached | None:
    """The process that ``state`` names, if it still runs."""
    try:
        content = json.loads(state.read_text())
        found = Detached(int(content["process_id"]), int(content["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.is_running() else None


async def _written(pid_file: Path) -> int:
    """The process id that the process wrote down itself, a moment after its start."""
    async with asyncio.timeout(10):
        while not pid_file.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    return int(pid_file.read_text())
