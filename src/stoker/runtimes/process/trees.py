"""Destroy a folder that other people's code has written into."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.process.commands import find_program, run

_OCTAL = re.compile(r"\\([0-7]{3})")


def destroy(folder: Path) -> bool:
    """Delete a folder with all that is in it; False when something is left.

    Mounts inside are detached first, and nothing outside is followed into. `rm` goes as deep as a build can nest
    folders, where Python's own recursion ends.
    """
    if not folder.exists():
        return True
    with suppress(RuntimeFailed):
        _detach_mounts(folder)
        if not _remove(folder):
            # Files may be marked immutable, which even root has to take back first.
            run([find_program("chattr", package="e2fsprogs"), "-R", "-f", "-i", "-a", "--", str(folder)], seconds=None)
            _remove(folder)
    return not folder.exists()


def mounts_in(folder: Path, mountinfo: str) -> list[Path]:
    """The mount points below ``folder`` in a mount table (proc(5), /proc/PID/mountinfo), innermost first."""
    points = [Path(_OCTAL.sub(_character, line.split()[4])) for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if point.is_relative_to(folder)]


def _character(match: re.Match[str]) -> str:
    return chr(int(match.group(1), 8))


def _detach_mounts(folder: Path) -> None:
    text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    for point in mounts_in(folder.resolve(), text):
        run([find_program("umount", package="mount"), "-l", "--", str(point)])


def _remove(folder: Path) -> bool:
    run([find_program("rm", package="coreutils"), "-rf", "--one-file-system", "--", str(folder)], seconds=None)
    return not folder.exists()
