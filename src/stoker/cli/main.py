"""The `stoker` command."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import NoReturn

import click

from stoker.cli.terminal import write


@dataclass(frozen=True, slots=True)
class _Entry:
    """A command in the list of all: its module, and the first sentence of its help, so that a list imports nothing."""

    module: str
    summary: str


_GROUPS = {
    "Build": {
        "build": _Entry("build", "Build PATH on a machine of your project."),
        "buildx": _Entry("buildx", "Set up a remote builder for `docker buildx`."),
        "builds": _Entry("builds", "Builds of a project."),
        "cache": _Entry("cache", "Layer caches, one for each project and platform."),
        "queue": _Entry("queue", "Show the builds that wait for a machine."),
    },
    "Log in": {
        "login": _Entry("login", "Log in to a server."),
        "logout": _Entry("logout", "End a login."),
        "whoami": _Entry("whoami", "Show the server, who you are there, and your roles."),
    },
    "Manage": {
        "projects": _Entry("projects", "Projects, each with its own cache."),
        "tokens": _Entry("tokens", "Tokens of an organization or a project."),
        "policies": _Entry("policies", "Trust policies: whose CI may build in a project."),
        "webhooks": _Entry("webhooks", "Webhooks: messages when builds of a project end."),
        "organizations": _Entry("organizations", "Organizations, which own projects and tokens."),
        "members": _Entry("members", "Members of an organization, and their roles."),
        "invitations": _Entry("invitations", "Open invitations to an organization."),
        "machines": _Entry("machines", "Show machines, their caches and last errors."),
        "usage": _Entry("usage", "Show the usage of an organization or a project."),
        "audit": _Entry("audit", "Show the audit log of an organization."),
    },
    "Run a server, on its host": {
        "serve": _Entry("serve", "Start the API, the gateway and the fleet."),
        "doctor": _Entry("doctor", "Check what this host lacks for a server."),
        "config": _Entry("config", "Print the settings, and where each comes from."),
        "engine": _Entry("engine", "Show the engine, BuildKit, and the container runtime."),
        "ca": _Entry("ca", "Print the server's certificate authority."),
        "owner-link": _Entry("owner_link", "Print a link to become an owner."),
        "reset-password": _Entry("reset_password", "Set a new password for EMAIL."),
        "backup": _Entry("backup", "Back the server up to FILE, which must not exist yet."),
        "restore": _Entry(
            "restore", "Restore the backup FILE into the data folder, which must be empty or not exist yet."
        ),
        "run-example": _Entry("run_example", "Start a server and build an example."),
    },
}
# What people try, and where it is.
_ELSEWHERE = {
    "cancel": "builds cancel",
    "help": "--help",
    "logs": "builds logs",
    "open": "builds open",
    "ps": "builds list",
    "share": "builds share",
    "show": "builds show",
    "status": "builds show",
    "version": "--version",
    "watch": "builds watch",
}
_COMMANDS = {name: entry for group in _GROUPS.values() for name, entry in group.items()}
_PACKAGE = "stoker.cli"


class _Commands(click.Group):
    """Imports a command only when it is used, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        entry = _COMMANDS.get(cmd_name)
        return None if entry is None else importlib.import_module(f"{_PACKAGE}.{entry.module}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; for an unknown one, the error names those that are like it."""
        name = args[0]
        if name in _COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if name in _ELSEWHERE:
            raise click.UsageError(f"No such command '{name}'. Did you mean 'stoker {_ELSEWHERE[name]}'?", ctx)
        raise click.exceptions.NoSuchCommand(name, possibilities=_COMMANDS, ctx=ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, by what they are for."""
        width = max(map(len, _COMMANDS))
        for title, group in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), entry.summary) for name, entry in group.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="stoker")
def stoker(debug: bool) -> None:  # noqa: FBT001
    """A container build service that you host yourself.

    All commands but those for a server's host call a server's API, from anywhere.
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
            import traceback

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
