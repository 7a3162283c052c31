"""`stoker owner-link`: a link to become owner, for people who can read the data folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker.cli.data import with_data_folder
from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.terminal import Problem, say, tell
from stoker.serve.running_server import running_address
from stoker.services.bootstrap import BootstrapService
from stoker.services.organizations import join_url

if TYPE_CHECKING:
    from pathlib import Path


@click.command("owner-link")
@setting_flags("data", "public_url")
def command(config_file: Path | None, **flags: object) -> None:
    """Print a link to become an owner.

    Whoever opens it becomes an owner of the first organization. It works once. Links that were
    printed before no longer work.
    """
    settings = effective_settings(config_file, flags).values
    server = settings.server
    secret = with_data_folder(settings, lambda core: BootstrapService(core).owner_invitation(even_if_known=True))
    if secret is None:
        raise Problem("no link could be made")
    running = running_address(server.data)
    if running is None:
        tell("no server is running here; the link works once `stoker serve` runs with the same settings")
    own = server.public_url or f"{'https' if server.tls else 'http'}://{server.listen}"
    # The running server may have other flags than the settings that are read here.
    url = own if flags.get("public_url") or running is None else running
    say(join_url(url, secret))
