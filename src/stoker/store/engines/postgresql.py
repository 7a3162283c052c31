"""PostgreSQL: its connections and transactions.

Transactions that write run side by side, at READ COMMITTED: they lock what they decide on (`stoker.store.locks`). Those
that only read see one state of the database, at REPEATABLE READ. Each commit outlives what PostgreSQL lets it outlive.

A connection that was lost is replaced when a transaction begins, as nothing has happened in it yet. A transaction that
loses its connection later is not repeated, since nobody knows how much of it was done: its caller gets `Unavailable`.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import IntLoader
from psycopg.types.string import StrDumper
from sqlalchemy import BigInteger, bindparam, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from stoker.store.engines.postgresql_trouble import is_lost, reporting_errors
from stoker.store.engines.transactions import EngineTransaction, MadeItems, to_its_end
from stoker.store.migrate import DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from psycopg.abc import Buffer
    from psycopg.adapt import AdaptersMap
    from sqlalchemy import CursorResult, Executable, Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from stoker.settings.database import DatabaseSettings
    from stoker.store.locks import Lock

Item = TypeVar("Item")

_SCANS_AT_ONCE = 4
_ROWS_AT_ONCE = 200
_BEGIN_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_RETRY_SECONDS = 0.2
_SET: Final = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS timeouts (name, value)"
_LOCK = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))
# libpq's defaults take hours to see that a host is gone (https://www.postgresql.org/docs/current/libpq-connect.html).
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
_PER_SECOND = 1000


class PostgresqlTransaction(EngineTransaction):
    """A transaction on one of the connections: see `stoker.store.database.Transaction`."""

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, connection: AsyncConnection, scans: asyncio.Semaphore) -> None:
        super().__init__()
        self._connection = connection
        self._scans = scans

    async def execute(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> CursorResult[Any]:
        """Run a statement, and read all of its result."""
        return await self._connection.execute(statement, parameters)

    async def scan(self, statement: Executable) -> list[Row[Any]]:
        """All rows of a statement."""
        async with self._scans:
            return list(await self._connection.execute(statement))

    async def execute_apart(self, statement: Executable) -> int:
        """Run a statement; how many rows it changed."""
        return (await self._connection.execute(statement)).rowcount

    async def scan_into(
        self,
        statement: Executable,
        make: Callable[[Row[Any]], Item],
        cost_of: Callable[[Item], int] | None = None,
        most: int = 0,
    ) -> list[Item]:
        """What is made of each row of a statement, some hundred rows at a time, from a cursor of the database."""
        made = MadeItems(make, cost_of, most)
        async with self._scans:
            options = {"max_row_buffer": _ROWS_AT_ONCE}
            result = await self._connection.stream(statement, execution_options=options)
            try:
                while made.has_room and (rows := await result.fetchmany(_ROWS_AT_ONCE)):
                    await made.add(rows)
            finally:
                await result.close()
        return made.items

    async def execute_many(self, statement: Executable, parameters: Sequence[Mapping[str, object]]) -> None:
        """Run a statement once for each of the parameters, without waiting for each answer."""
        await self._connection.execute(statement, parameters)

    async def lock(self, lock: Lock, owner_id: str = "") -> None:
        """Take an advisory lock, which ends with the transaction."""
        if self._locks.add(lock, owner_id):
            await self._connection.execute(_LOCK, {"key": lock_key(lock, owner_id)})


def lock_key(lock: Lock, owner_id: str) -> int:
    """The number of a lock for PostgreSQL, which knows advisory locks by 64 bits."""
    name = f"stoker {lock} {owner_id}".encode(errors="surrogatepass")
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big", signed=True)


class PostgresqlDatabase:
    """A PostgreSQL database: see `stoker.store.database.Database`."""

    def __init__(self, engine: AsyncEngine, connect_seconds: float) -> None:
        self._engine = engine
        self._connect_seconds = connect_seconds
        self._scans = asyncio.Semaphore(_SCANS_AT_ONCE)

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncGenerator[PostgresqlTransaction]:
        """A transaction at READ COMMITTED. All are as durable as PostgreSQL is set to make them."""
        async with self._transaction(_BEGIN_WRITING) as transaction:
            yield transaction
        transaction.committed()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[PostgresqlTransaction]:
        """A transaction at REPEATABLE READ."""
        async with self._transaction(_BEGIN_READING) as transaction:
            yield transaction

    def version(self) -> None:
        """Nothing: it can't be told without a question."""

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _transaction(self, beginning: str) -> AsyncGenerator[PostgresqlTransaction]:
        with reporting_errors(has_begun=False):
            connection = await self._begin(beginning)
        try:
            with reporting_errors(has_begun=beginning == _BEGIN_WRITING):
                yield PostgresqlTransaction(connection, self._scans)
                _require_whole(connection)
                await connection.exec_driver_sql("COMMIT")
        finally:
            await _give_back(connection)

    async def _begin(self, beginning: str) -> AsyncConnection:
        """A connection on which a transaction has begun. A lost one is replaced, for as long as connecting may take."""
        now = asyncio.get_running_loop().time
        deadline, pause = now() + self._connect_seconds, 0.0
        while True:
            try:
                return await self._try_to_begin(beginning)
            except DBAPIError as error:
                if not is_lost(error) or now() >= deadline:
                    raise
            # The first time at once: the database may have been restarted since the connection was used last.
            await asyncio.sleep(pause)
            pause = _RETRY_SECONDS

    async def _try_to_begin(self, beginning: str) -> AsyncConnection:
        connection = await self._engine.connect()
        try:
            await connection.exec_driver_sql(beginning)
        except BaseException:
            await _give_back(connection)
            raise
        return connection


