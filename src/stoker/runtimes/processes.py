"""Inspects processes and waits for their end, whoever started them.

The kernel reuses process ids. With the start time (/proc/PID/stat field 22, clock ticks since boot, see proc(5)) an id
identifies one process.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

_PROC = Path("/proc")
_STATE = 0
_STARTED = 19


@dataclass(frozen=True, slots=True)
class ProcessName:
    """One process, beyond doubt."""

    pid: int
    started: int


def started_ticks(pid: int) -> int | None:
    """When the process was started; None when there is none that runs (a zombie doesn't)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses, and may hold any character.
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE] in {"Z", "X"} else int(fields[_STARTED])


def namespace_pids(pid: int) -> tuple[int, ...]:
    """The process's id in each pid namespace from ours inwards; empty when it is gone."""
    return tuple(int(word) for word in _status(pid).get("NSpid", "").split())


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for a signal."""
    return bool(int(_status(pid).get("SigCgt", "0"), 16) >> (number - 1) & 1)


def is_running(name: ProcessName) -> bool:
    """Whether this very process runs."""
    return started_ticks(name.pid) == name.started


@contextmanager
def opened(pid: int, is_the_one: Callable[[int], bool]) -> Generator[int | None]:
    """A file descriptor of the process. None when it is gone, or when its id belongs to another process now."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        # Asked after opening, so that the answer is about the process that the descriptor holds.
        yield descriptor if is_the_one(pid) else None
    finally:
        os.close(descriptor)


def send(descriptor: int, number: signal.Signals) -> None:
    """Signal a process by descriptor. One that ended is a success."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)


async def ended(descriptor: int) -> None:
    """Return when the process has ended. Works for processes that aren't our children (pidfd_open(2))."""
    loop = asyncio.get_running_loop()
    end = loop.create_future()

    def on_end() -> None:
        if not end.done():
            end.set_result(None)

    # A second waiter for the same process has a descriptor of its own, so readers don't replace each other.
    loop.add_reader(descriptor, on_end)
    try:
        await end
    finally:
        loop.remove_reader(descriptor)


def wait_ended(descriptors: Iterable[int], seconds: float) -> None:
    """Block until all the processes have ended, or until the time is up."""
    for descriptor in descriptors:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)


def _status(pid: int) -> dict[str, str]:
    try:
        text = (_PROC / str(pid) / "status").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
