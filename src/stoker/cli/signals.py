"""Work that a signal may end early."""

from __future__ import annotations

import asyncio
import signal


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that are to end a long-running command in order: SIGINT, SIGTERM, and SIGHUP unless under `nohup`.

    What was ignored when the command began is no longer ignored afterwards, or every child would inherit that (POSIX,
    exec), and no step of a build could be interrupted. SIGINT ends the command even where a script's `&` left it
    ignored: whoever sends it means it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) in {signal.SIG_IGN, _stay}:
        signal.signal(signal.SIGHUP, _stay)
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stay(*_: object) -> None:
    """Do nothing, as SIG_IGN would, but for this process alone."""


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
