"""The file of a backup: an uncompressed tar archive of a header, the database and the keys.

The header is the first member. It says what follows, with sizes and checksums. Readers accept exactly that: no other
names, no other order, no links, nothing compressed. So no archive can write outside of the folder that it is restored
into, and none takes more space than its own size.
"""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DATABASE = "stoker.db"
KEY_FOLDER = "pki"
KEYS = tuple(
    f"{KEY_FOLDER}/{name}" for name in ("builds.key", "builds.pem", "machines.key", "machines.pem", "webhooks.key")
)
"""Without these a server would not be the same one. All other certificates are issued again."""

CHUNK_BYTES = 1024 * 1024
MAX_FILES = 64
MAX_KEY_BYTES = 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024

_FORMAT = "stoker backup"
_VERSION = 1
_HEADER = "backup.json"
_KEY = re.compile(rf"{KEY_FOLDER}/[a-z0-9][a-z0-9_-]{{0,63}}\.(key|pem)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)
_UNREADABLE = (ValueError, KeyError, TypeError, RecursionError)


class NotABackup(Exception):
    """The file is no backup that can be restored; the text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a backup. ``path`` is relative to the data folder."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup says of itself. ``stoker`` is the version that made it."""

    stoker: str
    made_at: datetime
    members: tuple[Member, ...]

    @property
    def total_bytes(self) -> int:
        """The size of all members together."""
        return sum(member.size for member in self.members)


def is_key(path: str) -> bool:
    """Whether a path in a backup is one of a key or a certificate."""
    return _KEY.fullmatch(path) is not None


def member_of(path: str, content: Iterable[bytes]) -> Member:
    """Describe a file by its content."""
    digest, size = sha256(), 0
    for chunk in content:
        digest.update(chunk)
        size += len(chunk)
    return Member(path, size, digest.hexdigest())


class BackupWriter:
    """Writes a backup, member by member, in the order of its header."""

    def __init__(self, target: BinaryIO, header: Header) -> None:
        self._target = target
        self._made_at = header.made_at
        text = json.dumps(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "stoker": header.stoker,
                "made_at": header.made_at.isoformat(),
                "files": [
                    {"path": member.path, "bytes": member.size, "sha256": member.sha256} for member in header.members
                ],
            },
            indent=1,
        ).encode()
        self._begin(_HEADER, len(text))
        self._target.write(text)
        self._pad(len(text))

    def add(self, member: Member, content: Iterable[bytes]) -> None:
        """Write a member."""
        self._begin(member.path, member.size)
        for chunk in content:
            self._target.write(chunk)
        self._pad(member.size)

    def end(self) -> None:
        """Write the end of the archive."""
        self._target.write(_END)

    def _begin(self, path: str, size: int) -> None:
        info = tarfile.TarInfo(path)
        info.size, info.mode, info.mtime = size, 0o600, int(self._made_at.timestamp())
        self._target.write(info.tobuf(tarfile.GNU_FORMAT))

    def _pad(self, size: int) -> None:
        self._target.write(bytes(-size % _BLOCK))


class BackupReader:
    """Reads a backup from its beginning.

    Raises:
        NotABackup: the file is none, or its version is not known.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        size = self._begin(_HEADER)
        if size is None or size > MAX_HEADER_BYTES:
            raise NotABackup("it is no backup of stoker; if it is compressed, decompress it first")
        self.header = _parse(self._exactly(size))
        self._skip_padding(size)

    def members(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """All members with their contents. Read each content to its end: its checksum is compared there.

        Raises:
            NotABackup: the file is damaged.
        """
        for member in self.header.members:
            if self._begin(member.path) != member.size:
                raise NotABackup(f"it is damaged: where {member.path} should begin is something else")
            yield member, self._content(member)
            self._skip_padding(member.size)
        if self._source.read(len(_END) + 1) != _END:
            raise NotABackup("it is damaged: it does not end where it should")

    def _begin(self, path: str) -> int | None:
        """The size of the next member, if it is a plain file of that name."""
        try:
            info = tarfile.TarInfo.frombuf(self._source.read(_BLOCK), "utf-8", "strict")
        except (tarfile.HeaderError, ValueError):
            return None
        return info.size if info.type == tarfile.REGTYPE and info.name == path and info.size >= 0 else None

    def _content(self, member: Member) -> Iterator[bytes]:
        digest, left = sha256(), member.size
        while left:
            chunk = self._exactly(min(CHUNK_BYTES, left))
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        if digest.hexdigest() != member.sha256:
            raise NotABackup(f"it is damaged: {member.path} has another checksum")

    def _skip_padding(self, size: int) -> None:
        self._exactly(-size % _BLOCK)

    def _exactly(self, size: int) -> bytes:
        content = self._source.read(size)
        if len(content) != size:
            raise NotABackup("it is cut off")
        return content


def _parse(text: bytes) -> Header:
    try:
        content = json.loads(text)
        kind, version, made_by = content["format"], content["version"], str(content["stoker"])
    except _UNREADABLE as error:
        raise NotABackup("its header can't be read") from error
    if kind != _FORMAT:
        raise NotABackup("it is no backup of stoker")
    if version != _VERSION:
        raise NotABackup(f"it was made by stoker {made_by}, and this version can't read it; use that one")
    try:
        made_at = datetime.fromisoformat(content["made_at"])
        files = [(one["path"], one["bytes"], one["sha256"]) for one in content["files"]]
    except _UNREADABLE as error:
        raise NotABackup("its header can't be read") from error
    members = tuple(_member(path, size, checksum) for path, size, checksum in files[: MAX_FILES + 1])
    paths = {member.path for member in members}
    if len(members) > MAX_FILES or len(paths) != len(members):
        raise NotABackup("its header names too many files, or one twice")
    for path in (DATABASE, *KEYS):
        if path not in paths:
            raise NotABackup(f"it lacks {path}")
    return Header(made_by, made_at, members)


def _member(path: Any, size: Any, checksum: Any) -> Member:  # noqa: ANN401
    if not isinstance(path, str) or (path != DATABASE and not is_key(path)):
        raise NotABackup("its header names a file that no backup has")
    if type(size) is not int or size < 0 or (path != DATABASE and size > MAX_KEY_BYTES):
        raise NotABackup(f"its header gives {path} a size that it can't have")
    if not isinstance(checksum, str) or not _SHA256.fullmatch(checksum):
        raise NotABackup(f"its header has no checksum of {path}")
    return Member(path, size, checksum)
