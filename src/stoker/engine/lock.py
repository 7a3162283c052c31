"""A lock, so that one process at a time gets the engine."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.engine.progress import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from stoker.engine.progress import Progress

_WAIT_SECONDS = 0.2
_UNFINISHED = "unfinished-"


@asynccontextmanager
async def locked(folder: Path, progress: Progress) -> AsyncGenerator[Path]:
    """Hold ``folder``'s lock, and yield a new temporary folder in it, which is removed afterwards.

    The kernel drops the lock when the process ends, however that happens. So its holder may remove all other temporary
    folders: their processes are dead.

    Raises:
        OSError: the lock or the folder can't be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        await _acquire(lock, progress)
        for leftover in folder.glob(_UNFINISHED + "*"):
            await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder))
        temporary.chmod(0o755)
        try:
            yield temporary
        finally:
            await asyncio.to_thread(shutil.rmtree, temporary, ignore_errors=True)
    finally:
        os.close(lock)


async def _acquire(lock: int, progress: Progress) -> None:
    # A blocking flock in a thread could not be cancelled, and asyncio can't wait for a lock.
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.report(Phase.WAITING, 0, None)
            await asyncio.sleep(_WAIT_SECONDS)
        else:
            return
