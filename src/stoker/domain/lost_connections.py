"""Errors of clients that say no more than that the connection to the machine broke."""

from __future__ import annotations

import re

# What gRPC and the gateway say when the other end is gone: gRPC's Unavailable, Go's io.EOF and syscall errors.
_LOST = re.compile(
    r"\bUnavailable\b|upstream connect error|error reading from server|connection (?:reset|refused|closed|error)"
    r"|broken pipe|\bEOF\b",
    re.IGNORECASE,
)


def is_lost_connection(error: str | None) -> bool:
    """Whether a build's error may be what a client saw of its machine's end."""
    return _LOST.search(error or "") is not None
