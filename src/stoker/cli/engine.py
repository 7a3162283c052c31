"""`stoker engine`: which BuildKit and which container runtime the server uses, and where they came from."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Self

import click

from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.terminal import Problem, say, tell, write
from stoker.engine import (
    Archive,
    ContainerRuntime,
    Engine,
    EngineCorrupt,
    EngineUnavailable,
    NotBuiltYet,
    Phase,
    build_buildctl,
    build_runc,
    ensure_engine,
    find_buildctl,
    find_container_runtime,
    find_engine,
    given_engine,
    verify_engine,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import TaskID

    from stoker.settings.effective import Settings

_LINE_SECONDS = 5.0


@click.command("engine")
@setting_flags("cache", "engine_folder", "engine_url", "engine_sha256", "container_runtime")
@click.option("--verify", is_flag=True, help="Verify the files with the checksums from their download or build.")
def command(config_file: Path | None, verify: bool, **flags: object) -> None:  # noqa: FBT001
    """Show the engine, BuildKit, and the container runtime.

    Prints version, folder and origin. Downloads or builds them first if needed.
    """
    settings = effective_settings(config_file, flags).values
    engine = require_engine(settings)
    if verify:
        try:
            asyncio.run(verify_engine(engine))
        except EngineCorrupt as error:
            raise Problem(error.message) from error
    say(f"version    BuildKit {engine.version}{' (verified)' if verify else ''}")
    say(f"got        {engine.origin}: {engine.source}")
    say(f"buildkitd  {engine.buildkitd}\n           sha256 {engine.buildkitd_sha256}")
    say(f"buildctl   {engine.buildctl}\n           sha256 {engine.buildctl_sha256}")
    runtime = require_container_runtime(settings)
    holes = f", has known holes: {', '.join(runtime.version.holes)}" if runtime.version.holes else ""
    say(f"runtime    {runtime.version.name}, {runtime.origin}{holes}\n           {runtime.program}")


def require_engine(settings: Settings) -> Engine:
    """The engine that the settings name. The first use downloads or builds it, with progress on the terminal.

    Raises:
        Problem: it can't be downloaded or built.
    """
    try:
        if settings.engine.engine_folder is not None:
            return asyncio.run(given_engine(settings.engine.engine_folder))
        archive = _archive(settings)
        found = find_engine(settings.server.cache, archive=archive)
        if found is not None:
            return found
        with _shown() as progress:
            return asyncio.run(ensure_engine(settings.server.cache, progress, archive=archive))
    except EngineUnavailable as error:
        raise Problem(error.message) from error


def require_buildctl(settings: Settings) -> Path:
    """The buildctl of the engine that the settings name, else buildctl by itself. The first use builds that.

    Raises:
        Problem: it can't be downloaded or built.
    """
    if settings.engine.engine_folder is not None or settings.engine.engine_url:
        return require_engine(settings).buildctl
    try:
        found = find_buildctl(settings.server.cache)
        if found is not None:
            return found
        tell(
            "stoker build needs BuildKit's buildctl, and builds it now, once. With buildctl in PATH it takes that one."
        )
        with _shown() as progress:
            return asyncio.run(build_buildctl(settings.server.cache, progress))
    except EngineUnavailable as error:
        raise Problem(error.message, "or put BuildKit's buildctl into PATH") from error


def require_container_runtime(settings: Settings) -> ContainerRuntime:
    """The runc or crun that runs steps. The first use builds one if the host's has known holes.

    Raises:
        Problem: it can't be downloaded or built.
    """
    try:
        return find_container_runtime(settings.server.cache, given=settings.engine.container_runtime)
    except NotBuiltYet as none:
        try:
            with _shown() as progress:
                return asyncio.run(build_runc(settings.server.cache, progress))
        except EngineUnavailable as error:
            raise Problem(f"{none.why}: {error.message}") from error
    except EngineUnavailable as error:
        raise Problem(error.message) from error


def _archive(settings: Settings) -> Archive | None:
    if not settings.engine.engine_url:
        return None
    if not settings.engine.engine_sha256:
        raise Problem("engine_url needs engine_sha256", "give the SHA-256 of the archive, so that it can be verified")
    return Archive(url=settings.engine.engine_url, sha256=settings.engine.engine_sha256)


def _shown() -> _Bars | _Lines:
    return _Bars() if sys.stderr.isatty() else _Lines()


class _Bars:
    """A progress bar for each phase, on a terminal."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*columns, TimeElapsedColumn())
        self._tasks: dict[Phase, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def report(self, phase: Phase, done: int, total: int | None) -> None:
        """Move the phase's bar."""
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(phase.value, total=total)
        self._progress.update(self._tasks[phase], completed=done, total=total)


class _Lines:
    """A line every few seconds, where there is no terminal."""

    def __init__(self) -> None:
        self._phase: Phase | None = None
        self._said = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def report(self, phase: Phase, done: int, total: int | None) -> None:
        """Print a line for a new phase, and every few seconds."""
        now = time.monotonic()
        if phase is self._phase and now - self._said < _LINE_SECONDS:
            return
        self._phase, self._said = phase, now
        counted = f": {done} of {total} {phase.unit}" if total else ""
        write(f"{phase.value}{counted}", err=True)
