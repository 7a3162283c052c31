"""Volumes as plain directories: ``volumes/<volume id>`` in the data folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stoker.runtimes.errors import VolumeDeleteFailed
from stoker.runtimes.process.config import checked_name, is_name
from stoker.runtimes.process.trees import destroy

if TYPE_CHECKING:
    from pathlib import Path

_DELETING = ".deleting"


class Volumes(Protocol):
    """Where caches are kept. All of it blocks."""

    def open(self, volume_id: str) -> Path:
        """The folder of a volume, made on first use."""
        ...

    def ids(self) -> frozenset[str]:
        """The volumes of which anything is left."""
        ...

    def delete(self, volume_id: str) -> None:
        """Destroy a volume. One that is absent is a success.

        Raises:
            VolumeDeleteFailed: something is left; call again.
        """
        ...


class DirectoryVolumes:
    """Volumes as plain directories, without caps and snapshots."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._deleting = folder / _DELETING

    def open(self, volume_id: str) -> Path:
        """The folder of a volume, made on first use."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / checked_name(volume_id)
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def ids(self) -> frozenset[str]:
        """The volumes of which anything is left, deleted half-way or not."""
        names = [path.name for folder in (self._folder, self._deleting) if folder.is_dir() for path in folder.iterdir()]
        return frozenset(name for name in names if is_name(name))

    def delete(self, volume_id: str) -> None:
        """Destroy a volume. One that is absent is a success.

        Raises:
            VolumeDeleteFailed: something is left; call again.
        """
        path, doomed = self._folder / checked_name(volume_id), self._deleting / volume_id
        self._destroy(doomed)
        if not path.exists():
            return
        # In one step, so that no machine ever starts on half a volume.
        try:
            self._deleting.mkdir(mode=0o700, exist_ok=True)
            path.rename(doomed)
        except OSError as error:
            raise VolumeDeleteFailed(f"volume {volume_id} can't be moved away: {error.strerror}") from error
        self._destroy(doomed)

    def _destroy(self, doomed: Path) -> None:
        if not destroy(doomed):
            raise VolumeDeleteFailed(f"something of volume {doomed.name} is left in {doomed}")
