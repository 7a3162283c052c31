"""The host's programs with one call that fails: wrappers around them, which come first in PATH."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PROGRAMS = ("ip", "nft", "unshare", "btrfs", "umount", "rm", "chattr", "find")
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Each call takes the next number by making a file that isn't there yet, as calls go on beside each other.
_WRAPPER = """#!/bin/sh
[ -e '{folder}/fail' ] || exec '{program}' "$@"
set -C; number=1
until {{ echo '{program}' >'{folder}/calls/'"$number"; }} 2>/dev/null; do number=$((number + 1)); done
read -r failing <'{folder}/fail'; read -r way <'{folder}/way'
[ "$number" = "$failing" ] || exec '{program}' "$@"
[ "$way" = before ] || '{program}' "$@"
echo "call $number was to fail" >&2; exit 1
"""


@dataclass(frozen=True)
class FailingPrograms:
    """A folder of wrappers, which do nothing but pass calls on until `fail`."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        (folder / "bin").mkdir(parents=True)
        (folder / "calls").mkdir()
        for name in PROGRAMS:
            program = shutil.which(name, path=_SYSTEM_FOLDERS)
            assert program is not None, f"{name} is missing"
            wrapper = folder / "bin" / name
            wrapper.write_text(_WRAPPER.format(folder=folder, program=program))
            wrapper.chmod(0o755)
        return cls(folder)

    @property
    def path(self) -> str:
        """What comes first in PATH."""
        return str(self.folder / "bin")

    def fail(self, number: int, way: str) -> None:
        """Let the call with this number, from now on, fail ``before`` or ``after`` it has done its work."""
        self.heal()
        for call in self.calls():
            call.unlink()
        (self.folder / "way").write_text(f"{way}\n")
        (self.folder / "fail").write_text(f"{number}\n")

    def heal(self) -> None:
        """Let no call fail any more."""
        (self.folder / "fail").unlink(missing_ok=True)

    def calls(self) -> list[Path]:
        """The calls since `fail`."""
        return list((self.folder / "calls").iterdir())
