"""Which of the host's user and group ids a machine in a user namespace has.

A folder of the host has a file for each range that is taken. It names the folder of the machine that has the range.
The range is free again as soon as that folder is gone, so nothing has to be released, and no kill loses one.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.process.host.namespaces import IDS

_DELEGATED = (Path("/etc/subuid"), Path("/etc/subgid"))


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids of the host, from ``first`` on."""

    first: int
    count: int = IDS

    def overlaps(self, other: IdRange) -> bool:
        """Whether an id is in both."""
        return self.first < other.first + other.count and other.first < self.first + self.count


def delegated_ranges(text: str) -> Iterator[IdRange]:
    """The ranges in a file such as /etc/subuid (subuid(5)), which other users' containers have."""
    for line in text.splitlines():
        words = line.strip().split(":")
        if len(words) == 3 and words[1].isdecimal() and words[2].isdecimal():
            yield IdRange(int(words[1]), int(words[2]))


def free_range(pool: IdRange, taken: Iterable[IdRange]) -> IdRange:
    """The first range of the pool in which nobody has an id.

    Raises:
        RuntimeFailed: there is none.
    """
    known = list(taken)
    for first in range(pool.first, pool.first + pool.count - IDS + 1, IDS):
        candidate = IdRange(first)
        if not any(candidate.overlaps(other) for other in known):
            return candidate
    raise RuntimeFailed("no range of user ids is free for another machine; set a larger max_user_id_ranges")


class IdRanges:
    """The ranges of one host, for all servers on it."""

    def __init__(self, run_folder: Path, pool: IdRange) -> None:
        self._run_folder = run_folder
        self._folder = run_folder / "ids"
        self._pool = pool

    def take(self, machine: Path) -> IdRange:
        """The range of a machine, which has it for as long as its folder is there.

        Raises:
            RuntimeFailed: none is free.
            OSError: it can't be written down.
        """
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self._run_folder / "ids.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            taken = self._taken(machine)
            elsewhere = [one for file in _DELEGATED if file.exists() for one in delegated_ranges(file.read_text())]
            chosen = free_range(self._pool, [*taken, *elsewhere])
            (self._folder / str(chosen.first)).write_text(str(machine))
            return chosen

    def _taken(self, machine: Path) -> list[IdRange]:
        """The ranges of other machines that are there; what nobody has any more is removed."""
        found: list[IdRange] = []
        for file in self._folder.iterdir():
            owner = file.read_text()
            if owner and owner != str(machine) and Path(owner).is_dir():
                found.append(IdRange(int(file.name)))
            else:
                file.unlink()
        return found
