"""Whether new work is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import ResourceExhausted, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable


def _none() -> None:
    return None


class Admission:
    """Open until the server begins to stop, while there is space.

    Args:
        shortage: says why there is no space for another build, and nothing while there is.
    """

    def __init__(self, shortage: Callable[[], str | None] = _none) -> None:
        self._open = True
        self._shortage = shortage

    def close(self) -> None:
        """Take no new builds or endpoints any more."""
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether new work is taken."""
        return self._open

    def require_open(self) -> None:
        """Pass while new work is taken.

        Raises:
            Unavailable: the server is stopping.
            ResourceExhausted: its disks are full.
        """
        if not self._open:
            raise Unavailable("the server is being stopped; try again when it is back")
        shortage = self._shortage()
        if shortage is not None:
            raise ResourceExhausted(shortage)
