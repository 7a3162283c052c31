"""What commands share that work on a server's database itself, instead of calling the API."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from stoker.assembly import open_core
from stoker.cli.terminal import Problem
from stoker.domain.errors import StokerError
from stoker.plan import database_file
from stoker.store.migrate import DatabaseUnusable
from stoker.store.opening import migrate_database, open_database

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stoker.services.core import Core
    from stoker.settings.effective import Settings

Result = TypeVar("Result")


def with_data_folder(settings: Settings, work: Callable[[Core], Awaitable[Result]]) -> Result:
    """Run some work on the database of a data folder, or of the settings. A server may be running on it.

    Raises:
        Problem: there is no data folder, or the work fails.
    """
    file = database_file(settings)
    if not settings.database.database and not file.exists():
        raise Problem(f"{settings.server.data} is not the data folder of a server", "name it with --data")

    async def run() -> Result:
        database = open_database(settings.database, file)
        try:
            return await work(open_core(settings, database))
        finally:
            await database.close()

    try:
        migrate_database(settings.database, file)
        return asyncio.run(run())
    except (StokerError, DatabaseUnusable) as error:
        raise Problem(str(error)) from error
    except PermissionError as error:
        raise Problem(f"{error.filename or file} can't be read", "run it as the user who runs the server") from error


def require_sqlite(settings: Settings) -> None:
    """Refuse what works on a SQLite file alone.

    Raises:
        Problem: the server's database is in PostgreSQL.
    """
    if settings.database.database:
        advice = "use pg_dump and pg_restore for it, and keep a copy of the folder pki (docs/backup.md)"
        raise Problem("the server's database is in PostgreSQL, which this command does not copy", advice)
