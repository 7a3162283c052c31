"""A wall clock that a test sets while programs run under it; their other clocks go on evenly.

The kernel has one wall clock for all, so a library (`wall_clock.c`) that is loaded before the programs' own tells them
another time. Go's programs ask the kernel itself, and so go by the host's clock.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).with_suffix(".c")


@dataclass(frozen=True)
class WallClock:
    """The clock of the programs that `launcher` starts, and of theirs."""

    library: Path
    file: Path

    @property
    def launcher(self) -> tuple[str, ...]:
        """A command that runs another under this clock."""
        return ("env", f"LD_PRELOAD={self.library}", f"WALL_CLOCK_FILE={self.file}")

    def be_wrong_by(self, seconds: int) -> None:
        """Set the clock so many seconds before the host's or, when negative, behind it."""
        with self.file.open("r+b") as file, mmap.mmap(file.fileno(), 8) as mapped:
            mapped[:] = struct.pack("q", seconds)


def make_wall_clock(folder: Path) -> WallClock:
    """A clock that is right, in a folder of its own."""
    clock = WallClock(folder / "wall_clock.so", folder / "wrong_by")
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(clock.library), str(_SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}; `make test` installs what is missing"
    clock.file.write_bytes(bytes(8))
    return clock
