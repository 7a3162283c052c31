"""Volumes as plain directories: ``volumes/<volume id>`` in the data folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from stoker.runtimes.errors import RuntimeFailed, VolumeDeleteFailed, VolumeNotMeasured
from stoker.runtimes.process.commands import find_program, last_line, run
from stoker.runtimes.process.config import checked_name, is_name
from stoker.runtimes.process.trees import destroy

if TYPE_CHECKING:
    from pathlib import Path

MEASURE_SECONDS = 600.0
_DELETING = ".deleting"
_SUM = re.compile(r"(\d+)\t")


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

    def size(self, volume_id: str) -> int:
        """The bytes that a volume takes on disk. One that is absent takes none.

        Raises:
            VolumeNotMeasured: it can't be told; ask again later.
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

    def size(self, volume_id: str) -> int:
        """The bytes that a volume takes on disk, once for all names of a file. One that is absent takes none.

        Looking at every file can take minutes, so it gives way to whatever else the host has to do, and ends with us.

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

    def _destroy(self, doomed: Path) -> None:
        if not destroy(doomed):
            raise VolumeDeleteFailed(f"something of volume {doomed.name} is left in {doomed}")


def _unobtrusively() -> list[str]:
    """What a command is put behind to give way to all others, and to end when its caller does."""
    return [
        *(find_program("setpriv", package="util-linux"), "--pdeathsig", "KILL"),
        *(find_program("ionice", package="util-linux"), "--ignore", "--class", "idle"),
        *(find_program("nice", package="coreutils"), "-n", "19"),
    ]


def _sum_of(folder: Path) -> list[str]:
    """A command that says how many bytes of disk a folder takes, counting each file once."""
    options = ["--summarize", "--one-file-system", "--block-size=1"]
    return [find_program("du", package="coreutils"), *options, "--", str(folder)]
