"""A queue for pages that take long to render: one at a time, and in turn for each caller.

However many pages one caller requests, others wait for at most one of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from stoker.domain.errors import ResourceExhausted
from stoker.domain.rates import Slots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from stoker.domain.rates import Bound

Made = TypeVar("Made")


class RenderQueue:
    """Renders pages. ``bound`` is for pages that are being rendered or wait."""

    def __init__(self, bound: Bound) -> None:
        self._waiting = Slots(bound)
        self._making = asyncio.Lock()
        self._of_callers: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def make(self, caller: Hashable, page: Callable[[], Awaitable[Made]]) -> Made:
        """Render a page, in turn for each caller.

        Raises:
            ResourceExhausted: too many pages wait.
        """
        if self._waiting.refusal(caller) is not None:
            raise ResourceExhausted("too many pages of builds are being rendered for you; try again in a few seconds")
        self._waiting.take(caller)
        try:
            own = self._of_callers.setdefault(caller, asyncio.Lock())
            async with own, self._making:
                return await page()
        finally:
            self._waiting.leave(caller)
