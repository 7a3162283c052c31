"""What the command says to a person: the only place that writes to the terminal.

What it says holds texts of others: of builds, projects, people and servers. None of them may steer the terminal.
"""

from __future__ import annotations

import json
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
        write(text, err=True)
        if self._debug:
            write("".join(traceback.format_exception(self)), err=True)


def say(text: str) -> None:
    """Print a line."""
    write(text)


def tell(text: str) -> None:
    """Say something that isn't what was asked for."""
    write(text, err=True)


def write(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Write a text to stdout or stderr, without what a terminal would obey."""
    click.echo(printable(text), err=err, nl=nl)


def write_json(document: object) -> None:
    """Write a JSON document to stdout. What a terminal would obey is escaped as JSON does it (RFC 8259, section 7)."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    click.echo("".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in text))


def printable(text: str) -> str:
    """A text with a mark in place of each character that steers a terminal or turns the direction of text around."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def one_line(text: str) -> str:
    """The same in one line, for what stands beside other things."""
    return printable(" ".join(text.splitlines()))


def _escaped(character: str) -> str:
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]
