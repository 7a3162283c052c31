"""Processes that must be found again after a crash: remembered by id and start time, so that none is mistaken."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
from contextlib import suppress
from pathlib import Path


def start_ticks(process_id: int) -> int | None:
    """When a process began (clock ticks since boot, /proc/PID/stat field 22); None when there is none."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def remember_process(file: Path, process_id: int) -> None:
    """Write down a process that was just started."""
    content = json.dumps({"process_id": process_id, "started": start_ticks(process_id)})
    temporary = file.with_suffix(".new")
    temporary.write_text(content)
    temporary.replace(file)


async def end_remembered_process(file: Path, grace_seconds: float) -> bool:
    """End the process that was written down, if it still runs; whether it did."""
    try:
        content = json.loads(file.read_text())
        process_id, started = int(content["process_id"]), int(content["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if start_ticks(process_id) != started:
        file.unlink(missing_ok=True)
        return False
    await asyncio.to_thread(_end, process_id, grace_seconds)
    file.unlink(missing_ok=True)
    return True


def _end(process_id: int, grace_seconds: float) -> None:
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process_id)
        try:
            for number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 10.0)):
                signal.pidfd_send_signal(descriptor, number)
                if select.select([descriptor], [], [], patience)[0]:
                    return
        finally:
            os.close(descriptor)
