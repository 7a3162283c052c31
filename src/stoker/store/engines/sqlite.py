"""SQLite: its connections and transactions.

There is one writing connection, whose transactions begin with BEGIN IMMEDIATE (so that two of them never
deadlock on upgrading a lock), and a few reading ones, which WAL lets go on beside it. A commit outlives the death of
any process. A `durable` one outlives a power cut too: it waits for the disk, on which machines may be writing a lot.

A statement takes some tens of microseconds, a tenth of what handing it to another thread and back costs, so statements
run on the event loop's own thread. What may wait (for another process's lock, or for the disk) runs on another: the
beginning and the commit of what writes. So does what reads or writes a great many rows: `scan`, `execute_many`,
`execute_apart`.
"""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Engine, create_engine, event

from stoker.store.engines.sqlite_trouble import reporting_host_errors
from stoker.store.engines.transactions import EngineTransaction, MadeItems, to_its_end

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Executable, Row

    from stoker.store.locks import Lock

Item = TypeVar("Item")

_READERS = 4
_SCANS_AT_ONCE = 2
_ROWS_AT_ONCE = 200
# Enough for a WAL of 512 MB; it is cut at 4 MB whenever nobody reads.
_INDEX_BYTES = 1024**2


class SqliteTransaction(EngineTransaction):
    """A transaction on one of the connections: see `stoker.store.database.Transaction`."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, connection: Connection, scans: asyncio.Semaphore) -> None:
        super().__init__()
        self._connection = connection
        self._scans = scans

    async def execute(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> CursorResult[Any]:
        """Run a statement on the event loop's own thread."""
        return self._connection.execute(statement, parameters)

    async def scan(self, statement: Executable) -> list[Row[Any]]:
        """All rows of a statement, which runs on another thread."""
        rows: list[Row[Any]] = []
        async with self._scans:
            await _in_thread(lambda: rows.extend(self._connection.execute(statement)))
        return rows

    async def execute_apart(self, statement: Executable) -> int:
        """Run a statement on another thread; how many rows it changed."""
        changed: list[int] = []
        await _in_thread(lambda: changed.append(self._connection.execute(statement).rowcount))
        return changed[0]

    async def scan_into(
        self,
        statement: Executable,
        make: Callable[[Row[Any]], Item],
        cost_of: Callable[[Item], int] | None = None,
        most: int = 0,
    ) -> list[Item]:
        """What is made of each row of a statement, some hundred rows at a time, which another thread reads."""
        made = MadeItems(make, cost_of, most)
        rows: list[Row[Any]] = []
        async with self._scans:
            results: list[CursorResult[Any]] = []
            await _in_thread(lambda: results.append(self._connection.execute(statement)))
            (result,) = results
            try:
                while made.has_room:
                    await _in_thread(lambda: rows.extend(result.fetchmany(_ROWS_AT_ONCE)))
                    if not rows:
                        break
                    await made.add(rows)
                    rows.clear()
            finally:
                result.close()
        return made.items

    async def execute_many(self, statement: Executable, parameters: Sequence[Mapping[str, object]]) -> None:
        """Run a statement once for each of the parameters, on another thread."""
        await _in_thread(lambda: self._connection.execute(statement, parameters))

    async def lock(self, lock: Lock, owner_id: str = "") -> None:
        """Only check the order: whoever writes is alone."""
        self._locks.add(lock, owner_id)


@dataclass(frozen=True, slots=True)
class _Reader:
    connection: Connection
    driver: sqlite3.Connection


def _open_reader(engine: Engine) -> _Reader:
    connection = engine.connect()
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    return _Reader(connection, driver)


