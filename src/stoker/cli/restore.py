"""`stoker restore`: a new data folder from a backup."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker.assembly import open_core
from stoker.backup.archive import NotABackup
from stoker.backup.restoring import NotRestored, restore_backup
from stoker.cli.data import require_sqlite
from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.progress import TransferProgress
from stoker.cli.terminal import Problem, say
from stoker.domain.wording import counted
from stoker.serve.data_folder import DataFolderInUse
from stoker.services.restored import RestoredService
from stoker.settings.database import DatabaseSettings
from stoker.store.opening import open_database
from stoker.system import SystemClock

if TYPE_CHECKING:
    from stoker.settings.effective import Settings


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@setting_flags("data")
def command(file: Path, config_file: Path | None, **flags: object) -> None:
    """Restore the backup FILE into the data folder, which must be empty or not exist yet.

    Builds that ran when the backup was made are marked as failed. Caches begin empty.
    """
    settings = effective_settings(config_file, flags).values
    require_sqlite(settings)
    folder = settings.server.data
    failed = 0

    def settle(database: Path) -> None:
        nonlocal failed
        failed = asyncio.run(_settle(settings, database))

    try:
        header = restore_backup(file, folder, settle, TransferProgress(SystemClock().monotonic).report)
    except NotABackup as error:
        raise Problem(f"{file} can't be restored: {error}", "nothing was changed") from error
    except NotRestored as error:
        raise Problem(str(error), "nothing was changed; name an empty folder with --data") from error
    except DataFolderInUse as error:
        raise Problem(str(error), "nothing was changed; name an empty folder with --data") from error
    except OSError as error:
        raise Problem(f"{error.filename or folder} can't be used: {error.strerror or error}") from error
    say(f"restored the backup of {header.made_at:%Y-%m-%d %H:%M} UTC into {folder}")
    if failed:
        say(f"marked {counted(failed, 'running build')} as failed")
    say(f"start the server with `stoker serve --data {folder}`")


async def _settle(settings: Settings, file: Path) -> int:
    database = open_database(DatabaseSettings(), file)
    try:
        return await RestoredService(open_core(settings, database)).settle()
    finally:
        await database.close()
