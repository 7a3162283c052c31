"""When clients of builds that hold no machine were last heard of.

It is kept in memory. Leases and places in the queue have their ends in the database; a build with neither gets its
full time again when the process restarts, as nobody could be heard before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


class SignsOfLife:
    """Moments of the monotonic clock, by build."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether there is any build of which something is known."""
        return bool(self._heard)

    def hear(self, build_id: str, moment: float) -> None:
        """Remember that a build's client was there at that moment."""
        self._heard[build_id] = max(moment, self._heard.get(build_id, moment))

    def last(self, build_id: str) -> float | None:
        """When a build's client was last there; None when that isn't known."""
        return self._heard.get(build_id)

    def keep_only(self, build_ids: Container[str]) -> None:
        """Drop all but these builds."""
        self._heard = {build_id: moment for build_id, moment in self._heard.items() if build_id in build_ids}
