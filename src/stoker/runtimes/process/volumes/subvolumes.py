"""Volumes as subvolumes of one btrfs: each with a hard cap, snapshots in milliseconds, deleted in an instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.runtimes.errors import VolumeDeleteFailed, VolumeFailed, VolumeNotMeasured
from stoker.runtimes.process.config import checked_name
from stoker.runtimes.process.volumes import btrfs
from stoker.runtimes.process.volumes.volumes import DAMAGED, OpenVolume, names_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LAST_GOOD = ".last-good"
_NEXT = ".next"
_ROOM_TO_START = 256 * 1024**2


class SubvolumeVolumes:
    """Volumes as subvolumes of ``folder``, which is in a btrfs with quotas.

    Beside them are the snapshots of `save` (``.last-good``) and what `restore` set aside (``.damaged``).
    """

    def __init__(self, folder: Path, headroom_bytes: int, is_there: Callable[[], bool]) -> None:
        self._folder = folder
        self._is_there = is_there
        self._headroom_bytes = headroom_bytes
        self._last_good = folder / _LAST_GOOD
        self._next = folder / _NEXT
        self._damaged = folder / DAMAGED

    def open(self, volume_id: str, keep_bytes: int) -> OpenVolume:
        """A volume, made on first use, and capped at ``keep_bytes`` and the headroom.

        BuildKit can't start on a full volume, because it has to write its databases. So there is always room for these,
        but no more: otherwise the cap would grow with every start.
        """
        path = self._path(volume_id)
        if not path.exists():
            btrfs.create_subvolume(path)
        now = btrfs.quota(path)
        self._cap(path, now, keep_bytes)
        return OpenVolume(path, over_policy=now.used > keep_bytes)

    def settle(self, volume_id: str, keep_bytes: int, *, fresh: bool) -> bool:
        """Set a volume's cap by what is in it now: see `Volumes.settle`."""
        path = self._path(volume_id)
        if fresh:
            btrfs.commit(self._folder)
        return self._cap(path, btrfs.quota(path), keep_bytes)

    def fill(self, volume_id: str) -> tuple[int, int]:
        """What a volume refers to, and what only it refers to: see `Volumes.fill`."""
        now = btrfs.quota(self._path(volume_id))
        return now.used, now.own

    def cap(self, volume_id: str, size: int) -> None:
        """Cap a volume: see `Volumes.cap`."""
        now = btrfs.quota(self._path(volume_id))
        if now.limit != size:
            btrfs.limit(self._folder, now.group, size)

    def commit(self) -> None:
        """Write everything out: see `Volumes.commit`."""
        btrfs.commit(self._folder)

    def ids(self) -> frozenset[str]:
        """The volumes that are here, even in part."""
        return names_in(self._folder, self._last_good, self._next, self._damaged)

    def delete(self, volume_id: str) -> None:
        """Destroy a volume: see `Volumes.delete`."""
        name = checked_name(volume_id)
        try:
            path = self._path(name)
            # The volume itself last: as long as it is there, the others are known to belong to it.
            for kept in (self._last_good, self._next, self._damaged):
                btrfs.delete_subvolume(kept / name)
            btrfs.delete_subvolume(path)
        except VolumeFailed as error:
            raise VolumeDeleteFailed(f"something of volume {volume_id} is left: {error}") from error

    def size(self, volume_id: str) -> int:
        """The bytes that a volume refers to, as its quota counts them: see `Volumes.size`."""
        try:
            path = self._path(volume_id)
            if not path.exists():
                return 0
            btrfs.commit(self._folder)
            return btrfs.quota(path).used
        except VolumeFailed as error:
            raise VolumeNotMeasured(f"volume {volume_id}: {error}") from error

    def snapshot(self, volume_id: str, new_volume_id: str) -> None:
        """Make a new volume: see `Volumes.snapshot`. It has no cap until it is opened."""
        btrfs.snapshot_subvolume(self._path(volume_id), self._path(new_volume_id))

    def save(self, volume_id: str) -> None:
        """Replace the volume's last good snapshot by one of now."""
        path, saved, following = self._path(volume_id), self._last_good / volume_id, self._next / volume_id
        if not path.exists():
            return
        for folder in (self._last_good, self._next):
            folder.mkdir(mode=0o700, exist_ok=True)
        # A kill between any two of these leaves one good snapshot at least.
        btrfs.delete_subvolume(following)
        btrfs.snapshot_subvolume(path, following)
        btrfs.delete_subvolume(saved)
        following.rename(saved)

    def can_restore(self, volume_id: str) -> bool:
        """Whether there is a last good snapshot, or one that was about to be."""
        self._path(volume_id)
        return any((kept / volume_id).exists() for kept in (self._last_good, self._next))

    def restore(self, volume_id: str) -> bool:
        """Set a damaged volume aside, replacing an earlier one, and put its last good snapshot in its place."""
        path, aside = self._path(volume_id), self._damaged / volume_id
        if path.exists():
            btrfs.delete_subvolume(aside)
            self._damaged.mkdir(mode=0o700, exist_ok=True)
            path.rename(aside)
        for kept in (self._last_good / volume_id, self._next / volume_id):
            if kept.exists():
                kept.rename(path)
                return True
        return False

    def reclaim(self) -> int:
        """Delete all snapshots and damaged volumes."""
        kept = [folder / name for folder in (self._last_good, self._next, self._damaged) for name in names_in(folder)]
        for path in kept:
            btrfs.delete_subvolume(path)
        if kept:
            btrfs.commit(self._folder)
        return len(kept)

    def _cap(self, path: Path, now: btrfs.Quota, keep_bytes: int) -> bool:
        usual, needed = keep_bytes + self._headroom_bytes, now.used + min(self._headroom_bytes, _ROOM_TO_START)
        if now.limit != max(usual, needed):
            btrfs.limit(self._folder, now.group, max(usual, needed))
        return needed > usual

    def _path(self, volume_id: str) -> Path:
        name = checked_name(volume_id)
        # Else we would write beside the caches, or take them for deleted.
        if not self._is_there():
            raise VolumeFailed(f"the volume store is not mounted at {self._folder}; start the server again")
        return self._folder / name
