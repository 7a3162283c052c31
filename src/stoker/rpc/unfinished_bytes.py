"""Counts the memory of messages before they are complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import TooBusy

if TYPE_CHECKING:
    from stoker.domain.rates import Bound

_RETRY_SECONDS = 1.0


class UnfinishedBytes:
    """Counts the bytes of incomplete messages, of each organization and of all together.

    A message that arrives in one piece is never counted. So callers with small messages don't suffer from those that
    begin large ones.
    """

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        self._held = 0
        self._held_by: dict[str, int] = {}

    def hold(self, key: str, before: int, now: int) -> None:
        """Count that a message of ``key`` went from one size to another. Its end is size 0.

        Raises:
            TooBusy: that is more than there is room for. What was held before still is.
        """
        more = now - before
        own = self._held_by.get(key, 0) + more
        if more > 0 and (own > self._bound.each or self._held + more > self._bound.together):
            bound = self._bound.each if own > self._bound.each else self._bound.together
            raise TooBusy(
                f"messages that have begun and not ended hold {bound} bytes, which is the most; try again in a moment",
                _RETRY_SECONDS,
            )
        self._held += more
        if own:
            self._held_by[key] = own
        else:
            self._held_by.pop(key, None)
