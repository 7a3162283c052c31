"""What the text of a build's error gives away: that only the connection broke, or that an address was refused.

This server keeps builds from private networks, so a refused connection may be its doing.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

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
_ADDRESS = r"(?:\[(?P<{0}6>[0-9A-Fa-f:.]+)(?:%[^\]]*)?\]|(?P<{0}4>[0-9.]+))"
_BARE = r"(?P<{0}>[0-9A-Fa-f:.]*[.:][0-9A-Fa-f:.]*)(?:%\w+)?"
_HOST = r"(?P<{0}>[A-Za-z0-9_](?:[A-Za-z0-9_.-]{{0,251}}[A-Za-z0-9_])?)"
_REFUSED = re.compile(
    "|".join(
        (
            # Go (net.OpError).
            "dial tcp " + _ADDRESS.format("go") + r":\d+: connect: connection refused",
            # git's own protocol: HOST[0: ADDRESS]: errno=Connection refused.
            r"\[\d+: " + _BARE.format("git") + r"\]: errno=Connection refused",
            # curl in git, of versions with and without the address: Failed to connect to HOST port N.
            r"[Ff]ailed to connect to (?:" + _BARE.format("curl") + "|" + _HOST.format("curlhost") + r") port \d+"
            r"(?: after \d+ ms)?: (?:Connection refused|Could(?:n't| not) connect to server)",
            # ssh: connect to host HOST port N.
            r"connect to host (?:"
            + _BARE.format("ssh")
            + "|"
            + _HOST.format("sshhost")
            + r") port \d+: Connection refused",
            # Go, where a proxy or a resolver hides the address.
            r"dial tcp: (?:lookup )?" + _HOST.format("gohost") + r":\d+: connect: connection refused",
        )
    )
)
_WAY = "the operator of this server names it (setting allowed_networks, or that of the project)"


def is_lost_connection(error: str | None) -> bool:
    """Whether a build's error may be what a client saw of the end of its machine, or of the gateway."""
    return _LOST.search(error or "") is not None and _FAILED.search(error or "") is None


def refused_address_hint(error: str | None) -> str | None:
    """What to do about the first address in a build's error that is not on the internet; None without one.

    Git and ssh name the host as it was written. Where that is a name, its address isn't known here, so the hint says
    when it applies.
    """
    name = None
    for match in _REFUSED.finditer(error or ""):
        found = match.groupdict()
        host = next((text for key, text in found.items() if text and key.endswith("host")), None)
        if host is not None:
            name = name or host
            continue
        try:
            address = ip_address(next(text for text in found.values() if text))
        except ValueError:
            continue
        if not address.is_global:
            return f"builds reach {address}, like all addresses that aren't on the internet, only where {_WAY}"
    if name is None:
        return None
    return f"if {name} has an address that isn't on the internet, builds reach it only where {_WAY}"
