"""Work that a signal may end early."""

from __future__ import annotations

import asyncio


async def unless(event: asyncio.Event, work: asyncio.Task[object], *, cancel: bool = True) -> bool:
    """Wait for ``work``, or until ``event`` comes first; whether the work was finished.

    Args:
        event: what ends the wait early.
        work: what is waited for; what it raises is raised here.
        cancel: whether work that isn't finished is given up.
    """
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        work.result()
        return True
    if cancel:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    return False
