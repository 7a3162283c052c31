"""Try a call again while the API restarts. Machines and builds go on meanwhile, so a build needn't fail for it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from stoker.client.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Answer = TypeVar("Answer")

PATIENCE_SECONDS = 30.0
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 2.0


async def patiently(
    call: Callable[[], Awaitable[Answer]], say: Callable[[str], None], seconds: float = PATIENCE_SECONDS
) -> Answer:
    """Make a call, and make it again for as long as the API isn't there.

    Args:
        call: it does no harm when the API gets it twice.
        say: is told once that it is tried again.
        seconds: after so long no more attempt begins.

    Raises:
        ApiError: the API refused, or is not there for too long.
    """
    until, pause = time.monotonic() + seconds, _FIRST_PAUSE
    while True:
        try:
            return await call()
        except ApiError as error:
            if not error.may_pass or time.monotonic() + pause > until:
                raise
            if pause == _FIRST_PAUSE:
                say(f"{error}; trying again for {seconds:g} s")
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 2)
