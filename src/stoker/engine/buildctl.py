"""Finds or builds buildctl by itself, which is all that a client needs of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.engine.installed import read_engine
from stoker.engine.kept_program import build_program, find_program
from stoker.engine.pin import BUILDKIT, default_module, read_pin
from stoker.engine.progress import Phase

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.engine.progress import Progress

_PROGRAM = "buildctl"
_PACKAGE = f"{BUILDKIT}/cmd/{_PROGRAM}"
_PHASES = (Phase.BUILDCTL_MODULES, Phase.COMPILING_BUILDCTL)


def find_buildctl(cache: Path, *, module: Path | None = None) -> Path | None:
    """The pinned buildctl in ``cache``, by itself or with the whole engine. Fast.

    Args:
        cache: stoker's cache folder (`default_cache`).
        module: the Go module that pins the engine; by default the one that comes with stoker.

    Raises:
        EngineUnavailable: stoker's own files are missing, or this machine's architecture is none that we support.
    """
    pin = read_pin(module or default_module())
    engine = read_engine(cache / "engine" / pin.name)
    return engine.buildctl if engine is not None else find_program(cache / _PROGRAM, pin, _PROGRAM)


async def build_buildctl(cache: Path, progress: Progress, *, module: Path | None = None) -> Path:
    """Build the pinned buildctl with Go, once. One process builds, and others wait.

    Args:
        cache: stoker's cache folder (`default_cache`).
        progress: receives the progress.
        module: the Go module that pins it; by default the one that comes with stoker.

    Raises:
        EngineUnavailable: it can't be built; the message says what to do.
    """
    pin = read_pin(module or default_module())
    return await build_program(cache / _PROGRAM, pin, _PROGRAM, _PHASES, progress, _PACKAGE)
