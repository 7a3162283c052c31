"""`stoker backup`: the database and the keys of a server as one file."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import click

from stoker.backup.archive import KEY_FOLDER
from stoker.backup.creating import NoBackup, Source, create_backup
from stoker.cli.data import require_sqlite
from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.progress import TransferProgress, shown_bytes
from stoker.cli.terminal import Problem, say
from stoker.plan import database_file
from stoker.store.database_copy import DatabaseUnreadable
from stoker.system import SystemClock


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@setting_flags("data")
def command(file: Path, config_file: Path | None, **flags: object) -> None:
    """Back the server up to FILE, which must not exist yet.

    FILE gets the database and the keys, so keep it secret. The server may be running. Caches are not in it.
    """
    settings = effective_settings(config_file, flags).values
    require_sqlite(settings)
    clock = SystemClock()
    source = Source(database_file(settings), settings.server.data / KEY_FOLDER)
    progress = TransferProgress(clock.monotonic)
    try:
        header = create_backup(source, file.absolute(), version("stoker"), clock.now(), progress.report)
    except NoBackup as error:
        raise Problem(str(error), "name another file, or the server's folder with --data") from error
    except DatabaseUnreadable as error:
        raise Problem(f"the database can't be backed up: {error}") from error
    except OSError as error:
        raise Problem(f"{error.filename or file} can't be used: {error.strerror or error}") from error
    say(f"wrote {file} ({shown_bytes(header.total_bytes)}); it has the server's keys in it, so keep it secret")
