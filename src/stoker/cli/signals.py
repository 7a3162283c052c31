"""Work that a signal can end early."""

from __future__ import annotations

import asyncio
import signal


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that stop a long-running command in order: SIGINT, SIGTERM, and SIGHUP unless under `nohup`.

    Signals that were ignored at the command's start are ignored no longer. Otherwise every child would inherit that
    (POSIX, exec), and no step of a build could be interrupted. SIGINT ends the command even where a script's `&` made
    it ignored, as its sender wants that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) in {signal.SIG_IGN, _stay}:
        signal.signal(signal.SIGHUP, _stay)
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stay(*_: object) -> None:
    """Ignore the signal in this process only. Children would inherit SIG_IGN."""


async def unless(event: asyncio.Event, work: asyncio.Task[object], *, cancel: bool = True) -> bool:
    """Wait for ``work`` or for ``event``, whichever comes first. Returns whether the work finished.

    Args:
        event: ends the wait early.
        work: its exceptions are raised here.
        cancel: whether to cancel unfinished work.
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
