"""Restores a backup into a folder that becomes a server's data folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, BinaryIO

from sqlalchemy.exc import SQLAlchemyError

from stoker.backup.archive import DATABASE, KEY_FOLDER, BackupReader, Header, NotABackup
from stoker.backup.creating import Report, sync_folder
from stoker.serve.data_folder import locked_data_folder
from stoker.store.database_copy import DatabaseUnreadable, check_database, merge_log
from stoker.store.migrate import DatabaseTooNew, migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_STAGING = "restoring"
_LOCK = "lock"
# What a folder may have in it and is empty nevertheless.
_NOTHING = frozenset({_STAGING, _LOCK, "lost+found"})


class NotRestored(Exception):
    """A backup can't be restored into a folder; the text says why."""


def restore_backup(file: Path, folder: Path, settle: Callable[[Path], None], report: Report) -> Header:
    """Restore a backup, whole or not at all.

    All of it is read and checked first. Then it is written to a folder within the new data folder, and its database is
    checked there, before both are moved to their places.

    Args:
        file: the backup.
        folder: an empty folder, or one that is to be made.
        settle: turns the restored database, whose tables are up to date, into the database of a new server.
        report: receives the progress.

    Raises:
        NotABackup: the file is no backup, or damaged.
        NotRestored: the folder is not empty, or the backup was made by a newer stoker.
        DataFolderInUse: a server runs on the folder.
        OSError: there is no space, or the file can't be read.
    """
    _require_empty(folder)
    with file.open("rb") as source:
        header = _check(source, report)
        source.seek(0)
        with locked_data_folder(folder):
            # Another process may have come first.
            _require_empty(folder)
            staging = folder / _STAGING
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(mode=0o700)
            try:
                _unpack(source, staging, report)
                _prepare(staging / DATABASE, header, settle, report)
                sync_folder(staging / KEY_FOLDER)
                # The database last: without it the folder is no server's.
                for name in (KEY_FOLDER, DATABASE):
                    (staging / name).rename(folder / name)
                sync_folder(folder)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    return header


def _require_empty(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()} if folder.exists() else set[str]()
    if not names - _NOTHING:
        return
    if _LOCK in names:
        with locked_data_folder(folder):
            pass
    raise NotRestored(f"{folder} is not empty")


def _check(source: BinaryIO, report: Report) -> Header:
    """Read all of a backup, and compare its checksums."""
    reader, done = BackupReader(source), 0
    for _, content in reader.members():
        for chunk in content:
            done += len(chunk)
            report("checking the backup", done, reader.header.total_bytes)
    return reader.header


def _unpack(source: BinaryIO, folder: Path, report: Report) -> None:
    (folder / KEY_FOLDER).mkdir(mode=0o700)
    reader, done = BackupReader(source), 0
    for member, content in reader.members():
        descriptor = os.open(folder / member.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in content:
                file.write(chunk)
                done += len(chunk)
                report("restoring", done, reader.header.total_bytes)
            file.flush()
            os.fsync(file.fileno())


def _prepare(database: Path, header: Header, settle: Callable[[Path], None], report: Report) -> None:
    try:
        check_database(database, lambda: report("checking the database", 0, 0))
        migrate(database)
        settle(database)
        merge_log(database)
    except (DatabaseUnreadable, SQLAlchemyError, sqlite3.Error) as error:
        raise NotABackup(f"its database can't be used: {error}") from error
    except DatabaseTooNew as error:
        raise NotRestored(f"it was made by stoker {header.stoker}, which is newer; restore it with that one") from error
