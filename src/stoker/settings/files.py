"""Which file the settings come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_VARIABLE = "STOKER_CONFIG"


class SettingsError(Exception):
    """A setting is wrong; the text says which, where it came from and what would be right."""


def settings_file(environ: Mapping[str, str], given: Path | None) -> Path | None:
    """The file that is given, else the one that STOKER_CONFIG names, else the user's own, if there is one.

    Raises:
        SettingsError: it can't be told whether there is one.
    """
    named = given or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named is not None:
        return named
    base = environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    usual = Path(base) / "stoker" / "stoker.toml"
    try:
        return usual if usual.is_file() else None
    except OSError as error:
        raise SettingsError(f"the settings file {usual} can't be read: {error.strerror}") from error