class SqliteDatabase:
    """A database file: see `stoker.store.database.Database`."""

    def __init__(self, writer: Engine, reader: Engine) -> None:
        self._writer = writer
        self._reader = reader
        self._writing = asyncio.Lock()
        self._write_connection: Connection | None = None
        self._idle_readers: list[_Reader] = []
        self._version_reader: _Reader | None = None
        self._scans = asyncio.Semaphore(_SCANS_AT_ONCE)

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncGenerator[SqliteTransaction]:
        """A transaction of the one connection that writes. The commit of a durable one waits for the disk."""
        async with self._writing:
            with reporting_host_errors():
                connection = self._write_connection = self._write_connection or self._writer.connect()
            try:
                with reporting_host_errors():
                    await _in_thread(lambda: _begin(connection, durable=durable))
                    transaction = SqliteTransaction(connection, self._scans)
                    yield transaction
                    await _in_thread(lambda: connection.exec_driver_sql("COMMIT"))
            except BaseException:
                _roll_back(connection)
                raise
        transaction.committed()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[SqliteTransaction]:
        """A transaction of one of the connections that read."""
        # Beginning and ending go to the driver itself, and readers stay out of the pool between two reads: both ways
        # around take as long as a statement.
        with reporting_host_errors():
            reader = self._idle_readers.pop() if self._idle_readers else _open_reader(self._reader)
        try:
            with reporting_host_errors():
                reader.driver.execute("BEGIN")
                yield SqliteTransaction(reader.connection, self._scans)
        finally:
            if reader.driver.in_transaction:
                reader.driver.execute("ROLLBACK")
            if len(self._idle_readers) < _READERS:
                self._idle_readers.append(reader)
            else:
                reader.connection.close()

    def version(self) -> object:
        """Another value after each commit, by whatever process (https://sqlite.org/pragma.html#pragma_data_version)."""
        self._version_reader = self._version_reader or _open_reader(self._reader)
        return self._version_reader.driver.execute("PRAGMA data_version").fetchone()

    async def close(self) -> None:
        """Close all connections."""
        async with self._writing:
            if self._write_connection is not None:
                self._write_connection.close()
            for reader in (*self._idle_readers, self._version_reader):
                if reader is not None:
                    reader.connection.close()
            self._reader.dispose()
            self._writer.dispose()


def open_sqlite(path: Path, *, busy_seconds: float = 5.0) -> SqliteDatabase:
    """Open the SQLite database at ``path``, which `migrate` has brought up to date."""
    writer = _sqlite_engine(path, busy_seconds, writes=True)
    _reserve_index(writer, path)
    return SqliteDatabase(writer, _sqlite_engine(path, busy_seconds, writes=False))


def _reserve_index(writer: Engine, path: Path) -> None:
    """Give the index of the WAL its place on the disk while there is some.

    SQLite maps it into memory, where a write to a page without a place ends the process by SIGBUS once the disk is full
    (https://sqlite.org/walformat.html#the_wal_index_file_format).
    """
    with writer.connect() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        # By another process: whoever opens and closes a file here gives up all locks that SQLite holds on it
        # (https://sqlite.org/howtocorrupt.html, 2.2), and the next process would cut it off under our mapping.
        command = ["fallocate", "--length", str(_INDEX_BYTES), f"{path}-shm"]
        with suppress(OSError):
            subprocess.run(command, capture_output=True, check=False)


def _sqlite_engine(path: Path, busy_seconds: float, *, writes: bool) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=1 if writes else _READERS,
        max_overflow=0 if writes else -1,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # errors are logged, and what is stored is nobody's business there
        connect_args={"timeout": busy_seconds, "check_same_thread": False},
    )

    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        if not writes:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    event.listen(engine, "connect", on_connect)
    return engine


def _begin(connection: Connection, *, durable: bool) -> None:
    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _roll_back(connection: Connection) -> None:
    driver_connection: Any = connection.connection.driver_connection
    if driver_connection.in_transaction:
        connection.exec_driver_sql("ROLLBACK")


async def _in_thread(work: Callable[[], object]) -> None:
    """Run blocking work in a thread."""
    await to_its_end(asyncio.to_thread(work))
