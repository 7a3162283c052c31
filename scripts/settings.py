"""Prints docs/settings.md, from the settings' own descriptions: what `stoker config` explains too."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Defaults are under the home folder of whoever runs a server.
os.environ |= {"XDG_DATA_HOME": "~/.local/share", "XDG_CACHE_HOME": "~/.cache"}

from annotated_types import Ge, Gt, Le, Lt

from stoker.settings.effective import GROUPS, SETTINGS, Setting, title_of

_HEAD = """# Settings

<!-- Written by `make generate` from src/stoker/settings/; change the descriptions there. -->

Every setting can be given in the settings file by its name, and in the environment in capitals after `STOKER_`:
`idle_seconds = 60` and `STOKER_IDLE_SECONDS=60` are the same. The environment counts before the file, and a flag of a
command before both. The settings file is TOML: the one that `--config` or `STOKER_CONFIG` names, or else
`~/.config/stoker/stoker.toml`. In the environment, lists are separated by commas. `stoker config` prints what is in
effect, and where each value comes from. [limits.md](limits.md) says what happens beyond a limit.
"""
_WORDS = {Ge: "at least", Gt: "more than", Le: "at most", Lt: "less than"}


def main() -> None:
    """Print the page."""
    sys.stdout.write("\n".join([_HEAD, *(_section(group) for group in GROUPS)]))


def _section(group: str) -> str:
    rows = [
        f"| `{setting.name}` | {_default(setting)} | {_allowed(setting)} | {setting.description} |"
        for setting in SETTINGS.values()
        if setting.group == group
    ]
    head = "| setting | default | allowed | what it is |\n|---|---|---|---|"
    return "\n".join([f"## {title_of(group)}\n\n{GROUPS[group].__doc__}\n", head, *rows, ""])


def _default(setting: Setting) -> str:
    value = setting.default
    if isinstance(value, Path):
        return f"`{value}`"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, tuple | list):
        return ", ".join(f"`{part}`" for part in value) or "none"
    if value is None or value in ("", {}):
        return "none"
    return f"`{_number(value) if isinstance(value, int | float) else value}`"


def _allowed(setting: Setting) -> str:
    bounds = setting.field.metadata
    found = [f"{_WORDS[type(bound)]} {_number(_limit(bound))}" for bound in bounds if type(bound) in _WORDS]
    options = getattr(setting.field.annotation, "__args__", ())
    words = [f"`{option}`" for option in options if isinstance(option, str) and option]
    return ", ".join(found or words)


def _limit(bound: object) -> object:
    return next(getattr(bound, name) for name in ("ge", "gt", "le", "lt") if hasattr(bound, name))


def _number(value: object) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main()
