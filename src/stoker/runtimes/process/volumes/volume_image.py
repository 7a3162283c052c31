"""One sparse file with a btrfs in it, mounted where volumes are: quotas and snapshots on any disk.

Nothing of it has to be remembered. The loop device goes with the mount (mount(8) asks the kernel for that), and whether
the image is mounted is read from the kernel, so that a server finds what a killed one left.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.process.host.mounts import is_bound_to_itself, mounts_at
from stoker.runtimes.programs import find_program, last_line, run

if TYPE_CHECKING:
    from stoker.runtimes.process.host.mounts import Mount

_SYSFS_BLOCK = Path("/sys/block")
# Freed blocks go back to the disk that the image is on; access times would only be written for nobody.
_OPTIONS = "loop,noatime,discard=async"
_TOP_MOUNTS = 20
_TRIM_SECONDS = 300.0
_LARGEST_RESERVE = 20 * 1000**3
_RESERVED_PART = 10
_SMALLEST_GROWTH = 16 * 1024**2

_log = logging.getLogger(__name__)


class VolumeImage:
    """The image ``file``, mounted at ``folder``."""

    def __init__(self, file: Path, folder: Path) -> None:
        self._file = file
        self._folder = folder

    def exists(self) -> bool:
        """Whether the image has been made."""
        return self._file.exists()

    def is_mounted(self) -> bool:
        """Whether this very image is mounted at its folder."""
        mounts = mounts_at(self._folder)
        return bool(mounts) and self._backing(mounts[-1]) == str(self._file.resolve())

    def mount(self, size: int) -> None:
        """Make the image when there is none, grow it to ``size`` bytes when it is smaller, and mount it.

        Args:
            size: 0 for what the disk has free, less a reserve, when it is made, and for no change afterwards.

        Raises:
            RuntimeFailed: this can't be done here.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.exists():
            self._make(size or default_size(self._file.parent))
        elif self._file.stat().st_size < size:
            os.truncate(self._file, size)
        if not self.is_mounted():
            self._mount()
        self._grow()

    def unmount(self) -> bool:
        """Unmount the image, and with it free its loop device; False when something still uses it.

        What others mounted there stays.
        """
        for _ in range(_TOP_MOUNTS):
            mounts = mounts_at(self._folder)
            if not mounts or not (self._is_image(mounts[-1]) or is_bound_to_itself(mounts[-1])):
                return True
            if run([find_program("umount", package="mount"), "--", str(self._folder)]).returncode != 0:
                return False
        return False

    def trim(self) -> None:
        """Release the image's free space to the disk below at once."""
        before = shutil.disk_usage(self._file.parent).free
        done = run([find_program("fstrim", package="util-linux"), str(self._folder)], seconds=_TRIM_SECONDS)
        if done.returncode != 0:
            _log.warning("what is free in %s can't be given back: %s", self._file, last_line(done.stderr))
            return
        freed = shutil.disk_usage(self._file.parent).free - before
        _log.warning("space is short: %s gave %.1f MB back to its disk", self._file, max(freed, 0) / 1000**2)

    def _make(self, size: int) -> None:
        half = self._file.with_name(f"{self._file.name}.new")
        half.unlink(missing_ok=True)
        half.touch(mode=0o600)
        try:
            os.truncate(half, size)
            # One copy of metadata: the disk below is one disk, so a second protects from little and costs writes.
            _checked([find_program("mkfs.btrfs", package="btrfs-progs"), "-q", "-m", "single", str(half)])
            half.rename(self._file)
        except OSError as error:
            raise RuntimeFailed(f"{half} can't be made: {error.strerror}") from error
        finally:
            half.unlink(missing_ok=True)

    def _mount(self) -> None:
        if not self.unmount() or mounts_at(self._folder):
            raise RuntimeFailed(f"something else is mounted at {self._folder}; unmount it, or set volume_store")
        mount = find_program("mount", package="mount")
        # Every mount namespace made from now on has a copy of what we mount. Under a shared mount the copies go when
        # ours goes; otherwise one in another server's machine would hold the loop device for as long as that runs.
        _checked([mount, "--bind", str(self._folder), str(self._folder)])
        try:
            _checked([mount, "--make-shared", str(self._folder)])
            _checked([mount, "-t", "btrfs", "-o", _OPTIONS, str(self._file), str(self._folder)])
            self._folder.chmod(0o700)
        except RuntimeFailed:
            self.unmount()
            raise

    def _grow(self) -> None:
        state = os.statvfs(self._folder)
        if self._file.stat().st_size - state.f_blocks * state.f_frsize < _SMALLEST_GROWTH:
            return
        device = mounts_at(self._folder)[-1].source
        _checked([find_program("losetup", package="mount"), "-c", device])
        _checked([find_program("btrfs", package="btrfs-progs"), "filesystem", "resize", "max", str(self._folder)])
        _log.info("the volume store %s has grown to %.1f GB", self._file, self._file.stat().st_size / 1000**3)

    def _is_image(self, mount: Mount) -> bool:
        # The kernel says so of a file that was deleted while it was mounted.
        return self._backing(mount).removesuffix(" (deleted)") == str(self._file.resolve())

    def _backing(self, mount: Mount) -> str:
        if mount.kind != "btrfs":
            return ""
        try:
            return (_SYSFS_BLOCK / Path(mount.source).name / "loop" / "backing_file").read_text().rstrip("\n")
        except OSError:
            return ""


def default_size(folder: Path) -> int:
    """How large an image on the disk of ``folder`` is made: all that is free, less a tenth of the disk or 20 GB."""
    disk = shutil.disk_usage(folder)
    reserve = min(disk.total // _RESERVED_PART, _LARGEST_RESERVE)
    return max(disk.free - reserve, disk.free // 2)


def _checked(command: list[str]) -> None:
    done = run(command)
    if done.returncode != 0:
        # mount(8) ends with a hint that says nothing.
        said = "\n".join(line for line in done.stderr.splitlines() if not line.strip().startswith("dmesg(1)"))
        raise RuntimeFailed(f"{Path(command[0]).name}: {last_line(said)}")
