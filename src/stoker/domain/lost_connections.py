"""Errors of clients that say no more than that the connection to the machine broke."""

from __future__ import annotations

import re

# The other end is gone, in the words of gRPC's status codes and Go's gRPC client, of HTTP/2 (RFC 9113, sections 5.4,
# 6.4 and 6.8) in Go and in Envoy, and of Go's io and syscall errors. Whichever of them comes first is chance.
_LOST = re.compile(
    r"\bUnavailable\b|upstream connect error|upstream request timeout|no healthy upstream"
    r"|error reading (?:from server|server preface)|error while dialing|connection error"
    r"|(?:transport|client connection|connection) is (?:closing|shutting down|being closed)|closing transport"
    r"|client connection (?:lost|force closed)|server closed the stream|stream (?:terminated|error|closed|removed)"
    r"|RST_STREAM|GOAWAY|INTERNAL_ERROR|REFUSED_STREAM|http2: "
    r"|connection (?:reset|refused|closed|aborted|timed out)|broken pipe|use of closed network connection"
    r"|i/o timeout|no route to host|network is unreachable|keepalive ping failed|\bEOF\b|\bno such job\b"
    # What `stoker build` says when its buildctl didn't name a step.
    r"|^buildctl ended with exit code",
    re.IGNORECASE,
)
# A step that failed by itself, whatever is in its text.
_FAILED = re.compile(r"did not complete successfully: exit code: \d+(?!.*context canceled)", re.DOTALL)


def is_lost_connection(error: str | None) -> bool:
    """Whether a build's error may be what a client saw of the end of its machine, or of the gateway."""
    return _LOST.search(error or "") is not None and _FAILED.search(error or "") is None
