"""Finds a container runtime without known holes, or builds one: the host's, or runc from its Go module.

Distributions ship old versions, and some don't patch them.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.engine.failures import EngineUnavailable
from stoker.engine.kept_program import build_program, find_program
from stoker.engine.pin import default_runc_module, read_runc_pin
from stoker.engine.progress import Phase
from stoker.engine.runtime_versions import RuntimeVersion, runtime_version

if TYPE_CHECKING:
    from stoker.engine.progress import Progress

_ANSWER_SECONDS = 20.0
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAM = "runc"
_PHASES = (Phase.RUNC_MODULES, Phase.COMPILING_RUNC)
# What Debian and Ubuntu call them.
_BUILD_PACKAGES = "gcc, libc6-dev, pkg-config and libseccomp-dev"


class RuntimeOrigin(StrEnum):
    """Where a container runtime comes from; the value is meant for people."""

    HOST = "this host's"
    BUILT = "built here"
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class ContainerRuntime:
    """A container runtime that can be used."""

    program: Path
    version: RuntimeVersion
    origin: RuntimeOrigin


def host_runtimes() -> tuple[ContainerRuntime, ...]:
    """The host's runtimes, with or without known holes."""
    found: list[ContainerRuntime] = []
    for name in ("runc", "crun"):
        path = shutil.which(name) or shutil.which(name, path=_SYSTEM_FOLDERS)
        version = None if path is None else _version(Path(path))
        if path is not None and version is not None:
            found.append(ContainerRuntime(Path(path), version, RuntimeOrigin.HOST))
    return tuple(found)


def find_container_runtime(cache: Path, *, given: Path | None = None, module: Path | None = None) -> ContainerRuntime:
    """The container runtime to use. Takes some milliseconds.

    Args:
        cache: stoker's cache folder (`default_cache`).
        given: the operator's own, whose version is not checked.
        module: the Go module that pins runc; by default the one that comes with stoker.

    Raises:
        NotBuiltYet: there is none; `build_runc` makes one.
        EngineUnavailable: the given one is not a container runtime, or stoker's own files are missing.
    """
    if given is not None:
        version = _version(given)
        if version is None:
            raise EngineUnavailable(f"{given} says no version of runc or crun; give one that does")
        return ContainerRuntime(given, version, RuntimeOrigin.GIVEN)
    hosts = host_runtimes()
    for runtime in hosts:
        if not runtime.version.holes:
            return runtime
    program = find_program(_home(cache), read_runc_pin(module or default_runc_module()), _PROGRAM)
    version = None if program is None else _version(program)
    if program is None or version is None:
        raise NotBuiltYet(hosts[0].version if hosts else None)
    return ContainerRuntime(program, version, RuntimeOrigin.BUILT)


class NotBuiltYet(Exception):
    """No container runtime without known holes exists yet. ``found`` is what this host has, if anything."""

    def __init__(self, found: RuntimeVersion | None) -> None:
        super().__init__(found)
        self.found = found

    @property
    def why(self) -> str:
        """The reason, for people."""
        if self.found is None:
            return "this host has neither runc nor crun"
        return f"this host's {self.found.name} has known holes ({', '.join(self.found.holes)})"


def lacking_to_build() -> str | None:
    """What this host lacks to build runc, with advice; None if it can be built."""
    tools = [name for name in ("cc", "pkg-config") if shutil.which(name) is None]
    if not tools:
        asked = subprocess.run(["pkg-config", "--exists", "libseccomp"], check=False, capture_output=True)
        tools = [] if asked.returncode == 0 else ["the headers of libseccomp"]
    return f"no {' and no '.join(tools)} to build runc with; install {_BUILD_PACKAGES}" if tools else None


async def build_runc(cache: Path, progress: Progress, *, module: Path | None = None) -> ContainerRuntime:
    """Build the pinned runc with Go, once for all servers. One process builds, and others wait.

    Args:
        cache: stoker's cache folder (`default_cache`).
        progress: receives the progress.
        module: the Go module that pins it; by default the one that comes with stoker.

    Raises:
        EngineUnavailable: it can't be built; the message says what to do.
    """
    lacking = lacking_to_build()
    if lacking is not None:
        raise EngineUnavailable(lacking)
    pin = read_runc_pin(module or default_runc_module())
    program = await build_program(_home(cache), pin, _PROGRAM, _PHASES, progress)
    version = _version(program)
    if version is None:
        raise EngineUnavailable(f"{program.parent} says no version of runc; remove it and run this again")
    return ContainerRuntime(program, version, RuntimeOrigin.BUILT)


def _home(cache: Path) -> Path:
    return cache / "container-runtime"


def _version(program: Path) -> RuntimeVersion | None:
    try:
        said = subprocess.run(
            [program, "--version"], check=False, capture_output=True, text=True, timeout=_ANSWER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return runtime_version(said.stdout)
