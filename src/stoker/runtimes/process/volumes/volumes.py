"""The interface of all kinds of volumes, and the simplest kind: directories."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stoker.runtimes.errors import RuntimeFailed, SnapshotsUnsupported, VolumeDeleteFailed, VolumeNotMeasured
from stoker.runtimes.process.config import checked_name, is_name
from stoker.runtimes.process.volumes.trees import destroy
from stoker.runtimes.programs import find_program, last_line, run

if TYPE_CHECKING:
    from pathlib import Path

MEASURE_SECONDS = 600.0
DAMAGED = ".damaged"
_DELETING = ".deleting"
_SUM = re.compile(r"(\d+)\t")


@dataclass(frozen=True, slots=True)
class OpenVolume:
    """The folder of a volume, and whether more is in it than its policy keeps."""

    path: Path
    over_policy: bool


class Volumes(Protocol):
    """Where caches are kept: each volume is the folder ``<volume id>``. All of it blocks.

    Every method may raise RuntimeFailed when an operation of the file system fails.
    """

    def open(self, volume_id: str, keep_bytes: int) -> OpenVolume:
        """A volume, made on first use, with room for ``keep_bytes`` and some headroom."""
        ...

    def settle(self, volume_id: str, keep_bytes: int, *, fresh: bool) -> bool:
        """Cap an open volume as `open` would now. Returns whether it is nearly full.

        Args:
            volume_id: the volume.
            keep_bytes: what its policy keeps.
            fresh: count its size at this moment, which commits the file system first.
        """
        ...

    def fill(self, volume_id: str) -> tuple[int, int]:
        """What a volume refers to, and what only it refers to, in bytes, as of the last commit.

        Raises:
            VolumeFailed: there is no such volume, or it can't be told.
        """
        ...

    def cap(self, volume_id: str, size: int) -> None:
        """Let a volume refer to ``size`` bytes at most; nothing where there are no caps."""
        ...

    def commit(self) -> None:
        """Commit the file system, so that the sizes of volumes are those of this moment."""
        ...

    def ids(self) -> frozenset[str]:
        """The volumes that are here, even in part."""
        ...

    def delete(self, volume_id: str) -> None:
        """Destroy a volume and all that was kept of it. One that is absent is a success.

        Raises:
            VolumeDeleteFailed: something is left; call again.
        """
        ...

    def size(self, volume_id: str) -> int:
        """The bytes that a volume takes on disk. One that is absent takes none.

        Raises:
            VolumeNotMeasured: it can't be told; ask again later.
        """
        ...

    def snapshot(self, volume_id: str, new_volume_id: str) -> None:
        """Make a new volume with the content that another has now.

        Raises:
            SnapshotsUnsupported: volumes are plain directories here.
        """
        ...

    def save(self, volume_id: str) -> None:
        """Save the volume's content as its last good snapshot. Does nothing where snapshots are expensive."""
        ...

    def can_restore(self, volume_id: str) -> bool:
        """Whether good content is remembered."""
        ...

    def restore(self, volume_id: str) -> bool:
        """Set a damaged volume aside. True when its last good content is in its place, False when nothing is."""
        ...

    def reclaim(self) -> int:
        """Delete last good snapshots and damaged volumes. Returns how many there were."""
        ...


