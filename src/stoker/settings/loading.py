"""Where settings come from, and which one counts.

A flag on the command line counts before the environment (``STOKER_<NAME>``), that before the TOML file, that before
the default.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from stoker.settings.effective import SETTINGS, Settings
from stoker.settings.files import CONFIG_VARIABLE, SettingsError, settings_file
from stoker.settings.mistakes import plain_reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

_ENVIRONMENT_PREFIX = "STOKER_"
# Old names are read for one release.
_RENAMED = {"forget_seconds": "cleanup_seconds"}
_ALIKE = 0.8
# Of scripts/setup.
_OTHERS = frozenset({"STOKER_PYTHON"})
# What Kubernetes sets in every container for a service whose name begins with "stoker".
_OF_KUBERNETES = re.compile(
    r"STOKER_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
_LISTS = frozenset({"regions", "allowed_networks", "denied_networks", "name_servers"})  # commas in the environment


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The effective settings.

    Attributes:
        values: the settings.
        sources: where each of them comes from.
        warnings: old names that were read, and variables that are no setting.
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
    wrong: list[str] = []
    sources = dict.fromkeys(SETTINGS, "default")
    path = settings_file(environ, file)
    if path is not None:
        given = _read_file(path)
        warnings += [_renamed(f"{old} in {path}", new) for old, new in _RENAMED.items() if old in given]
        for name, value in _with_regions(_with_new_names(given)).items():
            if name not in SETTINGS:
                wrong.append(f'{path}: there is no setting "{name}"{_hint(name)}; `stoker config` lists them all')
                continue
            values[name], sources[name] = value, str(path)
    warnings += [_renamed(_variable(old), _variable(new)) for old, new in _RENAMED.items() if _variable(old) in environ]
    warnings += _unknown(environ)
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
        settings = Settings.of(values)
    except ValidationError as error:
        found = error.errors()
        # A value that is wrong says more than one that is missing.
        present = [one for one in found if not one["type"].startswith("missing")] or found
        raise SettingsError("\n".join([*wrong, *(_described(one, sources) for one in present)])) from error
    if wrong:
        raise SettingsError("\n".join(wrong))
    return LoadedSettings(settings, sources, tuple(warnings))


def _described(error: ErrorDetails, sources: Mapping[str, str]) -> str:
    """What is wrong with a setting, and where its value comes from."""
    # What concerns several settings of a group names them itself; otherwise the group comes before the setting.
    if len(error["loc"]) < 2:
        return plain_reason(error)
    _, name, *inside = (str(part) for part in error["loc"])
    place = ": ".join([f"{name} (from {sources.get(name, 'unknown')})", *inside])
    return f"{place}: {plain_reason(error)}"


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


def _unknown(environ: Mapping[str, str]) -> list[str]:
    """Variables that are no setting, and that nobody else makes."""
    known = {_variable(name) for name in (*SETTINGS, *_RENAMED)} | {CONFIG_VARIABLE} | _OTHERS
    found: list[str] = []
    for variable in sorted(environ.keys() - known):
        if not variable.startswith(_ENVIRONMENT_PREFIX) or _OF_KUBERNETES.fullmatch(variable):
            continue
        nearest = _nearest(variable.removeprefix(_ENVIRONMENT_PREFIX).lower())
        hint = f"did you mean {_variable(nearest)}?" if nearest else "`stoker config` lists them all"
        found.append(f"{variable} is no setting; {hint}")
    return found


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"the settings file {path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
