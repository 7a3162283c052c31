"""Connections and transactions.

On SQLite there is one writing connection, whose transactions begin with BEGIN IMMEDIATE (so that two of them never
deadlock on upgrading a lock), and a few reading ones, which WAL lets go on beside it. A commit outlives the death of
any process. A `durable` one outlives a power cut too: it waits for the disk, on which machines may be writing a lot.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

Transaction = AsyncConnection

_READERS = 4
_DURABLE = "stoker_durable"


class Database:
    """Opens transactions. Nothing slow may happen inside one."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncGenerator[Transaction]:
        """A transaction that commits when its block ends well and rolls back when it raises.

        Args:
            durable: for what a caller is told is done and could not find out otherwise: the commit waits for the disk.
        """
        async with self._writer.connect() as connection:
            await connection.execution_options(**{_DURABLE: durable})
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Transaction]:
        """A transaction that only reads; what it sees doesn't change while it lasts."""
        async with self._reader.connect() as connection:
            yield connection

    async def close(self) -> None:
        """Close all connections."""
        await self._reader.dispose()
        await self._writer.dispose()


def open_sqlite(path: Path, *, busy_seconds: float = 10.0) -> Database:
    """Open the SQLite database at ``path``, which `migrate` has brought up to date."""
    return Database(_sqlite_engine(path, busy_seconds, writes=True), _sqlite_engine(path, busy_seconds, writes=False))


def _sqlite_engine(path: Path, busy_seconds: float, *, writes: bool) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        pool_size=1 if writes else _READERS,
        max_overflow=0,
        connect_args={"timeout": busy_seconds},
    )

    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        if not writes:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    def on_begin(connection: Any) -> None:  # noqa: ANN401
        if writes:
            durable = connection.get_execution_options().get(_DURABLE, False)
            connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", on_begin)
    return engine
