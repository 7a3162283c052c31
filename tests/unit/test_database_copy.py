"""A database is copied as it is at one moment, however much is written meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stoker.store.database_copy import DatabaseUnreadable, check_database, copy_database

ROWS = 6000
ROW_BYTES = 4000


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    """A database of some 25 MB, which is open elsewhere."""
    path = tmp_path / "with spaces, ? and #.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE rows (content BLOB)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO rows VALUES (?)", ((bytes(ROW_BYTES),) for _ in range(ROWS)))
        connection.execute("COMMIT")
        yield path


def rows_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM rows").fetchone()[0]


def nothing(*_: object) -> None:
    pass


def test_what_is_written_meanwhile_neither_restarts_the_copy_nor_waits_for_it(source: Path, tmp_path: Path) -> None:
    copied: list[int] = []
    with closing(sqlite3.connect(source, isolation_level=None, timeout=0)) as writer:

        def report(done: int, total: int) -> None:
            assert 0 <= done <= total
            copied.append(done)
            writer.execute("INSERT INTO rows VALUES ('late')")

        copy_database(source, tmp_path / "copy.db", report)

    assert 3 <= len(copied) < 10, "it took several steps, and each page was copied once"
    assert copied == sorted(set(copied))
    assert rows_of(tmp_path / "copy.db") == ROWS
    assert rows_of(source) == ROWS + len(copied)
    check_database(tmp_path / "copy.db", nothing)
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0


def test_a_file_that_is_there_is_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(FileExistsError):
        copy_database(source, tmp_path / "copy.db", nothing)
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_damage_is_found(source: Path, tmp_path: Path) -> None:
    copy_database(source, tmp_path / "copy.db", nothing)
    with (tmp_path / "copy.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(DatabaseUnreadable):
        check_database(tmp_path / "copy.db", nothing)


def test_what_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database " * 1000)
    with pytest.raises(DatabaseUnreadable):
        copy_database(tmp_path / "text.db", tmp_path / "copy.db", nothing)