def _require_whole(connection: AsyncConnection) -> None:
    """Make sure that nothing failed in a transaction, since PostgreSQL silently takes its COMMIT for a ROLLBACK."""
    sync = connection.sync_connection
    driver: Any = None if sync is None or connection.invalidated else sync.connection.driver_connection
    if driver is None or driver.info.transaction_status == TransactionStatus.INERROR:
        raise RuntimeError("a statement of this transaction failed, so there is nothing to commit")


async def _give_back(connection: AsyncConnection) -> None:
    """Give a connection back, and roll back what isn't committed."""
    # Of one that was lost, nothing is left to roll back.
    with suppress(DBAPIError):
        await to_its_end(connection.close())


class _TextDumper(StrDumper):
    """Texts as PostgreSQL can hold them, with U+FFFD in place of NUL, which it can't."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


def adapt(adapters: AdaptersMap) -> None:
    """Let a connection take all texts, and give whole numbers: no column is NUMERIC, but a sum of BIGINT is."""
    adapters.register_dumper(str, _TextDumper)
    adapters.register_loader("numeric", IntLoader)


def connection_parameters(settings: DatabaseSettings) -> dict[str, Any]:
    """What psycopg connects with: the URL's parameters before our defaults.

    Raises:
        DatabaseUnusable: libpq doesn't understand the URL.
    """
    try:
        given = conninfo_to_dict(settings.database)
    except psycopg.ProgrammingError:
        # Its text may repeat a part of the password.
        raise DatabaseUnusable(
            "the setting database is no URL that libpq understands; percent-encode special characters of its password"
        ) from None
    patience = {"connect_timeout": math.ceil(settings.database_connect_timeout_seconds)}
    return {"application_name": "stoker", **_KEEPALIVE, **patience, **given}


def open_postgresql(settings: DatabaseSettings) -> PostgresqlDatabase:
    """Open the PostgreSQL database of the settings, which `migrate_postgresql` has brought up to date.

    Nothing is connected before the first transaction.

    Raises:
        DatabaseUnusable: libpq doesn't understand the URL.
    """
    parameters = connection_parameters(settings)
    statement, lock = (
        str(round(seconds * _PER_SECOND))
        for seconds in (settings.database_statement_timeout_seconds, settings.database_lock_timeout_seconds)
    )
    # A server that stands still in a transaction keeps others from its locks, so that is bounded, too.
    timeouts = {
        "statement_timeout": statement,
        "lock_timeout": lock,
        "idle_in_transaction_session_timeout": statement,
    }

    async def connect() -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
        try:
            adapt(connection.adapters)
            await connection.execute(_SET, (list(timeouts), list(timeouts.values())))
        except BaseException:
            await connection.close()
            raise
        return connection

    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=settings.max_database_connections,
        max_overflow=0,
        pool_timeout=settings.database_lock_timeout_seconds,
        pool_use_lifo=True,
        isolation_level="AUTOCOMMIT",  # transactions are begun and ended by their own statements
        hide_parameters=True,  # errors are logged, and what is stored is nobody's business there
        use_native_hstore=False,
    )
    return PostgresqlDatabase(engine, settings.database_connect_timeout_seconds)
