"""Where settings come from, and which one counts.

A flag on the command line counts before the environment (``STOKER_<NAME>``), that before the TOML file, that before
the default.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from stoker.settings.effective import SETTINGS, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENVIRONMENT_PREFIX = "STOKER_"
_CONFIG_VARIABLE = "STOKER_CONFIG"
# Old names are read for one release.
_RENAMED = {"forget_seconds": "cleanup_seconds"}
_ALIKE = 0.8
_LISTS = frozenset({"regions", "allowed_networks", "denied_networks", "name_servers"})  # commas in the environment


class SettingsError(Exception):
    """A setting is wrong; the text says which, where it came from and what would be right."""


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The effective settings.

    Attributes:
        values: the settings.
        sources: where each of them comes from.
        warnings: old names that were read, and variables that look like a mistyped setting.
    """

    values: Settings
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def load_settings(flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None = None) -> LoadedSettings:
    """Put the settings together.

    Args:
        flags: from the command line; None means not given.
        environ: the environment.
        file: the TOML file; without one, STOKER_CONFIG or the user's own, if there is any.

    Raises:
        SettingsError: a value is wrong, or a name is unknown.
    """
    values: dict[str, Any] = {}
    warnings: list[str] = []
    sources = dict.fromkeys(SETTINGS, "default")
    path = _settings_file(environ, file)
    if path is not None:
        given = _read_file(path)
        warnings += [_renamed(f"{old} in {path}", new) for old, new in _RENAMED.items() if old in given]
        for name, value in _with_regions(_with_new_names(given)).items():
            if name not in SETTINGS:
                raise SettingsError(
                    f'{path}: there is no setting "{name}"{_hint(name)}; `stoker config` lists them all'
                )
            values[name], sources[name] = value, str(path)
    warnings += [_renamed(_variable(old), _variable(new)) for old, new in _RENAMED.items() if _variable(old) in environ]
    warnings += _mistyped(environ)
    old_names = {new: old for old, new in _RENAMED.items()}
    for name in SETTINGS:
        variable = _variable(name)
        if variable not in environ and name in old_names:
            variable = _variable(old_names[name])
        if variable in environ:
            text = environ[variable]
            values[name] = [part.strip() for part in text.split(",") if part.strip()] if name in _LISTS else text
            sources[name] = variable
        if flags.get(name) is not None:
            values[name], sources[name] = flags[name], f"--{name.replace('_', '-')}"
    try:
        return LoadedSettings(Settings.of(values), sources, tuple(warnings))
    except ValidationError as error:
        # A value that is wrong says more than one that is missing.
        first = min(error.errors(), key=lambda one: one["type"].startswith("missing"))
        reason = str(first["msg"]).removeprefix("Value error, ")
        # What concerns several settings of a group names them itself; otherwise the group comes before the setting.
        if len(first["loc"]) < 2:
            raise SettingsError(reason) from error
        _, name, *inside = (str(part) for part in first["loc"])
        place = ": ".join([f"{name} (from {sources.get(name, 'unknown')})", *inside])
        raise SettingsError(f"{place}: {reason}") from error


def _variable(name: str) -> str:
    return _ENVIRONMENT_PREFIX + name.upper()


def _renamed(old: str, new: str) -> str:
    return f"{old} is called {new} now; the next release no longer reads the old name"


def _with_new_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given by an old name is there by the new one, unless that is there too."""
    renamed = {new: given[old] for old, new in _RENAMED.items() if old in given}
    return renamed | {name: value for name, value in given.items() if name not in _RENAMED}


def _with_regions(given: Mapping[str, Any]) -> dict[str, Any]:
    """Tables ``[regions.NAME]`` name the regions, and hold what runs each."""
    tables = given.get("regions")
    if not isinstance(tables, dict):
        return dict(given)
    return {**given, "regions": list(tables), "region_runtimes": tables}  # pyright: ignore[reportUnknownArgumentType]


def _nearest(name: str) -> str | None:
    return next(iter(get_close_matches(name, SETTINGS, n=1, cutoff=_ALIKE)), None)


def _hint(name: str) -> str:
    nearest = _nearest(name)
    return f', but there is "{nearest}"' if nearest else ""


def _mistyped(environ: Mapping[str, str]) -> list[str]:
    """Variables that are no setting, but look like one.

    Others may well be meant for something else: Kubernetes, for one, sets STOKER_PORT for a service of that name.
    """
    known = {_variable(name) for name in (*SETTINGS, *_RENAMED)} | {_CONFIG_VARIABLE}
    found: list[str] = []
    for variable in sorted(environ.keys() - known):
        nearest = _nearest(variable.removeprefix(_ENVIRONMENT_PREFIX).lower())
        if variable.startswith(_ENVIRONMENT_PREFIX) and nearest is not None:
            found.append(f"{variable} is no setting; did you mean {_variable(nearest)}?")
    return found


def _settings_file(environ: Mapping[str, str], given: Path | None) -> Path | None:
    named = given or (Path(environ[_CONFIG_VARIABLE]) if environ.get(_CONFIG_VARIABLE) else None)
    if named is not None:
        return named
    base = environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    usual = Path(base) / "stoker" / "stoker.toml"
    try:
        return usual if usual.is_file() else None
    except OSError as error:
        raise SettingsError(f"the settings file {usual} can't be read: {error.strerror}") from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"the settings file {path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
