"""Which of the host's programs are mounted into a machine in a user namespace, which has no rights on the host.

They are mounted at their own paths. A folder above them that only its owner may enter, such as /root, is covered by an
empty one, so that the machine sees nothing else of it. The machine's own /tmp and the like are empty at first.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from stoker.runtimes.process.host.namespaces import EMPTIED


@dataclass(frozen=True, slots=True)
class Shown:
    """Folders to cover, and those to show in them or elsewhere, at the host's own paths."""

    covered: tuple[Path, ...]
    folders: tuple[Path, ...]


def mode_of(folder: Path) -> int:
    """The permission bits of a folder.

    Raises:
        OSError: it can't be told.
    """
    return folder.stat().st_mode


def shown(folders: Iterable[Path], mode: Callable[[Path], int] = mode_of) -> Shown:
    """What to cover and to show, so that anybody can enter these folders; nothing for those that anybody can already.

    Raises:
        OSError: one of them isn't there.
    """
    found: dict[Path, Path | None] = {}
    for folder in dict.fromkeys(path.resolve() for path in folders):
        if any(folder.is_relative_to(emptied) for emptied in EMPTIED):
            found[folder] = None
            continue
        closed = [path for path in reversed((folder, *folder.parents)) if not mode(path) & stat.S_IXOTH]
        # What is closed itself can't be covered: it is shown in its place.
        if closed:
            found[folder] = closed[0] if closed[0] != folder else folder.parent
    covered = dict.fromkeys(folder for folder in found.values() if folder is not None)
    return Shown(tuple(covered), tuple(found))
