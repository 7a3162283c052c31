"""What can go wrong with the engine. Each error is one line that says what to do."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

from stoker.domain.errors import StokerError
from stoker.domain.shortening import shortened

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.engine.child import Finished

_NEEDED_SPACE = "3 GB"
_NETWORK = (
    r"dial tcp|no such host|i/o timeout|connection (refused|reset|broken)|TLS handshake|proxyconnect|timed out"
    r"|network is unreachable|name resolution|certificate|bad gateway|module lookup disabled|404 not found|410 gone"
)
_REMEDIES = (
    (
        r"no space left on device|disk quota exceeded",
        f"the disk is full; free about {_NEEDED_SPACE} and run it again, it goes on from here",
    ),
    (
        r"checksum mismatch|SECURITY ERROR|do not match the hashes",
        "what was downloaded is not what is pinned; check the proxy or mirror that it came from",
    ),
    (
        r"could not find a version|no matching distribution|no solution found",
        "the package index does not have it; check pip's index settings, or install Go",
    ),
    (
        _NETWORK,
        "it could not be downloaded; check the connection, GOPROXY (Go modules) and PIP_INDEX_URL (Python packages)",
    ),
    (r"signal: killed|cannot allocate memory", "it was killed, most likely for memory; about 2 GB must be free"),
)
_NOISE = re.compile(r"^(\[notice\]|WARNING:|go: downloading|#|\s*$)")
_MAX_REASON = 300


class EngineUnavailable(StokerError):
    """There is no usable engine, and it could not be got."""


class EngineCorrupt(StokerError):
    """An engine's files aren't what they were when it was got."""


def failed_command(what: str, finished: Finished, log: Path) -> EngineUnavailable:
    """The error for a program that ended badly.

    Args:
        what: its purpose, such as "compiling the engine".
        finished: how it ended.
        log: where its whole output is.
    """
    output = "\n".join(finished.tail)
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, output, re.IGNORECASE):
            return EngineUnavailable(f"{what} failed: {remedy} (log: {log})")
    said = [line.strip() for line in finished.tail if not _NOISE.match(line)]
    if said:
        reason = shortened(said[-1], _MAX_REASON)
    elif finished.status < 0:
        reason = f"it was killed by signal {-finished.status}"
    else:
        reason = f"exit status {finished.status}"
    return EngineUnavailable(f"{what} failed: {reason} (log: {log})")


def failed_system_call(error: OSError, cache: Path) -> EngineUnavailable:
    """The error for a refused system call."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EngineUnavailable(f"the disk of {cache} is full; free about {_NEEDED_SPACE} and run it again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        where = error.filename or cache
        return EngineUnavailable(f"{where}: {error.strerror}; give a cache folder that can be written to")
    where = f"{error.filename}: " if error.filename else ""
    return EngineUnavailable(f"the engine could not be got into {cache}: {where}{error.strerror or error}")
