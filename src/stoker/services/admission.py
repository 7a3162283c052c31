"""Whether the server accepts new work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import ResourceExhausted, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from stoker.domain.builds import Build


def _none(region_id: str, untrusted_of: str | None) -> None:
    del region_id, untrusted_of


class Admission:
    """Open until the server begins to stop, while there is space.

    Args:
        shortage: says why there is no space for another build in a region, and nothing while there is; of an untrusted
            build it is given the project too.
    """

    def __init__(self, shortage: Callable[[str, str | None], str | None] = _none) -> None:
        self._open = True
        self._shortage = shortage

    def close(self) -> None:
        """Refuse new builds and endpoints from now on."""
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether the server accepts new work."""
        return self._open

    def require_open(self) -> None:
        """Check that the server accepts new work.

        Raises:
            Unavailable: the server is stopping.
        """
        if not self._open:
            raise Unavailable("the server is being stopped; try again when it is back")

    def require_open_to(self, build: Build, region_id: str) -> None:
        """Check that a region accepts a build.

        Raises:
            Unavailable: the server is stopping.
            ResourceExhausted: its disks are full, or an untrusted build may write too little.
        """
        self.require_open()
        shortage = self._shortage(region_id, build.project_id if build.untrusted else None)
        if shortage is not None:
            raise ResourceExhausted(shortage)
