"""An engine on disk: two binaries, and `engine.json` with their checksums."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from stoker.engine.failures import EngineCorrupt

if TYPE_CHECKING:
    from pathlib import Path

BINARIES = ("buildkitd", "buildctl")
RECORD = "engine.json"


class Origin(StrEnum):
    """The origin of an engine."""

    BUILT = "built"
    ARCHIVE = "archive"
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Engine:
    """A usable engine.

    ``source`` says more about ``origin``: the Go that built it, the archive's URL, or the folder that was given.
    """

    version: str
    buildkitd: Path
    buildctl: Path
    origin: Origin
    source: str
    buildkitd_sha256: str
    buildctl_sha256: str


@dataclass(frozen=True, slots=True)
class BinaryRecord:
    """The record of a file: ``size`` in bytes, ``mtime_ns`` in nanoseconds since 1970."""

    sha256: str
    size: int
    mtime_ns: int


def read_engine(folder: Path) -> Engine | None:
    """The engine in ``folder``; None when there is none, or its files differ in size or time from the record."""
    try:
        record: object = json.loads((folder / RECORD).read_bytes())
        if not isinstance(record, dict):
            return None
        fields = cast("dict[str, object]", record)
        binaries = {name: _binary_record(fields.get(name)) for name in BINARIES}
        for name, binary in binaries.items():
            found = (folder / name).stat()
            if (found.st_size, found.st_mtime_ns) != (binary.size, binary.mtime_ns):
                return None
        return Engine(
            version=str(fields["version"]),
            buildkitd=folder / "buildkitd",
            buildctl=folder / "buildctl",
            origin=Origin(str(fields["origin"])),
            source=str(fields["source"]),
            buildkitd_sha256=binaries["buildkitd"].sha256,
            buildctl_sha256=binaries["buildctl"].sha256,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _binary_record(value: object) -> BinaryRecord:
    if not isinstance(value, dict):
        raise TypeError("not a record of a binary")
    fields = cast("dict[str, object]", value)
    return BinaryRecord(str(fields["sha256"]), int(str(fields["size"])), int(str(fields["mtime_ns"])))


def write_record(folder: Path, *, version: str, origin: Origin, source: str) -> None:
    """Write `engine.json` for the two binaries in ``folder``, and everything there to disk.

    Raises:
        OSError: it can't be written.
    """
    for name in BINARIES:
        (folder / name).chmod(0o755)
        _sync(folder / name)
    binaries = {name: asdict(_measured(folder / name)) for name in BINARIES}
    record = {"version": version, "origin": str(origin), "source": source, **binaries}
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")
    _sync(folder / RECORD)
    _sync(folder)


def _measured(path: Path) -> BinaryRecord:
    found = path.stat()
    return BinaryRecord(file_sha256(path), found.st_size, found.st_mtime_ns)


def put_in_place(folder: Path, target: Path, aside: Path) -> None:
    """Move a finished ``folder`` to ``target`` in one step; what was there goes to ``aside`` first.

    Raises:
        OSError: it can't be moved.
    """
    if target.exists():
        target.rename(aside)
    folder.rename(target)
    _sync(target.parent)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def verify_engine(engine: Engine) -> None:
    """Compare both binaries with their recorded SHA-256.

    Raises:
        EngineCorrupt: one is missing or differs.
    """
    for path, wanted in ((engine.buildkitd, engine.buildkitd_sha256), (engine.buildctl, engine.buildctl_sha256)):
        try:
            found = await asyncio.to_thread(file_sha256, path)
        except OSError as error:
            raise EngineCorrupt(f"{path} can't be read ({error.strerror}); {_remedy(engine)}") from error
        if found != wanted:
            raise EngineCorrupt(f"{path} has SHA-256 {found}, recorded is {wanted}; {_remedy(engine)}")


def _remedy(engine: Engine) -> str:
    if engine.origin is Origin.GIVEN:
        return "restart stoker if you changed it, and put it back if you didn't"
    return f"remove {engine.buildkitd.parent} and stoker gets it again"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
