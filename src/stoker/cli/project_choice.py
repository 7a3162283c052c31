"""Which project, or organization, a command is about: by its name or its id, from a flag, a variable, or depot.json."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from stoker.cli.terminal import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Decorated = TypeVar("Decorated", bound=Callable[..., object])

_VARIABLE = "DEPOT_PROJECT_ID"
_MOST_NAMED = 5


def project_or_environment(path: str) -> str:
    """The project that DEPOT_PROJECT_ID names, or a folder's depot.json.

    Raises:
        Problem: neither does.
    """
    named = os.environ.get(_VARIABLE, "")
    if named:
        return named
    with suppress(OSError, ValueError):
        content = json.loads((Path(path) / "depot.json").read_text())
        if isinstance(content, dict) and isinstance(content.get("id"), str):  # pyright: ignore[reportUnknownMemberType]
            return str(content["id"])  # pyright: ignore[reportUnknownArgumentType]
    raise Problem("no project is named", "use --project, DEPOT_PROJECT_ID, or a depot.json with an id")


def project_flag(function: Decorated) -> Decorated:
    """The ``--project`` of commands that need one."""

    def chosen(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
        return value if context.resilient_parsing else value or project_or_environment(".")

    return click.option(
        "--project",
        "project_id",
        callback=chosen,
        help="Name or id of the project. Default: DEPOT_PROJECT_ID, else depot.json.",
    )(function)


def only_id_of(kind: str, named: str, known: Iterable[tuple[str, str]]) -> str:
    """The id of the only one that has a name.

    Args:
        kind: such as "project".
        named: the name.
        known: ids and names of all that there are.

    Raises:
        Problem: none has the name, or several have it.
    """
    found = [id_ for id_, name in known if name == named]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Problem(f'no {kind} is called "{named}"', f"`stoker {kind}s list` lists the {kind}s that you can see")
    ids = ", ".join(found[:_MOST_NAMED])
    raise Problem(f'{len(found)} {kind}s are called "{named}": {ids}', "use the id of the one that you mean")
