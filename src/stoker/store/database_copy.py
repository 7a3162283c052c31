"""Copies a SQLite database while servers write to it."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

_PAGES_AT_ONCE = 2000
_BUSY_SECONDS = 10
_STEPS_BETWEEN_TICKS = 100_000


class DatabaseUnreadable(Exception):
    """SQLite can't read the database, or it is damaged; the text says what SQLite said."""


def copy_database(source: Path, target: Path, report: Callable[[int, int], None]) -> None:
    """Copy the database at ``source``, as it is at one moment, to a new file (0600).

    One read transaction lasts for the whole copy. Otherwise SQLite would begin again after each commit of another
    process (https://sqlite.org/c3ref/backup_finish.html), so the copy of a busy database would never end. Writers don't
    wait for it, since the database is in WAL mode.

    Args:
        source: the database of a server, which may be running.
        target: where there is no file yet. Nothing syncs it to the disk.
        report: is given the bytes that are copied, and all bytes, again and again.

    Raises:
        DatabaseUnreadable: the database can't be read.
        OSError: there is a file at ``target``, or no space for one.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with _translated(), closing(_open_to_read(source)) as reader, closing(sqlite3.connect(target)) as writer:
        writer.execute("PRAGMA synchronous = OFF")
        (page_bytes,) = reader.execute("PRAGMA page_size").fetchone()
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reader.backup(
            writer,
            pages=_PAGES_AT_ONCE,
            progress=lambda _, remaining, total: report((total - remaining) * page_bytes, total * page_bytes),
        )


def check_database(path: Path, tick: Callable[[], None]) -> None:
    """Read all of a database that nobody else has open, and check that it is whole.

    Args:
        path: of the database.
        tick: is called again and again meanwhile, where SQLite can do that.

    Raises:
        DatabaseUnreadable: it is not.
    """
    with _translated(), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_progress_handler(tick, _STEPS_BETWEEN_TICKS)
        connection.execute("PRAGMA trusted_schema = OFF")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise DatabaseUnreadable(str(found))


def merge_log(path: Path) -> None:
    """Bring all commits of a database that nobody else has open into its one file, and to the disk."""
    with _translated(), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _open_to_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise DatabaseUnreadable(str(error)) from error
