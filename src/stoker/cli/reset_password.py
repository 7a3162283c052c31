"""`stoker reset-password`: set a person's password, for people who can read the data folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker.assembly import new_people_role
from stoker.auth.passwords import Passwords
from stoker.cli.data import with_data_folder
from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.terminal import say
from stoker.services.sign_in import SignInService

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.domain.people import Person
    from stoker.services.core import Core


@click.command("reset-password")
@click.argument("email")
@setting_flags("data")
def command(email: str, config_file: Path | None, **flags: object) -> None:
    """Set a new password for EMAIL. That person's sessions and tokens end."""
    settings = effective_settings(config_file, flags).values
    password: str = click.prompt("New password", hide_input=True, confirmation_prompt=True)

    async def reset(core: Core) -> Person:
        return await SignInService(core, Passwords(), new_people_role(settings)).reset_password(email, password)

    person = with_data_folder(settings, reset)
    say(f"{person.name} ({person.email}) can sign in with the new password; sessions and tokens have ended")
