"""Whether new work is taken."""

from __future__ import annotations

from stoker.domain.errors import Unavailable


class Admission:
    """Open until the server begins to stop."""

    def __init__(self) -> None:
        self._open = True

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
        """
        if not self._open:
            raise Unavailable("the server is being stopped; try again when it is back")
