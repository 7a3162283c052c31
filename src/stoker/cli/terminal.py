"""What the command says to a person."""

from __future__ import annotations

import sys
import traceback

import click


class Problem(click.ClickException):
    """One line for the user, and a hint at what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        # click shows an error when its context is gone.
        context = click.get_current_context(silent=True)
        self._debug = context is not None and bool(context.find_root().params.get("debug"))

    def show(self, file: object = None) -> None:
        """Print the line to stderr; with --debug, also where it came from."""
        text = f"stoker: {self.message}"
        if self.hint:
            text = f"{text}\n        {self.hint}"
        click.echo(text, err=True)
        if self._debug:
            traceback.print_exception(self, file=sys.stderr)


def say(text: str) -> None:
    """Print a line."""
    click.echo(text)
