"""Writes to the terminal. No other module does.

Messages contain texts of builds, projects, people and servers. None of these may control the terminal.
"""

from __future__ import annotations

import json

import click


class Problem(click.ClickException):
    """An error for the user: one line, and a hint what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        # click prints an error after its context has ended
        context = click.get_current_context(silent=True)
        self._debug = context is not None and bool(context.find_root().params.get("debug"))

    def show(self, file: object = None) -> None:
        """Print the line to stderr; with --debug, also where it came from."""
        text = f"stoker: {self.message}".replace("\n", "\n        ")
        if self.hint:
            text = f"{text}\n        {self.hint}"
        write(text, err=True)
        if self._debug:
            import traceback

            write("".join(traceback.format_exception(self)), err=True)


def say(text: str) -> None:
    """Print a line."""
    write(text)


def tell(text: str) -> None:
    """Print a message to stderr. Results go to stdout."""
    write(text, err=True)


def write(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Write a text to stdout or stderr, without control characters."""
    click.echo(printable(text), err=err, nl=nl)


def write_json(document: object) -> None:
    """Write a JSON document to stdout, with control characters escaped (RFC 8259, section 7)."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    click.echo("".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in text))


def printable(text: str) -> str:
    """A text with a mark in place of each control character, and of each one that changes text direction."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def one_line(text: str) -> str:
    """The same in one line, for cells of tables."""
    return printable(" ".join(text.splitlines()))


def _escaped(character: str) -> str:
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]