class DirectoryVolumes:
    """Volumes as plain directories, without caps and snapshots."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._deleting = folder / _DELETING
        self._damaged = folder / DAMAGED

    def open(self, volume_id: str, keep_bytes: int) -> OpenVolume:
        """A volume, made on first use; nothing but BuildKit's own housekeeping bounds it."""
        del keep_bytes
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / checked_name(volume_id)
        path.mkdir(mode=0o700, exist_ok=True)
        return OpenVolume(path, over_policy=False)

    def settle(self, volume_id: str, keep_bytes: int, *, fresh: bool) -> bool:
        """Nothing: there are no caps."""
        del volume_id, keep_bytes, fresh
        return False

    def fill(self, volume_id: str) -> tuple[int, int]:
        """Nothing that would count: there are no caps."""
        del volume_id
        return 0, 0

    def cap(self, volume_id: str, size: int) -> None:
        """Nothing: there are no caps."""

    def commit(self) -> None:
        """Nothing: nothing is counted."""

    def ids(self) -> frozenset[str]:
        """The volumes that are here, even if deleted half-way."""
        return names_in(self._folder, self._deleting, self._damaged)

    def delete(self, volume_id: str) -> None:
        """Destroy a volume: see `Volumes.delete`."""
        path, doomed = self._folder / checked_name(volume_id), self._deleting / volume_id
        self._destroy(doomed)
        self._destroy(self._damaged / volume_id)
        if not path.exists():
            return
        # In one step, so that no machine ever starts on half a volume.
        try:
            self._deleting.mkdir(mode=0o700, exist_ok=True)
            path.rename(doomed)
        except OSError as error:
            raise VolumeDeleteFailed(f"volume {volume_id} can't be moved away: {error.strerror}") from error
        self._destroy(doomed)

    def size(self, volume_id: str) -> int:
        """The bytes that a volume takes on disk, once for all names of a file. One that is absent takes none.

        To read every file can take minutes. So it has the lowest priority, and ends when we do.

        Raises:
            VolumeNotMeasured: it can't be told, or took too long.
        """
        path = self._folder / checked_name(volume_id)
        if not path.is_dir():
            return 0
        try:
            done = run([*_unobtrusively(), *_sum_of(path)], seconds=MEASURE_SECONDS)
        except RuntimeFailed as error:
            raise VolumeNotMeasured(f"volume {volume_id}: {error}") from error
        # It fails when a file vanishes under its eyes, as they do while a machine runs, and has a sum all the same.
        found = _SUM.match(done.stdout)
        if found is None:
            raise VolumeNotMeasured(f"du of {path}: {last_line(done.stderr)}")
        return int(found.group(1))

    def snapshot(self, volume_id: str, new_volume_id: str) -> None:
        """Always refused: a copy would take minutes."""
        raise SnapshotsUnsupported(
            f"volume {checked_name(new_volume_id)} can't be a snapshot of {checked_name(volume_id)}: "
            "volumes are plain directories here; see the setting volume_store"
        )

    def save(self, volume_id: str) -> None:
        """Nothing: there are no snapshots."""

    def can_restore(self, volume_id: str) -> bool:
        """Never: nothing is remembered."""
        del volume_id
        return False

    def restore(self, volume_id: str) -> bool:
        """Set a damaged volume aside; there is never anything to put in its place."""
        path, aside = self._folder / checked_name(volume_id), self._damaged / volume_id
        self._destroy(aside)
        if path.exists():
            self._damaged.mkdir(mode=0o700, exist_ok=True)
            path.rename(aside)
        return False

    def reclaim(self) -> int:
        """Destroy what was set aside."""
        aside = [path for path in self._damaged.iterdir() if is_name(path.name)] if self._damaged.is_dir() else []
        for path in aside:
            self._destroy(path)
        return len(aside)

    def _destroy(self, doomed: Path) -> None:
        if not destroy(doomed):
            raise VolumeDeleteFailed(f"something of volume {doomed.name} is left in {doomed}")


def _unobtrusively() -> list[str]:
    """The prefix of a command that has the lowest priority, and ends when its caller does."""
    return [
        *(find_program("setpriv", package="util-linux"), "--pdeathsig", "KILL"),
        *(find_program("ionice", package="util-linux"), "--ignore", "--class", "idle"),
        *(find_program("nice", package="coreutils"), "-n", "19"),
    ]


def _sum_of(folder: Path) -> list[str]:
    """A command that says how many bytes of disk a folder takes, counting each file once."""
    options = ["--summarize", "--one-file-system", "--block-size=1"]
    return [find_program("du", package="coreutils"), *options, "--", str(folder)]


def names_in(*folders: Path) -> frozenset[str]:
    """What has the shape of an id in these folders, as far as they exist."""
    names = [path.name for folder in folders if folder.is_dir() for path in folder.iterdir()]
    return frozenset(name for name in names if is_name(name))
