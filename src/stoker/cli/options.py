"""Flags for settings, the same for all commands that take them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from stoker.cli.terminal import Problem, tell
from stoker.settings.effective import SETTINGS
from stoker.settings.loading import LoadedSettings, SettingsError, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorated = TypeVar("Decorated", bound=Callable[..., object])


def setting_flags(*names: str) -> Callable[[Decorated], Decorated]:
    """Add ``--config`` and a flag for each named setting; their help is the setting's description."""

    def decorate(function: Decorated) -> Decorated:
        for name in reversed(names):
            flag = f"--{name.replace('_', '-')}"
            field = SETTINGS[name].field
            # Without a default: a flag that isn't given must not override other sources.
            is_flag = field.annotation is bool
            function = click.option(flag, name, help=field.description, is_flag=is_flag, default=None)(function)
        path = click.Path(path_type=Path, dir_okay=False)
        return click.option("--config", "config_file", type=path, help="TOML file with settings.")(function)

    return decorate


def effective_settings(config_file: Path | None, flags: dict[str, object]) -> LoadedSettings:
    """The settings from flags, environment and file.

    Raises:
        Problem: one of them is wrong.
    """
    try:
        loaded = load_settings(flags, os.environ, config_file)
    except SettingsError as error:
        raise Problem(str(error), "`stoker config` prints all settings and where each comes from") from error
    for warning in loaded.warnings:
        tell(f"stoker: {warning}")
    return loaded
