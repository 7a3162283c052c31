"""The data folder: one server at a time holds it, and its path must leave room for sockets."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_LONGEST_SOCKET_PATH = 107  # unix(7)


class DataFolderInUse(Exception):
    """Another server runs on the data folder; the text says which."""


def spare_bytes(socket: Path) -> int:
    """How many bytes the path of a Unix socket may still grow by. Negative if it is too long."""
    return _LONGEST_SOCKET_PATH - len(os.fsencode(socket))


@contextmanager
def locked_data_folder(folder: Path) -> Generator[None]:
    """Hold a data folder (0700, made if needed) for the time of the block.

    The kernel releases the lock when this process ends, however it ends.

    Raises:
        DataFolderInUse: another process holds it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise DataFolderInUse(f"another server (process {holder}) is running on {folder}") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
