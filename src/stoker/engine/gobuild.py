"""Builds the pinned engine or runc with Go."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.engine.child import run
from stoker.engine.failures import failed_command
from stoker.engine.pin import GoModule, Pin, architecture
from stoker.engine.progress import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stoker.engine.child import Finished
    from stoker.engine.progress import Progress
    from stoker.engine.toolchain import Go

ALL_TOOLS = "tool"
"""All programs that a module names as its tools, as the package to compile."""

_LOOK_SECONDS = 0.2
_NOT_OURS = frozenset({"GOROOT", "GOEXPERIMENT", "GODEBUG", "GOTOOLDIR", "GO111MODULE", "GOVCS"})


@dataclass(frozen=True, slots=True)
class GoCommands:
    """Go, set up to build one module.

    ``caches`` is the folder of its caches if the user doesn't use Go; None for the user's own.
    """

    go: Go
    pin: Pin
    temporary: Path
    caches: Path | None
    log: Path

    async def run(self, what: str, *words: str | Path, on_line: Callable[[str], None] | None = None) -> Finished:
        """Run one Go command in the module's folder.

        Raises:
            EngineUnavailable: it failed.
            OSError: it can't be started.
        """
        command: Sequence[str | Path] = (self.go.executable, *words)
        if on_line is None:
            finished = await run(command, cwd=self.pin.folder, env=self._environment(), log=self.log)
        else:
            finished = await run(command, cwd=self.pin.folder, env=self._environment(), log=self.log, on_line=on_line)
        if finished.status != 0:
            raise failed_command(what, finished, self.log)
        return finished

    def _environment(self) -> Mapping[str, str]:
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
        environment |= dict(self.pin.build_settings)
        # GOFLAGS must not be empty: that would let the one of the user's Go settings in.
        environment |= {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-buildvcs=false", "GOARCH": architecture()}
        environment |= {"GOTMPDIR": str(self.temporary), "TMPDIR": str(self.temporary)}
        if self.caches is not None:
            # Modules are read-only by default, and then nobody but root could remove the caches.
            environment["GOFLAGS"] = "-modcacherw"
            environment["GOPATH"] = str(self.caches / "path")
            environment["GOMODCACHE"] = str(self.caches / "modules")
            environment["GOCACHE"] = str(self.caches / "compiled")
        return environment


async def build_engine(
    commands: GoCommands,
    output: Path,
    progress: Progress,
    downloading: Phase = Phase.MODULES,
    compiling: Phase = Phase.COMPILING,
    package: str = ALL_TOOLS,
) -> None:
    """Download the modules and compile ``package`` into ``output``, and report these two phases.

    Go's caches are used.

    Raises:
        EngineUnavailable: it failed; the message says what to do.
        OSError: the disk refuses.
    """
    if commands.pin.modules:
        await _download(commands, progress, downloading)
    await _compile(commands, output, progress, compiling, package)


async def _download(commands: GoCommands, progress: Progress, phase: Phase) -> None:
    what = str(phase)
    cache = Path((await commands.run(what, "env", "GOMODCACHE")).tail[-1])
    looking = asyncio.create_task(_watch(cache, commands.pin.modules, progress, phase))
    try:
        await commands.run(what, "mod", "download", "-x")
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
    progress.report(phase, len(commands.pin.modules), len(commands.pin.modules))


async def _watch(cache: Path, modules: tuple[GoModule, ...], progress: Progress, phase: Phase) -> None:
    """Report how many modules are complete; Go writes ``.ziphash`` for each with the right hash."""
    missing = {_hash_file(cache, module) for module in modules}
    while True:
        missing = {path for path in missing if not path.exists()}
        progress.report(phase, len(modules) - len(missing), len(modules))
        await asyncio.sleep(_LOOK_SECONDS)


def _hash_file(cache: Path, module: GoModule) -> Path:
    path, version = (
        "".join(f"!{letter.lower()}" if letter.isupper() else letter for letter in text)
        for text in (module.path, module.version)
    )
    return cache / "cache" / "download" / path / "@v" / f"{version}.ziphash"


async def _compile(commands: GoCommands, output: Path, progress: Progress, phase: Phase, package: str) -> None:
    what = str(phase)
    flags = commands.pin.build_flags
    packages: set[str] = set()
    pending: set[str] = set()

    def listed(line: str) -> None:
        name, _, stale = line.partition(" ")
        if stale in ("true", "false"):
            packages.add(name)
        if stale == "true":
            pending.add(name)

    def started(line: str) -> None:
        # -v names a package when its compilation starts, so the last one is not done before Go has ended.
        if line in pending:
            pending.discard(line)
            progress.report(phase, len(packages) - len(pending) - 1, len(packages))

    await commands.run(what, "list", "-deps", "-f", "{{.ImportPath}} {{.Stale}}", *flags, package, on_line=listed)
    progress.report(phase, len(packages) - len(pending), len(packages))
    await commands.run(what, "build", "-v", *flags, "-o", f"{output}/", package, on_line=started)
    progress.report(phase, len(packages), len(packages))
