"""Pages that take long to make: one at a time, and of each caller one after the other.

However many a caller asks for, others wait for no more than one of theirs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from stoker.domain.errors import ResourceExhausted
from stoker.domain.rates import Places

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from stoker.domain.rates import Bound

Made = TypeVar("Made")


class RenderQueue:
    """Makes pages. ``bound`` is for those that are being made or wait for it."""

    def __init__(self, bound: Bound) -> None:
        self._waiting = Places(bound)
        self._making = asyncio.Lock()
        self._of_callers: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def make(self, caller: Hashable, page: Callable[[], Awaitable[Made]]) -> Made:
        """Make a page when it is the caller's turn.

        Raises:
            ResourceExhausted: too many pages wait for that.
        """
        if self._waiting.refusal(caller) is not None:
            raise ResourceExhausted("too many pages of builds are being made for you; try again in a few seconds")
        self._waiting.take(caller)
        try:
            own = self._of_callers.setdefault(caller, asyncio.Lock())
            async with own, self._making:
                return await page()
        finally:
            self._waiting.leave(caller)
