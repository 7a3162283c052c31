"""Keeps a second server from working on the same PostgreSQL database. On SQLite, the data folder's lock does."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import psycopg

from stoker.store.engines.postgresql import connection_parameters
from stoker.store.engines.postgresql_trouble import said_by
from stoker.store.migrate import DatabaseUnusable

if TYPE_CHECKING:
    from stoker.settings.database import DatabaseSettings

_SERVING = 0x53746F6B65725365  # a number of our own, for the lock of the one server
_CHECK_SECONDS = 5.0
_TRY_SECONDS = 0.2

_log = logging.getLogger(__name__)


class SoleUse:
    """A lock in the database, on a connection of its own: it ends with the process, however that ends."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._parameters = connection_parameters(settings)
        self._patience = settings.database_connect_timeout_seconds
        self._connection: psycopg.AsyncConnection | None = None

    async def take(self) -> None:
        """Take the lock. One whose server has just been killed is waited for.

        Raises:
            DatabaseUnusable: another server has it, or the database can't be reached.
        """
        now = asyncio.get_running_loop().time
        deadline = now() + self._patience
        try:
            connection = await psycopg.AsyncConnection.connect(**self._parameters, autocommit=True)
            while not await _try_to_lock(connection):
                if now() >= deadline:
                    await connection.close()
                    raise DatabaseUnusable("another stoker server runs on this database; stop it first")
                await asyncio.sleep(_TRY_SECONDS)
        except psycopg.Error as error:
            raise DatabaseUnusable(f"the database can't be used: {said_by(error)}") from None
        self._connection = connection

    async def keep(self) -> None:
        """Take the lock again whenever its connection was lost, until cancelled."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            try:
                if self._connection is None:
                    await self.take()
                else:
                    await self._connection.execute("SELECT 1")
            except psycopg.Error:
                await self.release()
            except DatabaseUnusable as error:
                _log.error("this server's lock of the database is lost: %s", error)

    async def release(self) -> None:
        """Give the lock back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def _try_to_lock(connection: psycopg.AsyncConnection) -> bool:
    found = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", (_SERVING,))).fetchone()
    return found is not None and bool(found[0])
