"""buildkitd's own output: bounded while the machine runs, its end kept afterwards for the operator."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from stoker.domain.masking import mask_secrets

if TYPE_CHECKING:
    from pathlib import Path


def tail(file: Path, size: int) -> bytes:
    """The last ``size`` bytes of a file; none when there is no file."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - size))
            return stream.read(size)
    except FileNotFoundError:
        return b""


def trim(file: Path, bound: int) -> None:
    """Cut a log that is larger than ``bound`` bytes down to the newer half of that.

    Its writer appends, so it goes on at the new end; what it writes in this very moment may be lost.
    """
    try:
        if file.stat().st_size <= bound:
            return
    except FileNotFoundError:
        return
    newest = tail(file, bound // 2)
    os.truncate(file, 0)
    with file.open("ab") as stream:
        stream.write(newest)


def keep(file: Path, folder: Path, size: int, count: int) -> None:
    """Keep the end of a log as a file in ``folder``, where the newest ``count`` stay, with secrets masked."""
    text = tail(file, size)
    if not text:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / file.name).write_bytes(_masked(text, is_cut=len(text) == size))
    kept = sorted(folder.glob("*.log"), key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
    for path in kept[count:]:
        path.unlink(missing_ok=True)


def _masked(text: bytes, *, is_cut: bool) -> bytes:
    """Lines of buildkitd, which quotes commands that failed; without the first, if its beginning is cut off."""
    lines = text.decode(errors="surrogateescape").split("\n")
    return "\n".join(map(mask_secrets, lines[is_cut and len(lines) > 1 :])).encode(errors="surrogateescape")
