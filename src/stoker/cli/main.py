"""The `stoker` command."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from importlib.metadata import version
from typing import NoReturn

import click

from stoker.cli.terminal import write

_COMMANDS = {
    "serve": "stoker.cli.serve",
    "build": "stoker.cli.build",
    "buildx": "stoker.cli.buildx",
    "login": "stoker.cli.login",
    "logout": "stoker.cli.logout",
    "whoami": "stoker.cli.whoami",
    "organizations": "stoker.cli.organizations",
    "members": "stoker.cli.members",
    "invitations": "stoker.cli.invitations",
    "projects": "stoker.cli.projects",
    "tokens": "stoker.cli.tokens",
    "policies": "stoker.cli.policies",
    "cache": "stoker.cli.cache",
    "machines": "stoker.cli.machines",
    "queue": "stoker.cli.queue",
    "webhooks": "stoker.cli.webhooks",
    "builds": "stoker.cli.builds",
    "usage": "stoker.cli.usage",
    "audit": "stoker.cli.audit",
    "config": "stoker.cli.config",
    "engine": "stoker.cli.engine",
    "doctor": "stoker.cli.doctor",
    "ca": "stoker.cli.ca",
    "owner-link": "stoker.cli.owner_link",
    "reset-password": "stoker.cli.reset_password",
    "backup": "stoker.cli.backup",
    "restore": "stoker.cli.restore",
    "run-example": "stoker.cli.run_example",
}


class _Commands(click.Group):
    """Imports a command only when it is used, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        module = _COMMANDS.get(cmd_name)
        return None if module is None else importlib.import_module(module).command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(version("stoker"))
def stoker(debug: bool) -> None:  # noqa: FBT001
    """A container build service that you host yourself.

    `serve`, `doctor`, `config`, `engine`, `ca`, `owner-link`, `reset-password`, `backup` and `restore` are for the
    server's host. All other commands call a server's API, from anywhere.
    """


def main() -> None:
    """Run the command. Unexpected errors are one line too, unless --debug is given."""
    _leave(_exit_code())


def _exit_code() -> int:
    try:
        stoker(prog_name="stoker")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exception(error)
        else:
            write(f"stoker: unexpected {type(error).__name__}: {error}\n        run again with --debug", err=True)
        return 1
    return 0


def _leave(code: int) -> NoReturn:
    """End the process without shutting the interpreter down.

    pyqwest 0.12 has threads that may run Python code at that moment. Then Python 3.11 aborts: one of seven finished
    builds ended with SIGABRT.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
