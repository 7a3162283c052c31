"""Creates a backup of a server, which may be running."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from stoker.backup.archive import (
    CHUNK_BYTES,
    DATABASE,
    KEY_FOLDER,
    KEYS,
    MAX_FILES,
    MAX_KEY_BYTES,
    BackupWriter,
    Header,
    is_key,
    member_of,
)
from stoker.store.database_copy import check_database, copy_database

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime
    from pathlib import Path

Report = Callable[[str, int, int], None]
"""Is given what is being done, and the bytes of it that are done, and all of them."""


class NoBackup(Exception):
    """A backup can't be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a backup is made of: the database, and the folder of the keys."""

    database: Path
    keys: Path


def create_backup(source: Source, file: Path, version: str, now: datetime, report: Report) -> Header:
    """Write a backup (0600), whole or not at all.

    Until its end there are two files beside it, each as large as the database.

    Args:
        source: the server's. It may be running.
        file: where there is nothing yet.
        version: of stoker.
        now: the time.
        report: receives the progress.

    Raises:
        NoBackup: there is something at ``file``, or no server's data.
        DatabaseUnreadable: the database can't be read, or is damaged.
        OSError: there is no space.
    """
    _require_absent(file)
    if not source.database.is_file():
        raise NoBackup(f"there is no database at {source.database}")
    with _temporary(file, "database") as copy, _temporary(file, "archive") as archive:
        copy_database(source.database, copy, lambda done, total: report("copying the database", done, total))
        check_database(copy, lambda: report("checking the copy", 0, 0))
        # After the database, so that all keys that it relies on are there.
        keys = _read_keys(source.keys)
        members = [member_of(path, [content]) for path, content in keys.items()]
        database = member_of(DATABASE, _chunks_of(copy))
        header = Header(version, now, (*members, database))
        with _created(archive) as target:
            writer = BackupWriter(target, header)
            for member in members:
                writer.add(member, [keys[member.path]])
            writer.add(database, _reported(_chunks_of(copy), database.size, report))
            writer.end()
        _require_absent(file)
        archive.rename(file)
        sync_folder(file.parent)
    return header


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_absent(file: Path) -> None:
    if file.is_symlink() or file.exists():
        raise NoBackup(f"{file} is there already, and is left as it is")


def _read_keys(folder: Path) -> dict[str, bytes]:
    """The keys by their paths in a backup."""
    found = {f"{KEY_FOLDER}/{path.name}": path for path in sorted(folder.iterdir()) if path.is_file()}
    keys = {path: file.read_bytes() for path, file in found.items() if is_key(path)}
    lacking = [path for path in KEYS if path not in keys]
    if lacking:
        raise NoBackup(f"{folder} lacks {', '.join(path.rpartition('/')[2] for path in lacking)}")
    if len(keys) >= MAX_FILES or any(len(content) > MAX_KEY_BYTES for content in keys.values()):
        raise NoBackup(f"{folder} has files in it that are not keys of a server")
    return keys


@contextmanager
def _temporary(file: Path, what: str) -> Generator[Path]:
    """A path beside a file, where nothing is left."""
    path = file.with_name(f".{file.name}.{os.getpid()}.{what}")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _created(path: Path) -> Generator[BinaryIO]:
    """A new file that only its owner may read, on the disk when the block has ended."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _reported(chunks: Iterator[bytes], total: int, report: Report) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        report("writing the backup", done, total)
