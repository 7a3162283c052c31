"""`stoker ca`: the authority that signs the server's own certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.terminal import Problem, write

if TYPE_CHECKING:
    from pathlib import Path


@click.command("ca")
@setting_flags("data")
def command(config_file: Path | None, **flags: object) -> None:
    """Print the server's certificate authority.

    It signs the gateway's certificate and, with tls_own, the API's.
    """
    file = effective_settings(config_file, flags).values.server.data / "pki" / "builds.pem"
    try:
        write(file.read_text(), nl=False)
    except OSError as error:
        raise Problem(f"{file} can't be read: {error.strerror}", "start `stoker serve` once on this folder") from error
