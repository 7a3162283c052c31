"""Flags for settings, the same for all commands that take them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from stoker.cli.terminal import Problem, tell
from stoker.settings.effective import SETTINGS, Setting
from stoker.settings.files import SettingsError
from stoker.settings.loading import LoadedSettings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorated = TypeVar("Decorated", bound=Callable[..., object])


def setting_flags(*names: str) -> Callable[[Decorated], Decorated]:
    """Add ``--config`` and a flag for each named setting; their help is the setting's description."""

    def decorate(function: Decorated) -> Decorated:
        for name in reversed(names):
            setting = SETTINGS[name]
            is_flag = setting.field.annotation is bool
            # Without a default: a flag that isn't given must not override other sources.
            function = click.option(
                f"--{name.replace('_', '-')}",
                name,
                help=setting.description,
                is_flag=is_flag,
                default=None,
                metavar=None if is_flag else _kind(setting),
                show_default=_shown_default(setting),
            )(function)
        path = click.Path(path_type=Path, dir_okay=False)
        return click.option("--config", "config_file", type=path, help="TOML file with settings.")(function)

    return decorate


def _kind(setting: Setting) -> str:
    """What a flag takes."""
    first = setting.description.split()[0]
    if first in {"HOST:PORT", "URL"}:
        return first
    return "PATH" if "Path" in str(setting.field.annotation) else "TEXT"


def _shown_default(setting: Setting) -> str | bool:
    default = setting.default
    return str(default) if default not in {None, "", False} else False


def effective_settings(config_file: Path | None, flags: dict[str, object]) -> LoadedSettings:
    """The settings from flags, environment and file.

    Raises:
        Problem: one of them is wrong.
    """
    try:
        loaded = load_settings(flags, os.environ, config_file)
    except SettingsError as error:
        raise Problem(str(error), "nothing was started; `stoker config --describe` says what a setting is") from error
    for warning in loaded.warnings:
        tell(f"stoker: {warning}")
    return loaded
