"""Which buildctl `stoker build` runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from stoker.cli.terminal import Problem
from stoker.settings.files import settings_file

_PROGRAM = "buildctl"
_FOLDER_VARIABLE = "STOKER_ENGINE_FOLDER"
_URL_VARIABLE = "STOKER_ENGINE_URL"
_CACHE_VARIABLE = "STOKER_CACHE"


def choose_buildctl(config_file: Path | None) -> Path:
    """The buildctl of the engine that a variable names, else the one in PATH, else the one that stoker keeps.

    The first use builds that one, with progress on the terminal. Settings are read only where they can matter: reading
    them takes longer than all else before a build.

    Raises:
        Problem: there is none, and it can't be got.
    """
    folder = os.environ.get(_FOLDER_VARIABLE)
    if folder:
        program = Path(folder).expanduser() / _PROGRAM
        if not os.access(program, os.X_OK):
            raise Problem(f"there is no program {program}", f"correct {_FOLDER_VARIABLE}, or unset it")
        return program
    found = shutil.which(_PROGRAM)
    if found is not None:
        return Path(found)
    if settings_file(os.environ, config_file) is None and not os.environ.get(_URL_VARIABLE):
        kept = _kept()
        if kept is not None:
            return kept
    from stoker.cli.engine import require_buildctl
    from stoker.cli.options import effective_settings

    return require_buildctl(effective_settings(config_file, {}).values)


def _kept() -> Path | None:
    from stoker.engine import EngineUnavailable, default_cache, find_buildctl

    named = os.environ.get(_CACHE_VARIABLE)
    try:
        return find_buildctl(Path(named).expanduser() if named else default_cache())
    except EngineUnavailable as error:
        raise Problem(error.message) from error
