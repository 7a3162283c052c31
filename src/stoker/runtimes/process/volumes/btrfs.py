"""Runs btrfs: subvolumes, quotas, and their usage.

Through btrfs(8), which takes 2 to 4 ms a call.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from stoker.runtimes.errors import VolumeFailed
from stoker.runtimes.process.volumes.trees import destroy, detach_mounts
from stoker.runtimes.programs import find_program, last_line, run

_SUBVOLUME_INODE = 256  # of the root of every subvolume (btrfs(5))
_FS_INFO = 0x8400941F  # BTRFS_IOC_FS_INFO (linux/btrfs.h); the file system's id is at offset 16
_FS_INFO_BYTES = 1024
_SYSFS = Path("/sys/fs/btrfs")
_NO_THRESHOLD = "8"  # BTRFS_MAX_LEVEL
_NESTED_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a subvolume of quota group ``group`` refers to, and how much it may, in bytes; None for no limit.

    ``own`` is the part of ``used`` that nothing else refers to.
    """

    group: str
    used: int
    own: int
    limit: int | None


def btrfs(*arguments: str) -> str:
    """Run the btrfs command.

    Raises:
        VolumeFailed: with what it said.
    """
    done = run([find_program("btrfs", package="btrfs-progs"), *arguments])
    if done.returncode != 0:
        raise VolumeFailed(f"btrfs {' '.join(arguments[:2])}: {last_line(done.stderr)}")
    return done.stdout


def is_subvolume(path: Path) -> bool:
    """Whether there is a subvolume at ``path``, on a file system that is known to be btrfs."""
    try:
        return path.stat().st_ino == _SUBVOLUME_INODE
    except FileNotFoundError:
        return False


def create_subvolume(path: Path) -> None:
    """Make an empty subvolume that only root may look into."""
    btrfs("subvolume", "create", str(path))
    path.chmod(0o700)


def snapshot_subvolume(source: Path, target: Path) -> None:
    """Make a subvolume with the content of another."""
    btrfs("subvolume", "snapshot", str(source), str(target))


def delete_subvolume(path: Path) -> None:
    """Delete a subvolume with all that is in it; its space is freed soon after. One that is absent is a success.

    Raises:
        VolumeFailed: it is still there.
    """
    if not path.exists():
        return
    if not is_subvolume(path):
        # Something else got into its place, which no btrfs command would ever delete.
        if not destroy(path):
            raise VolumeFailed(f"{path}, which is not a subvolume, can't be deleted")
        return
    detach_mounts(path)
    for _ in range(_NESTED_ROUNDS):
        try:
            btrfs("subvolume", "delete", str(path))
        except VolumeFailed:
            # The kernel deletes no subvolume that has others inside.
            nested = _nested(path)
            if not nested:
                raise
            for inner in nested:
                delete_subvolume(inner)
        else:
            return
    raise VolumeFailed(f"{path} has subvolumes inside that keep it from being deleted")


def commit(folder: Path) -> None:
    """Commit the file system now. That frees the space of what was deleted."""
    btrfs("filesystem", "sync", str(folder))


def quota(path: Path) -> Quota:
    """The quota and usage of a subvolume, as of the last commit, half a minute ago at most.

    Raises:
        VolumeFailed: it is none; a folder would be told the quota of the subvolume that it is in.
    """
    if not is_subvolume(path):
        raise VolumeFailed(f"{path} is not a subvolume")
    for line in btrfs("qgroup", "show", "--raw", "-r", "-f", str(path)).splitlines():
        fields = line.split()
        if fields and fields[0].startswith("0/"):
            limit = fields[3]
            return Quota(fields[0], int(fields[1]), int(fields[2]), int(limit) if limit.isdigit() else None)
    raise VolumeFailed(f"{path} has no quota group")


def limit(folder: Path, group: str, size: int) -> None:
    """Let the subvolume of a quota group refer to ``size`` bytes at most.

    Args:
        folder: of that file system, in no subvolume that is limited: the change takes some bytes where it is made.
        group: the quota group.
        size: in bytes.
    """
    btrfs("qgroup", "limit", str(size), group, str(folder))


def enable_quotas(folder: Path) -> None:
    """Turn quota groups on in a file system, as exact as they can be, and repair them when they aren't."""
    btrfs("quota", "enable", str(folder))
    state = _SYSFS / str(file_system_id(folder)) / "qgroups"
    # Kernels since 6.1 stop counting, and with that limiting, when a large subvolume with shared parts is deleted.
    threshold = state / "drop_subtree_threshold"
    if threshold.exists():
        threshold.write_text(_NO_THRESHOLD)
    inconsistent = state / "inconsistent"
    if inconsistent.exists() and inconsistent.read_text().strip() == "1":
        run([find_program("btrfs", package="btrfs-progs"), "quota", "rescan", str(folder)])
    _forget_deleted(folder)


def file_system_id(folder: Path) -> uuid.UUID:
    """The id of the btrfs file system that ``folder`` is in.

    Raises:
        OSError: it is in no btrfs.
    """
    answer = bytearray(_FS_INFO_BYTES)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, _FS_INFO, answer)
    finally:
        os.close(descriptor)
    return uuid.UUID(bytes=bytes(answer[16:32]))


def _nested(path: Path) -> list[Path]:
    """The subvolumes right below one, whatever their names: builds can make them."""
    find = [find_program("find", package="findutils"), str(path), "-mindepth", "1", "-xdev"]
    done = run([*find, "-inum", str(_SUBVOLUME_INODE), "-print0"], seconds=None)
    return [Path(name) for name in done.stdout.split("\0") if name]


def _forget_deleted(folder: Path) -> None:
    """Older kernels leave the quota groups of deleted subvolumes."""
    for line in btrfs("qgroup", "show", "--raw", str(folder)).splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[0].startswith("0/") and fields[3] == "<stale>":
            run([find_program("btrfs", package="btrfs-progs"), "qgroup", "destroy", fields[0], str(folder)])
