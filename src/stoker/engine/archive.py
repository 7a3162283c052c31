"""Gets the engine from a release archive that the operator names with its SHA-256."""

from __future__ import annotations

import asyncio
import re
import shutil
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput
from stoker.engine.failures import EngineUnavailable
from stoker.engine.installed import BINARIES, file_sha256
from stoker.engine.progress import Phase

if TYPE_CHECKING:
    from pathlib import Path

    from pyqwest import Client

    from stoker.engine.progress import Progress

_MAX_BYTES = 1024**3
_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.25
_READ_SECONDS = 60.0
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Archive:
    """A `buildkit-VERSION.linux-ARCH.tar.gz`, and the SHA-256 (hexadecimal) that it must have."""

    url: str
    sha256: str

    def __post_init__(self) -> None:
        """Check both.

        Raises:
            InvalidInput: one is wrong.
        """
        if not re.match(r"https?://[^\s/]", self.url):
            raise InvalidInput("the engine archive's URL must start with https:// or http://")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise InvalidInput("the engine archive's SHA-256 must be 64 digits from 0-9 and a-f")


class _Interrupted(Exception):
    """The download was interrupted; the part so far is kept."""


async def fetch_archive(archive: Archive, part: Path, progress: Progress) -> None:
    """Download into ``part``, resuming from its end, and verify the SHA-256.

    Raises:
        EngineUnavailable: it can't be downloaded, or has another SHA-256.
        OSError: the disk can't be written.
    """
    resumed = part.exists() and part.stat().st_size > 0
    await _download(archive, part, progress)
    if await _matches(part, archive.sha256, remove=resumed):
        return
    if resumed:  # the first part may be of another file of that name
        await _download(archive, part, progress)
        if await _matches(part, archive.sha256, remove=False):
            return
    found = await asyncio.to_thread(file_sha256, part)
    part.unlink()
    raise EngineUnavailable(
        f"{archive.url} has SHA-256 {found}, not {archive.sha256} as the settings say; correct one of them"
    )


async def _matches(part: Path, sha256: str, *, remove: bool) -> bool:
    matches = await asyncio.to_thread(file_sha256, part) == sha256
    if remove and not matches:
        part.unlink()
    return matches


async def _download(archive: Archive, part: Path, progress: Progress) -> None:
    from pyqwest import Client, HTTPTransport  # slow to import, and seldom needed

    # A compressed transfer could not be resumed.
    transport = HTTPTransport(
        tls_include_system_certs=True,
        read_timeout=_READ_SECONDS,
        enable_gzip=False,
        enable_brotli=False,
        enable_zstd=False,
        enable_otel=False,
    )
    failures = 0
    async with transport:
        client = Client(transport)
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                await _transfer(client, archive.url, part, progress)
            except _Interrupted as interruption:
                came_further = part.exists() and part.stat().st_size > before
                failures = 1 if came_further else failures + 1
                if failures >= _ATTEMPTS:
                    raise EngineUnavailable(
                        f"{archive.url} can't be downloaded ({interruption}); check the connection and run it again, "
                        "it goes on from here"
                    ) from interruption
                await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
            else:
                return


async def _transfer(client: Client, url: str, part: Path, progress: Progress) -> None:
    """One request for the rest.

    Raises:
        _Interrupted: it was interrupted, or the server can't answer now.
        EngineUnavailable: a retry can't help.
    """
    from pyqwest import ReadError, RemoteProtocolError

    have = part.stat().st_size if part.exists() else 0
    headers = {"accept-encoding": "identity"} | ({"range": f"bytes={have}-"} if have else {})
    try:
        async with client.stream("GET", url, headers=headers) as response:
            have, total = _position(url, response.status, have, dict(response.headers.items()))
            with part.open("r+b" if have else "wb") as file:
                file.truncate(have)
                file.seek(have)
                progress.report(Phase.ARCHIVE, have, total)
                if response.status != 416:
                    async for chunk in response.content:
                        have += file.write(chunk)
                        if have > _MAX_BYTES:
                            raise EngineUnavailable(_too_large(url))
                        progress.report(Phase.ARCHIVE, have, total)
    except (ConnectionError, TimeoutError, ReadError, RemoteProtocolError) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error
    if total is not None and have < total:
        raise _Interrupted(f"it ended after {have} of {total} bytes")


def _position(url: str, status: int, have: int, headers: dict[str, str]) -> tuple[int, int | None]:
    """The first byte of the answer, and the total number of bytes."""
    if status in _TRY_AGAIN:
        raise _Interrupted(f"the server answered {status}")
    ranges = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    total: int | None
    if status == 200:
        length = headers.get("content-length", "")
        start, total = 0, int(length) if length.isdigit() else None
    elif status == 206 and ranges is not None and ranges[1] == str(have):
        start, total = have, int(ranges[2])
    elif status == 416:
        # Complete already; or too long, and then it was another file.
        total = int(ranges[2]) if ranges is not None else have
        start = min(have, total)
    else:
        raise EngineUnavailable(f"{url} can't be downloaded: the server answered {status}; check the URL")
    if total is not None and total > _MAX_BYTES:
        raise EngineUnavailable(_too_large(url))
    return start, total


def _too_large(url: str) -> str:
    return f"{url} is larger than 1 GiB, so it can't be a BuildKit release; check the URL"


def unpack_archive(archive: Path, output: Path) -> None:
    """Take the two binaries out of a release archive into ``output``.

    Raises:
        EngineUnavailable: it is not such an archive.
        OSError: the disk can't be written.
    """
    wanted = {f"bin/{name}": name for name in BINARIES}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = wanted.pop(member.name.removeprefix("./"), None)
                if name is None:
                    continue
                content = tar.extractfile(member) if member.isfile() and member.size <= _MAX_BYTES else None
                if content is None:
                    raise EngineUnavailable(f"{member.name} in the engine archive is not a plain file; check its URL")
                with content, (output / name).open("wb") as file:
                    shutil.copyfileobj(content, file, 1024 * 1024)
                (output / name).chmod(0o755)
    except (tarfile.TarError, EOFError) as error:
        raise EngineUnavailable("the engine archive is not a gzipped tar file; check its URL and SHA-256") from error
    if wanted:
        raise EngineUnavailable(f"the engine archive has no {' and no '.join(sorted(wanted))}; check its URL")
