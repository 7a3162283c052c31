"""Asks before a command destroys something."""

from __future__ import annotations

import sys

import click

from stoker.cli.terminal import Problem, printable

yes_flag = click.option("--yes", "-y", is_flag=True, help="Don't ask.")


def confirm(what: str, *, yes: bool) -> None:
    """Continue if a person answers yes to "``what``?", or gave ``--yes``.

    Raises:
        Problem: they don't, or nobody can be asked.
    """
    if yes:
        return
    _require_a_person()
    if not click.confirm(f"{printable(what)}?", err=True):
        raise Problem("nothing was done")


def confirm_by_name(what: str, name: str, *, yes: bool) -> None:
    """Say ``what`` is going to happen, and continue if a person types ``name``, or gave ``--yes``.

    Raises:
        Problem: they don't, or nobody can be asked.
    """
    if yes:
        return
    _require_a_person()
    typed: str = click.prompt(f"{printable(what)}. Type its name to go on", default="", show_default=False, err=True)
    if typed.strip() != name:
        raise Problem("that is not its name; nothing was done")


def _require_a_person() -> None:
    if not sys.stdin.isatty():
        raise Problem("nobody can be asked here, so nothing was done", "say --yes to do it without a question")
