"""Destroy a folder that other people's code has written into."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.process.host.mounts import mount_table, read_mount_table
from stoker.runtimes.programs import find_program, run

if TYPE_CHECKING:
    from pathlib import Path


def destroy(folder: Path) -> bool:
    """Delete a folder with all that is in it; False when something is left.

    Mounts inside are detached first, and nothing outside is followed into. `rm` goes as deep as a build can nest
    folders, where Python's own recursion ends.
    """
    if not folder.exists():
        return True
    with suppress(RuntimeFailed):
        detach_mounts(folder)
        if not _remove(folder):
            # Files may be marked immutable, which even root has to take back first.
            run([find_program("chattr", package="e2fsprogs"), "-R", "-f", "-i", "-a", "--", str(folder)], seconds=None)
            _remove(folder)
    return not folder.exists()


def mounts_in(folder: Path, mountinfo: str) -> list[Path]:
    """The mount points below ``folder`` in a mount table (proc(5), /proc/PID/mountinfo), innermost first."""
    points = [mount.point for mount in mount_table(mountinfo)]
    return [point for point in reversed(points) if point.is_relative_to(folder)]


def detach_mounts(folder: Path) -> None:
    """Detach all that is mounted below a folder, and at it."""
    for point in mounts_in(folder.resolve(), read_mount_table()):
        run([find_program("umount", package="mount"), "-l", "--", str(point)])


def _remove(folder: Path) -> bool:
    run([find_program("rm", package="coreutils"), "-rf", "--one-file-system", "--", str(folder)], seconds=None)
    return not folder.exists()
