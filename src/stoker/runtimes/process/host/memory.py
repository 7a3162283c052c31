"""What the kernel killed in a cgroup because memory ran out."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from stoker.runtimes.processes import ended

if TYPE_CHECKING:
    from pathlib import Path

_KILLS = "oom_kill"
_FILE_BYTES = 4096


def events_file(*, unified: bool) -> str:
    """The name of the file of a group that counts them, in lines of a name and a number."""
    return "memory.events" if unified else "memory.oom_control"


def kills_in(group: Path, *, unified: bool) -> int:
    """How many processes were killed: in v2 of the group and all below, in v1 of this group alone."""
    try:
        lines = (group / events_file(unified=unified)).read_text().splitlines()
    except OSError:
        return 0
    counts = dict(line.split() for line in lines if len(line.split()) == 2)
    return int(counts.get(_KILLS, 0))


async def wait_kill(group: Path, *, unified: bool) -> None:
    """Return when something in the group, or below, is killed.

    Raises:
        OSError: the group is gone, or has no memory controller.
    """
    counter = os.open(group / events_file(unified=unified), os.O_RDONLY)
    try:
        if unified:
            await _wait_counted(group, counter)
        else:
            notice = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            try:
                # cgroup-v1/memory.rst, "OOM Control"
                (group / "cgroup.event_control").write_text(f"{notice} {counter}")
                await ended(notice)
            finally:
                os.close(notice)
    finally:
        os.close(counter)


async def _wait_counted(group: Path, counter: int) -> None:
    before = kills_in(group, unified=True)
    with select.epoll() as poll:
        # POLLPRI comes when the file has changed since it was read (cgroup-v2.rst), and not all it counts are kills.
        poll.register(counter, select.EPOLLPRI)
        while True:
            os.pread(counter, _FILE_BYTES, 0)
            if kills_in(group, unified=True) > before:
                return
            await ended(poll.fileno())
